// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_CRC32C_H_
#define JETD_REVISION_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace jetd::revision {

// The Castagnoli CRC (RFC 3720) of what was added so far and `bytes`; start with 0. By the
// processor's own instruction where it has one (about 8 bytes a nanosecond), by a table elsewhere.
// Pure; any thread.
[[nodiscard]] uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes);

namespace crc32c_internal {
// Both ways by themselves, for the test that compares them.
[[nodiscard]] uint32_t ExtendByTable(uint32_t crc, std::string_view bytes);
}  // namespace crc32c_internal

}  // namespace jetd::revision

#endif  // JETD_REVISION_CRC32C_H_
