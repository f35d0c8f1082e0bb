// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_STORAGE_SIZE_H_
#define JETD_CLI_STORAGE_SIZE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace jetd::cli {

// "8GiB", "8Gi", or bytes; more than none. InvalidArgument, beginning with the flag.
[[nodiscard]] absl::StatusOr<int64_t> ParseSize(const char* flag, const std::string& text);
// In the largest unit of which it is a multiple.
[[nodiscard]] std::string SizeText(int64_t bytes);

}  // namespace jetd::cli

#endif  // JETD_CLI_STORAGE_SIZE_H_
