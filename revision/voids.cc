// SPDX-License-Identifier: Apache-2.0
#include "revision/voids.h"

#include <algorithm>
#include <iterator>

namespace jetd::revision {

using jetstream::SeqRange;

void Voids::Add(const SeqRange& range) {
  if (range.last < range.first) return;
  StreamSeq first = range.first;
  StreamSeq last = range.last;
  auto it = ranges_.upper_bound(first);
  if (it != ranges_.begin() && std::prev(it)->second >= first.Prev()) {
    --it;
    first = it->first;
  }
  // Nothing before a first of a later range overflows.
  while (it != ranges_.end() && it->first.Prev() <= last) {
    last = std::max(last, it->second);
    it = ranges_.erase(it);
  }
  ranges_.emplace_hint(it, first, last);
}

void Voids::Add(const Ranges& ranges) {
  for (const SeqRange& range : ranges) Add(range);
}

void Voids::DropUpTo(StreamSeq upto) {
  auto end = ranges_.begin();
  while (end != ranges_.end() && end->second <= upto) ++end;
  ranges_.erase(ranges_.begin(), end);
}

bool Voids::Contains(StreamSeq seq) const {
  auto it = ranges_.upper_bound(seq);
  if (it == ranges_.begin()) return false;
  --it;
  return it->second >= seq;
}

Voids::Ranges Voids::ranges() const {
  Ranges ranges;
  for (const auto& [first, last] : ranges_) ranges.push_back({first, last});
  return ranges;
}

}  // namespace jetd::revision
