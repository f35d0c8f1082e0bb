// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/hash_memory.h"

#include <algorithm>

namespace jetd::etcdapi {

using revision::Store;

absl::StatusOr<Store::HashResult> HashMemory::HashKv(Revision revision) {
  for (const Compaction& compaction : compactions_) {
    if (compaction.revision == revision && compaction.sum) return *compaction.sum;
  }
  absl::StatusOr<Store::HashResult> sum = store_->HashKv(revision);
  if (!sum.ok()) return sum;
  const auto same = [&sum](const auto& other) { return other.revision == sum->revision; };
  if (std::any_of(computed_.begin(), computed_.end(), same)) return sum;
  if (computed_.size() == kCompactions) computed_.pop_front();
  computed_.push_back(*sum);
  return sum;
}

void HashMemory::OnCompacted(Revision revision) {
  Compaction compaction{revision, {}};
  for (const Store::HashResult& sum : computed_) {
    if (sum.revision == revision) compaction.sum = sum;
  }
  computed_.clear();
  if (compactions_.size() == kCompactions) compactions_.pop_front();
  compactions_.push_back(compaction);
}

void HashMemory::OnLeading(Term /*term*/) {
  computed_.clear();
  compactions_.clear();
}

}  // namespace jetd::etcdapi
