// SPDX-License-Identifier: Apache-2.0
#include "base/stable_id.h"

#include <openssl/sha.h>

#include <array>

#include "base/strings.h"

namespace jetd {

uint64_t StableId(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  uint64_t id = 0;
  for (size_t i = 0; i < sizeof(id); ++i) id = id << 8U | digest[i];
  return id == 0 ? 1 : id;
}

uint64_t ClusterIdOf(std::string_view bucket, int64_t created_ns) {
  return StableId(Cat("jetd/cluster/", bucket, "/", created_ns));
}

}  // namespace jetd
