// SPDX-License-Identifier: Apache-2.0
#include "base/random_id.h"

#include <sys/random.h>

#include <string_view>

#include "base/check.h"
#include "base/strings.h"

namespace jetd {

std::string RandomId() {
  char bytes[16];
  JETD_CHECK(getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes)) << "no random bytes";
  return HexOf(std::string_view(bytes, sizeof(bytes)));
}

}  // namespace jetd
