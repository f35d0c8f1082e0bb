// SPDX-License-Identifier: Apache-2.0
//
// Ids that are hashes of names: the same on every machine and in every version of jetd. Pure
// functions; any thread.
#ifndef JETD_BASE_STABLE_ID_H_
#define JETD_BASE_STABLE_ID_H_

#include <cstdint>
#include <string_view>

namespace jetd {

// 64 bits of a hash that never changes between versions; never 0.
[[nodiscard]] uint64_t StableId(std::string_view text);

// The cluster id that jetd answers with: of the bucket and the moment its stream was made
// (LogInfo::created_ns).
[[nodiscard]] uint64_t ClusterIdOf(std::string_view bucket, int64_t created_ns);

}  // namespace jetd

#endif  // JETD_BASE_STABLE_ID_H_
