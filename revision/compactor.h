// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_COMPACTOR_H_
#define JETD_REVISION_COMPACTOR_H_

#include <cstddef>

#include "base/types.h"
#include "revision/change_log.h"
#include "revision/garbage.h"
#include "revision/key_index.h"

namespace jetd::revision {

// Compactor drops the versions that no reader can ask for once everything below `horizon` is
// compacted. It keeps what etcd keeps: of each key the newest version at or below the horizon, if
// that is a value, or a tombstone of exactly the horizon; and everything above.
//
//   put a (2), put a (3), delete a (4), put a (5), delete a (6)
//     Compact(3): drops 2
//     Compact(4): drops 3; the tombstone 4 stays, for watchers that start at 4
//     Compact(5): drops 4
//     Compact(6): drops 5
//     Compact(7): drops 6, and the key is gone
//
// It walks the changes from the last horizon to the new one and drops what each of them superseded,
// so the work is in proportion to what happened in between, whatever the number of keys. It may
// stop anywhere: what it has not dropped yet lies hidden behind newer versions.
//
// Thread rules: the engine thread only.
class Compactor {
 public:
  Compactor(KeyIndex* index, ChangeLog* log) : index_(index), log_(log) {}

  // Never goes back.
  void SetHorizon(Revision horizon);
  // Visits at most `max_changes` changes. True if nothing is left to do.
  bool Step(size_t max_changes, Garbage* garbage);

 private:
  void DropOlder(const KvBlock* v, Garbage* garbage);

  KeyIndex* const index_;
  ChangeLog* const log_;
  Revision horizon_{-1};
  // Changes at the front of the log that are of the horizon's revision and have been visited: they
  // stay listed.
  size_t visited_ = 0;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_COMPACTOR_H_
