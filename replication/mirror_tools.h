// SPDX-License-Identifier: Apache-2.0
//
// What goes over all records of a mirror: whether it holds what its origin does, and how its
// history is cut off. Both block; any one thread.
#ifndef JETD_REPLICATION_MIRROR_TOOLS_H_
#define JETD_REPLICATION_MIRROR_TOOLS_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "replication/state_digest.h"
#include "replication/stream_source.h"
#include "replication/trim_rule.h"

namespace jetd::replication {

struct MirrorVerification {
  StreamSeq seq;      // all up to here was compared
  StreamSeq read;     // the mirror was read up to here, its end
  Revision revision;  // the newest there
  uint64_t keys = 0;  // of the origin
  uint32_t origin_hash = 0, mirror_hash = 0;
  StateDigest::Difference difference;  // "… at the origin, … in the mirror"
};
// Compares the two states at the mirror's newest sequence. Unavailable: the origin was compacted
// beyond it, so that it does not know its own state there any more; or the log's.
[[nodiscard]] absl::StatusOr<MirrorVerification> VerifyMirror(const StreamSource& origin,
                                                              const StreamSource& mirror);

struct TrimOptions {
  TrimRule::Horizon horizon{};
  enum class DryRun { kNo, kYes } dry_run = DryRun::kNo;
  std::function<void(uint64_t done, uint64_t of)> progress{};
};
// Removes from the mirror what TrimRule says. May be stopped anywhere, and run again.
// FailedPrecondition: it was never compacted, so that nothing may go; or it is no mirror.
[[nodiscard]] absl::StatusOr<TrimRule::Plan> TrimMirror(const StreamSource& mirror,
                                                        const TrimOptions& options);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_MIRROR_TOOLS_H_
