// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_FILE_SYSTEM_H_
#define JETD_JETSTREAM_FILE_SYSTEM_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace jetd::jetstream {

// nats-server rewrites files and renames them over the old ones without a sync between. That is
// safe where the file system writes a file's data before such a rename: ext4 with data=ordered and
// auto_da_alloc (its defaults), and btrfs. "" if `folder` is on one; otherwise one line for people
// that says what a power cut can cost there.
[[nodiscard]] std::string FileSystemCaveat(const std::string& folder);

// The same from a line's parts of /proc/self/mountinfo: the type, and mount and super options
// joined by commas.
[[nodiscard]] std::string CaveatOf(std::string_view type, std::string_view options);

// How large what lies below `folder` may become: what it is, and three quarters of what is free
// there. nats-server's own default is three quarters of what is free when it starts: on a disk that
// a store fills, less than the store has already. 0 if `folder` cannot be seen.
[[nodiscard]] uint64_t MayGrowTo(const std::string& folder);

// What is free on the disk of `folder`, for those who may not use its reserve. 0 if it cannot be
// seen.
[[nodiscard]] uint64_t FreeBytes(const std::string& folder);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_FILE_SYSTEM_H_
