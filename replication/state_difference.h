// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_STATE_DIFFERENCE_H_
#define JETD_REPLICATION_STATE_DIFFERENCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/types.h"
#include "replication/bucket_state.h"
#include "replication/key_selection.h"
#include "revision/kv.h"

namespace jetd::replication {

// One key that has to change so that it is what it was.
struct KeyChange {
  std::string key;
  revision::KvRef wanted;  // null: delete it
  LeaseId lease;           // to put it with: that of `wanted`, if it is still there
  Revision now;            // the mod_revision that it has; 0: it is not there
};

struct Difference {
  // Keys that were there first: a namespace before what is in it, an owner before what it owns; in
  // the end those that were not there, the newest first.
  std::vector<KeyChange> changes;
  uint64_t added = 0, changed = 0, deleted = 0, same = 0;
  uint64_t bytes = 0;     // of keys and values to be put
  uint64_t unleased = 0;  // to be put without the lease that they had, which is gone
};

// What makes `now` into `wanted`, among the keys that `selection` means. A key is the same if value
// and lease are; its revisions will be others.
[[nodiscard]] Difference DifferenceOf(const BucketState& wanted, const BucketState& now,
                                      const KeySelection& selection);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STATE_DIFFERENCE_H_
