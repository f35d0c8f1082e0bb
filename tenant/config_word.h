// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_TENANT_CONFIG_WORD_H_
#define JETD_TENANT_CONFIG_WORD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace jetd::tenant {

// Where the word stands in nats-server's configuration or in a file that it includes: "FILE:LINE";
// empty: nowhere. `own_file` is not looked at. A word ends where no letter, digit, `-` or `_`
// stands; what it means is not asked, so one in a comment is found too. FailedPrecondition: a file
// cannot be read. Blocks; any thread.
//
// nats-server takes the last of two accounts of one name without a word.
[[nodiscard]] absl::StatusOr<std::string> FindConfigWord(const std::string& config,
                                                         const std::string& own_file,
                                                         std::string_view word);

}  // namespace jetd::tenant

#endif  // JETD_TENANT_CONFIG_WORD_H_
