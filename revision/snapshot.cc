// SPDX-License-Identifier: Apache-2.0
#include "revision/snapshot.h"

#include <algorithm>

#include "base/error.h"
#include "revision/store_impl.h"

namespace jetd::revision {

std::unique_ptr<Snapshot> Store::TakeSnapshot() const {
  return std::unique_ptr<Snapshot>(new Snapshot(*this));
}

Snapshot::Snapshot(const Store& store)
    : files_(store.impl_->values.files()),
      generation_(files_ == nullptr ? 0 : files_->generation()),
      revision_(store.impl_->committed),
      compacted_(store.impl_->compacted),
      leases_(store.Leases()) {
  if (files_ != nullptr) files_->Pin();
  if (compacted_ > Revision()) AddKept(store);
  const ChangeLog& log = store.impl_->log;
  const size_t end = log.LowerBound(revision_.Next());
  for (size_t i = log.LowerBound(compacted_.Next()); i < end; ++i) {
    versions_.push_back(KvRef::Share(log[i]));
  }
}

Snapshot::~Snapshot() {
  if (files_ != nullptr) files_->Unpin();
}

// What was alive at the compaction.
void Snapshot::AddKept(const Store& store) {
  struct Kept {
    ModRevision mod;
    const KvBlock* kv;
  };
  std::vector<Kept> kept;
  store.impl_->index.Visit({.key = {}, .end = std::string_view("\0", 1)},
                           [&](const KeyIndex::Entry& entry) {
                             const KvBlock* then = KeyIndex::VersionAt(entry.newest(), compacted_);
                             if (then != nullptr) kept.push_back({then->mod(), then});
                             return true;
                           });
  std::sort(kept.begin(), kept.end(), [](const Kept& a, const Kept& b) { return a.mod < b.mod; });
  versions_.reserve(kept.size());
  for (const Kept& one : kept) versions_.push_back(KvRef::Share(one.kv));
}

absl::StatusOr<KvRef> Snapshot::Load(const KvRef& version) const {
  if (!version->cold()) return version;
  if (files_->generation() != generation_) {
    return MakeError(Errc::kUnavailable, "the store was read anew meanwhile");
  }
  return files_->Load(*version);
}

}  // namespace jetd::revision
