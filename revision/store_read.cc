// SPDX-License-Identifier: Apache-2.0
// The reading half of the Store.
#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "revision/hash_kv.h"
#include "revision/range.h"
#include "revision/store.h"
#include "revision/store_impl.h"

namespace jetd::revision {
namespace {

// Cold versions that a step of a long range loads before other work gets its turn; about 0.3 ms for
// values of 1 KiB.
constexpr size_t kStepLoads = 500;
// From here on they are read as one of many (value_files.h).
constexpr size_t kManyLoads = 32;

void AppendShared(const std::vector<const KvBlock*>& kvs, std::vector<KvRef>* out) {
  out->reserve(out->size() + kvs.size());
  for (const KvBlock* kv : kvs) out->push_back(KvRef::Share(kv));
}

void LoadAll(const ValueCache& values, std::vector<KvRef>* kvs) {
  const auto cold = static_cast<size_t>(
      std::count_if(kvs->begin(), kvs->end(), [](const KvRef& kv) { return kv->cold(); }));
  if (cold == 0) return;
  const auto how = cold < kManyLoads ? ValueFiles::How::kOne : ValueFiles::How::kMany;
  for (KvRef& kv : *kvs) {
    if (kv->cold()) kv = values.Load(kv.get(), how);
  }
}

// Puts a range's versions into its order and cuts them.
void SortAndCut(const RangeOp& op, std::vector<KvRef>* kvs) {
  std::vector<const KvBlock*> blocks;
  blocks.reserve(kvs->size());
  for (const KvRef& kv : *kvs) blocks.push_back(kv.get());
  SortAndCut(op, &blocks);
  std::vector<KvRef> sorted;
  AppendShared(blocks, &sorted);
  *kvs = std::move(sorted);
}

// Whether values are needed before the range is sorted and cut.
bool LoadsFirst(const RangeOp& op) {
  if (NeedsSort(op) && op.sort_target == SortTarget::kValue) return true;
  return !op.keys_only && (!NeedsSort(op) || op.limit <= 0);
}

// The version that a reader one revision before `v` sees.
const KvBlock* Before(const KvBlock* v) {
  return KeyIndex::VersionAt(KeyIndex::Older(v), v->mod_revision().Prev());
}

}  // namespace

Revision Store::Impl::Current(View view) const {
  if (view == View::kCommitted) return committed;
  return open && !changes.empty() ? newest.Next() : newest;
}

absl::StatusOr<Revision> Store::Impl::ReadRevision(Revision asked, Revision current) const {
  if (asked > current) return MakeError(Errc::kFutureRevision);
  const Revision at = asked > Revision() ? asked : current;
  if (at < compacted) return MakeError(Errc::kCompacted);
  return at;
}

absl::StatusOr<RangeResult> Store::Range(const RangeOp& op, View view) const {
  ++impl_->ranges;
  RangeResult result;
  result.revision = impl_->Current(view);
  const absl::StatusOr<Revision> at = impl_->ReadRevision(op.revision, result.revision);
  if (!at.ok()) return at.status();

  RangeCollector collector(op);
  impl_->index.Visit(op.keys, [&](const KeyIndex::Entry& entry) {
    const KvBlock* v = KeyIndex::VersionAt(entry.newest(), *at);
    if (v != nullptr) collector.Offer(v);
    return true;
  });
  result.count = collector.count();
  result.more = collector.more();
  result.keys_only = op.keys_only;
  AppendShared(collector.TakeKvs(), &result.kvs);
  if (LoadsFirst(op)) LoadAll(impl_->values, &result.kvs);
  if (NeedsSort(op)) SortAndCut(op, &result.kvs);
  if (!op.keys_only) LoadAll(impl_->values, &result.kvs);
  return result;
}

KvRef Store::Get(std::string_view key, View view) const {
  const KeyIndex::Entry* entry = impl_->index.Find(key);
  if (entry == nullptr) return KvRef();
  return impl_->values.Load(KeyIndex::VersionAt(entry->newest(), impl_->Current(view)));
}

void Store::Scan(const KeyRange& keys, Revision at,
                 const std::function<bool(const KvRef&)>& fn) const {
  impl_->index.Visit(keys, [&](const KeyIndex::Entry& entry) {
    const KvBlock* v = KeyIndex::VersionAt(entry.newest(), at);
    return v == nullptr || fn(impl_->values.Load(v));
  });
}

bool Store::EvaluateCompare(const Compare& compare, View view) const {
  return Compares(impl_->index, impl_->values, compare, impl_->Current(view));
}

absl::StatusOr<Store::Cursor> Store::OpenCursor(const RangeOp& op) const {
  ++impl_->ranges;
  const Revision committed = impl_->committed;
  const absl::StatusOr<Revision> at = impl_->ReadRevision(op.revision, committed);
  if (!at.ok()) return at.status();
  return Cursor{.next_key = std::string(op.keys.key), .at = *at, .committed = committed};
}

absl::Status Store::Step(const RangeOp& op, size_t max_keys, Cursor* cursor,
                         RangeResult* out) const {
  if (cursor->done) return absl::OkStatus();
  if (cursor->at < impl_->compacted) return MakeError(Errc::kCompacted);

  RangeCollector collector(op);
  collector.Resume(cursor->count, cursor->passed);
  size_t visited = 0;
  size_t loads = 0;
  const bool loads_first = LoadsFirst(op);
  cursor->done = true;
  std::string next_key;
  impl_->index.Visit({.key = cursor->next_key, .end = op.keys.end},
                     [&](const KeyIndex::Entry& entry) {
                       if (visited++ == max_keys || loads == kStepLoads) {
                         next_key = entry.key();
                         cursor->done = false;
                         return false;
                       }
                       const KvBlock* v = KeyIndex::VersionAt(entry.newest(), cursor->at);
                       if (v != nullptr && collector.Offer(v) && loads_first && v->cold()) ++loads;
                       return true;
                     });
  cursor->next_key = std::move(next_key);
  cursor->count = collector.count();
  cursor->passed = collector.passed();
  std::vector<KvRef> kvs;
  AppendShared(collector.TakeKvs(), &kvs);
  if (loads_first) LoadAll(impl_->values, &kvs);
  out->kvs.insert(out->kvs.end(), std::make_move_iterator(kvs.begin()),
                  std::make_move_iterator(kvs.end()));
  if (!cursor->done) return absl::OkStatus();

  out->revision = cursor->committed;
  out->count = cursor->count;
  out->more = collector.more();
  out->keys_only = op.keys_only;
  if (NeedsSort(op)) {
    SortAndCut(op, &out->kvs);
    if (!op.keys_only) LoadAll(impl_->values, &out->kvs);
  }
  return absl::OkStatus();
}

absl::StatusOr<Revision> Store::History(Revision from, size_t max_revisions,
                                        const std::function<void(const Change&)>& fn) const {
  const Impl& s = *impl_;
  if (from < s.compacted) return MakeError(Errc::kCompacted);
  if (from > s.committed) return from;
  size_t revisions = 0;
  Revision last;
  for (size_t i = s.log.LowerBound(from); i < s.log.size(); ++i) {
    const KvBlock* v = s.log[i];
    if (v->mod_revision() > s.committed) break;
    if (v->mod_revision() != last) {
      if (revisions++ == max_revisions) return v->mod_revision();
      last = v->mod_revision();
    }
    const bool known = v->mod_revision().Prev() >= s.compacted;
    fn(Change{KvRef::Share(v), KvRef::Share(known ? Before(v) : nullptr)});
  }
  return s.committed.Next();
}

std::vector<std::string> Store::LeaseKeys(LeaseId id, View view) const {
  const Impl& s = *impl_;
  std::vector<std::string> keys = s.leases.Keys(id);
  if (view == View::kNewest || s.newest == s.committed) return keys;
  // Takes back what is pending, newest first.
  std::set<std::string, std::less<>> attached(keys.begin(), keys.end());
  for (size_t i = s.log.size(); i-- > 0 && s.log[i]->mod_revision() > s.committed;) {
    const KvBlock* v = s.log[i];
    const KvBlock* before = Before(v);
    const bool was_attached = before != nullptr && before->lease() == id;
    if (was_attached) {
      attached.emplace(v->key());
    } else if (auto it = attached.find(v->key()); it != attached.end()) {
      attached.erase(it);
    }
  }
  return {attached.begin(), attached.end()};
}

absl::StatusOr<Store::HashResult> Store::HashKv(Revision revision) const {
  const Impl& s = *impl_;
  if (revision > Revision() && revision < s.compacted) return MakeError(Errc::kCompacted);
  if (revision > s.committed) return MakeError(Errc::kFutureRevision);
  const Revision at = revision == Revision() ? s.committed : revision;
  return HashResult{ComputeHashKv(s.index, s.log, s.values, s.compacted, at), s.compacted, at};
}

bool Store::VisitVersions(std::string* next_key, size_t max_versions,
                          const std::function<void(const KvBlock&)>& fn) const {
  constexpr std::string_view kToTheEnd("\0", 1);
  size_t visited = 0;
  bool all = true;
  std::string next;
  impl_->index.Visit({.key = *next_key, .end = kToTheEnd}, [&](const KeyIndex::Entry& entry) {
    if (visited >= max_versions) {
      next = entry.key();
      all = false;
      return false;
    }
    for (const KvBlock* v = entry.newest(); v != nullptr; v = KeyIndex::Older(v)) {
      fn(*v);
      ++visited;
    }
    return true;
  });
  *next_key = std::move(next);
  return all;
}

Store::Stats Store::stats() const {
  const KeyIndex::Stats& stats = impl_->index.stats();
  Stats result{stats.keys, stats.versions, stats.bytes, stats.live_bytes};
  if (impl_->values.files() != nullptr) {
    result.cold_bytes = impl_->values.files()->stats().live_bytes;
    result.file_bytes = impl_->values.files()->stats().file_bytes;
  }
  result.ranges = impl_->ranges;
  return result;
}

}  // namespace jetd::revision
