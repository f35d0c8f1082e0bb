// SPDX-License-Identifier: Apache-2.0
// A store as bytes, and back.
#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/strings.h"
#include "revision/store.h"
#include "revision/store_impl.h"

namespace jetd::revision {
namespace {

constexpr std::string_view kToTheEnd("\0", 1);

template <typename... Pieces>
absl::Status Odd(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kDataLoss, pieces...);
}

}  // namespace

void Store::VisitBlocks(const std::function<void(const KvBlock&)>& fn) const {
  JETD_CHECK(!impl_->open && impl_->pending.empty()) << "transactions are pending";
  std::vector<const KvBlock*> versions;
  impl_->index.Visit({.key = {}, .end = kToTheEnd}, [&](const KeyIndex::Entry& entry) {
    versions.clear();
    for (const KvBlock* v = entry.newest(); v != nullptr; v = KeyIndex::Older(v)) {
      versions.push_back(v);
    }
    for (auto v = versions.rbegin(); v != versions.rend(); ++v) fn(**v);
    return true;
  });
}

absl::StatusOr<std::vector<ValueFiles::SegmentSize>> Store::SaveValueFiles() {
  if (impl_->values.files() == nullptr) return std::vector<ValueFiles::SegmentSize>();
  return impl_->values.files()->Save();
}

absl::Status Store::AdoptSegments(const std::vector<ValueFiles::SegmentSize>& segments) {
  JETD_CHECK(impl_->index.size() == 0) << "versions are there already";
  if (impl_->values.files() != nullptr) return impl_->values.files()->Adopt(segments);
  return segments.empty() ? absl::OkStatus() : Odd("values were in files, and now shall not be");
}

absl::Status Store::LoadBlocks(std::string_view bytes) {
  Impl& s = *impl_;
  ValueFiles* const files = s.values.files();
  while (!bytes.empty()) {
    KvRef kv = KvBlock::FromBytes(&bytes);
    if (!kv) return Odd("a version cannot be read");
    if (kv->cold() && (files == nullptr || !files->Use(kv->location()))) {
      return Odd("a value is in no file");
    }
    s.loaded.push_back({kv->mod(), kv.get()});
    const KeyIndex::Entry* last = s.loading;
    if (last != nullptr && last->key() == kv->key()) {
      if (last->newest()->mod() >= kv->mod()) return Odd("versions are out of order");
      s.index.Push(last, std::move(kv));
    } else {
      s.loading = s.index.Append(std::move(kv));
      if (s.loading == nullptr) return Odd("keys are out of order");
    }
  }
  return absl::OkStatus();
}

absl::Status Store::FinishLoad(Revision revision, Revision compacted) {
  Impl& s = *impl_;
  s.loading = nullptr;
  std::vector<Impl::Loaded> loaded = std::exchange(s.loaded, {});
  std::sort(loaded.begin(), loaded.end(),
            [](const Impl::Loaded& a, const Impl::Loaded& b) { return a.mod < b.mod; });
  for (size_t i = 1; i < loaded.size(); ++i) {
    if (loaded[i - 1].mod == loaded[i].mod) return Odd("two versions of one revision");
  }
  if (!loaded.empty() && loaded.back().mod.main > revision) return Odd("a version is too new");
  for (const Impl::Loaded& one : loaded) {
    // What the compactor keeps below its revision is not listed, of that revision itself it is.
    if (one.mod.main >= compacted) s.log.PushBack(one.kv);
    s.values.Add(one.kv);
  }
  s.index.Visit({.key = {}, .end = kToTheEnd}, [&](const KeyIndex::Entry& entry) {
    s.leases.Attach(entry.newest());
    return true;
  });
  if (s.values.files() != nullptr) s.values.files()->RemoveUnused();
  RestoreCompacted(compacted);
  RestoreRevision(revision);
  return absl::OkStatus();
}

}  // namespace jetd::revision
