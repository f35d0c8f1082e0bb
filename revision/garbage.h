// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_GARBAGE_H_
#define JETD_REVISION_GARBAGE_H_

#include <vector>

#include "base/types.h"

namespace jetd::revision {

// What compaction took out of the store, by the sequences of its records in the stream.
//
// The last delete marker of a key that is gone stays in the stream for a while: nats-server 2.15
// may bring deleted records back, long after it answered and synced their deletion (when it
// recovers from its block files it compacts a block while it still applies that block's tombstones,
// and forgets the rest of them on disk). A value that comes back is garbage again as long as a
// newer record of its key is there to hide it, or a list of what lives that does not name it
// (live_list.h).
struct Garbage {
  std::vector<StreamSeq> superseded;  // values, may go now
  // Delete markers with a newer committed record of their key: in a later round, after their
  // values.
  std::vector<StreamSeq> tombstones;
  std::vector<StreamSeq> last_tombstones;  // the others: once a list is written
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_GARBAGE_H_
