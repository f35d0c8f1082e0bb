// SPDX-License-Identifier: Apache-2.0
//
// What a clean stop leaves for the next start.
#include <iterator>

#include "base/log.h"
#include "base/strings.h"
#include "revision/checkpoint.h"
#include "revision/committer_impl.h"

namespace jetd::revision {

// All that is committed, and nothing else: what was in flight is in the stream behind it, or is
// not.
absl::Status Committer::Impl::SaveCheckpoint() {
  if (options.checkpoint_path.empty() || !led_at_stop || !log->exclusive()) {
    return absl::OkStatus();
  }
  store->Rollback();
  // So that what the store holds is what it keeps; its files are tidied another time.
  (void)store->CompactStep(SIZE_MAX, &garbage);
  auto segments = store->SaveValueFiles();
  if (!segments.ok()) return segments.status();
  CheckpointHead head;
  head.bucket = info.bucket;
  head.created_ns = info.created_ns;
  head.seq = committed_seq;
  head.term = term;
  head.incarnation = options.incarnation;
  head.term_seq = term_seq;
  head.revision = store->committed();
  head.compacted = store->compacted();
  head.leases = store->Leases();
  head.alarms = alarms.all();
  head.system = system;
  head.segments = *std::move(segments);
  head.hidden = garbage.superseded;
  head.hidden.insert(head.hidden.end(), barriers.begin(), barriers.end());
  head.markers = garbage.tombstones;
  head.last_markers = last_markers;
  head.last_markers.insert(head.last_markers.end(), garbage.last_tombstones.begin(),
                           garbage.last_tombstones.end());
  collector.AppendWaiting(&head.hidden, &head.markers);
  gate.AppendHeld(&head.hidden, &head.markers);
  // In order, as the log would have removed them: what hides something is above it.
  log->AppendPutOff(&head.hidden);
  return WriteCheckpoint(options.checkpoint_path, head, *store);
}

absl::Status Committer::SaveCheckpoint() { return impl_->SaveCheckpoint(); }

}  // namespace jetd::revision
