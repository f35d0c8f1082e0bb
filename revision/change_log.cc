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

size_t ChangeLog::LowerBound(Revision from) const {
  const auto it =
      std::partition_point(changes_.begin(), changes_.end(),
                           [from](const KvBlock* change) { return change->mod_revision() < from; });
  return static_cast<size_t>(it - changes_.begin());
}

}  // namespace jetd::revision
