// SPDX-License-Identifier: Apache-2.0
#include "revision/change_log.h"

#include <algorithm>

#include "base/check.h"

namespace jetd::revision {

void ChangeLog::PushBack(const KvBlock* change) {
  JETD_CHECK(changes_.empty() || changes_.back()->mod() < change->mod())
      << "change " << change->mod_revision() << " after " << changes_.back()->mod_revision();
  changes_.push_back(change);
}

void ChangeLog::Replace(const KvBlock* old, const KvBlock* now) {
  constexpr size_t kNearby = 16;
  size_t i = hint_;
  const size_t end = std::min(changes_.size(), i + kNearby);
  while (i < end && changes_[i] != old) ++i;
  if (i >= end) {
    const auto it = std::partition_point(
        changes_.begin(), changes_.end(),
        [mod = old->mod()](const KvBlock* change) { return change->mod() < mod; });
    if (it == changes_.end() || *it != old) return;
    i = static_cast<size_t>(it - changes_.begin());
  }
  changes_[i] = now;
  hint_ = i + 1;
}

size_t ChangeLog::LowerBound(Revision from) const {
  const auto it =
      std::partition_point(changes_.begin(), changes_.end(),
                           [from](const KvBlock* change) { return change->mod_revision() < from; });
  return static_cast<size_t>(it - changes_.begin());
}

}  // namespace jetd::revision
