// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_GARBAGE_H_
#define JETD_REVISION_GARBAGE_H_

#include <vector>

#include "base/types.h"

namespace jetd::revision {

// What compaction took out of the store, by the sequences of its records in the stream.
struct Garbage {
  std::vector<StreamSeq> superseded;  // values, may go now
  std::vector<StreamSeq> tombstones;  // delete markers: in a later round, after their values
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_GARBAGE_H_
