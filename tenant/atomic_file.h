// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_TENANT_ATOMIC_FILE_H_
#define JETD_TENANT_ATOMIC_FILE_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace jetd::tenant {

// Modes of what holds a secret, and of what a nats-server of another user must read.
inline constexpr mode_t kSecretFile = 0600;
inline constexpr mode_t kOpenFile = 0644;
inline constexpr mode_t kSecretFolder = 0700;
inline constexpr mode_t kOpenFolder = 0755;

// The file has the old content or the new one, after a power cut too: written to `path`.new,
// synced, renamed. It is `mode` from its first byte on. FailedPrecondition with the path, without
// any of the content. Blocks; not two at once on one path.
[[nodiscard]] absl::Status WriteFileAtomically(const std::string& path, std::string_view content,
                                               mode_t mode);

// OK if it is there afterwards. What is there keeps its mode.
[[nodiscard]] absl::Status MakeFolder(const std::string& path, mode_t mode);

// OK if it is not there afterwards.
[[nodiscard]] absl::Status RemoveFile(const std::string& path);

}  // namespace jetd::tenant

#endif  // JETD_TENANT_ATOMIC_FILE_H_
