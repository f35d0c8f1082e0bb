// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_CHANGE_LOG_H_
#define JETD_REVISION_CHANGE_LOG_H_

#include <cstddef>
#include <deque>

#include "revision/kv.h"

namespace jetd::revision {

// ChangeLog lists changes in the order of their revisions, the compacted revision's own included
// and those before it gone. Watchers catch up from it, compaction walks it. 8 bytes a change; the
// blocks belong to the KeyIndex, which holds each as long as it is listed here.
//
// Thread rules: the engine thread only.
class ChangeLog {
 public:
  [[nodiscard]] size_t size() const { return changes_.size(); }
  [[nodiscard]] bool empty() const { return changes_.empty(); }
  [[nodiscard]] const KvBlock* operator[](size_t i) const { return changes_[i]; }
  [[nodiscard]] const KvBlock* back() const { return changes_.back(); }

  // REQUIRES: change->mod() is above that of all others.
  void PushBack(const KvBlock* change);
  void PopBack() { changes_.pop_back(); }
  void PopFront() {
    changes_.pop_front();
    if (hint_ > 0) --hint_;
  }
  // Lists `now`, the same version, for `old`, if that is listed. Fast if called in the order of the
  // list. REQUIRES: old is alive.
  void Replace(const KvBlock* old, const KvBlock* now);

  // Number of the first change of revision `from` or later; size() if there is none. O(log n).
  [[nodiscard]] size_t LowerBound(Revision from) const;

 private:
  std::deque<const KvBlock*> changes_;
  size_t hint_ = 0;  // where the next Replace is likely to be
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_CHANGE_LOG_H_
