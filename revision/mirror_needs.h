// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_MIRROR_NEEDS_H_
#define JETD_REVISION_MIRROR_NEEDS_H_

#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/subject.h"
#include "revision/store.h"
#include "revision/system_records.h"
#include "revision/voids.h"

namespace jetd::revision {

// What a leader knows of its stream.
struct LeaderView {
  const jetstream::SubjectCodec* codec;
  const Store* store;
  const SystemRecords* system;
  const Voids* voids;  // all that term records name
  StreamSeq led;       // it has led since
};

// Whether a mirror that lacks this record of the stream is no copy: its state is another one, or
// may become one, or it lacks a revision that the stream still promises. Trimming leaves all of
// these (replication/trim_rule.h):
//
//   versions of keys that are the newest at the compact revision, or above it;
//   grants of leases that are there;
//   the newest compaction, and the newest alarms;
//   the newest term record, and all that name voids;
//   lists of what lives. Not those from before `led`, of which some may be replaced;
//   delete markers with nothing newer in the mirror, where their key lives on.
//
// Not what is void. Engine thread only.
[[nodiscard]] bool MirrorNeeds(const jetstream::CompareAnswer::Found& record,
                               const LeaderView& leader);

}  // namespace jetd::revision

#endif  // JETD_REVISION_MIRROR_NEEDS_H_
