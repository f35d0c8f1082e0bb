// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_VOIDS_H_
#define JETD_REVISION_VOIDS_H_

#include <map>
#include <vector>

#include "base/types.h"
#include "jetstream/record.h"

namespace jetd::revision {

// Voids is a set of sequences: those that term records name void. It keeps them as ranges that
// neither overlap nor touch, so a look costs one search however many there are.
//
//   Add({3, 5}), Add({9, 9}), Add({4, 7})    3..7, 9..9
//   Contains(8)                              no
//   DropUpTo(5)                              nothing goes: the first range ends at 7
//
// A plain value; engine thread only.
class Voids {
 public:
  using Ranges = std::vector<jetstream::SeqRange>;

  // Nothing if it ends before it begins.
  void Add(const jetstream::SeqRange& range);
  void Add(const Ranges& ranges);
  // Drops ranges that end at or below `upto`.
  void DropUpTo(StreamSeq upto);
  void Clear() { ranges_.clear(); }

  [[nodiscard]] bool Contains(StreamSeq seq) const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  // The lowest of all; 0: there is none.
  [[nodiscard]] StreamSeq first() const {
    return ranges_.empty() ? StreamSeq{} : ranges_.begin()->first;
  }
  // Ascending.
  [[nodiscard]] Ranges ranges() const;

 private:
  std::map<StreamSeq, StreamSeq> ranges_;  // first -> last
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_VOIDS_H_
