// SPDX-License-Identifier: Apache-2.0
// The writing half of the Store, and its leases; store_read.cc is the reading half.
#include "revision/store.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "revision/store_impl.h"

namespace jetd::revision {

Store::Store() : impl_(std::make_unique<Impl>()) {}
Store::~Store() = default;

void Store::UseValueFiles(std::unique_ptr<ValueFiles> files, const ValueCache::Options& options) {
  impl_->values.Use(std::move(files), options);
}

KvRef Store::Load(const KvRef& kv) const { return impl_->values.Load(kv.get()); }

Revision Store::newest() const { return impl_->newest; }
Revision Store::committed() const { return impl_->committed; }
Revision Store::compacted() const { return impl_->compacted; }

// ---- Writing
// -------------------------------------------------------------------------------------

void Store::Begin() {
  JETD_CHECK(!impl_->open) << "a transaction is open";
  impl_->open = true;
  impl_->open_undos = 0;
  impl_->changes.clear();
}

Revision Store::txn_revision() const { return impl_->newest.Next(); }
bool Store::txn_changed() const { return !impl_->changes.empty(); }
const std::vector<Change>& Store::txn_changes() const { return impl_->changes; }

void Store::Impl::AddUndo(Undo undo) {
  undos.push_back(undo);
  ++open_undos;
}

const Change& Store::Impl::Apply(const KeyIndex::Entry* entry, KvBlock::Fields fields) {
  JETD_CHECK(open) << "no transaction is open";
  const KvBlock* before = entry == nullptr ? nullptr : entry->newest();
  if (before != nullptr && before->tombstone()) before = nullptr;
  fields.mod = {newest.Next(), static_cast<uint32_t>(changes.size())};
  fields.create_revision = before == nullptr ? fields.mod.main : before->create_revision();
  fields.version = before == nullptr ? 1 : before->version() + 1;

  const KvBlock* v = index.Push(entry, KvBlock::Make(fields));
  values.Add(v);
  log.PushBack(v);
  if (before != nullptr) leases.Detach(before);
  leases.Attach(v);
  AddUndo({});
  return changes.emplace_back(Change{KvRef::Share(v), KvRef::Share(before)});
}

const Change& Store::Put(std::string_view key, std::string_view value, LeaseId lease,
                         StreamSeq seq) {
  return impl_->Apply(impl_->index.Find(key),
                      {.key = key, .value = value, .lease = lease, .seq = seq});
}

int64_t Store::Delete(const KeyRange& keys, StreamSeq first_seq) {
  int64_t deleted = 0;
  impl_->index.Visit(keys, [&](const KeyIndex::Entry& entry) {
    if (entry.newest()->tombstone()) return true;
    const auto offset = static_cast<uint64_t>(deleted++);
    impl_->Apply(
        &entry,
        {.key = entry.key(), .seq = StreamSeq(first_seq.value() + offset), .tombstone = true});
    return true;
  });
  return deleted;
}

void Store::GrantLease(LeaseId id, int64_t ttl_s) {
  JETD_CHECK(impl_->open) << "no transaction is open";
  impl_->leases.Grant(id, ttl_s);
  impl_->AddUndo({.kind = Impl::Undo::Kind::kGrant, .lease = id});
}

void Store::RevokeLease(LeaseId id) {
  JETD_CHECK(impl_->open) << "no transaction is open";
  JETD_CHECK(impl_->leases.KeyCount(id) == 0) << "keys hang on lease " << id;
  const std::optional<int64_t> ttl_s = impl_->leases.Remove(id);
  JETD_CHECK(ttl_s.has_value()) << "no lease " << id;
  impl_->AddUndo({.kind = Impl::Undo::Kind::kRevoke, .lease = id, .ttl_s = *ttl_s});
}

bool Store::End() {
  Impl& s = *impl_;
  JETD_CHECK(s.open) << "no transaction is open";
  s.open = false;
  if (!s.changes.empty()) s.newest = s.newest.Next();
  // A transaction inside one may delete what another has put.
  for (Change& change : s.changes) {
    if (!change.prev || change.prev->mod_revision() != s.newest) continue;
    change.prev =
        KvRef::Share(KeyIndex::VersionAt(KeyIndex::Older(change.kv.get()), s.newest.Prev()));
  }
  s.values.Balance();
  if (s.open_undos == 0) return false;
  s.pending.push_back({s.newest, s.open_undos});
  return true;
}

void Store::Abort() {
  Impl& s = *impl_;
  JETD_CHECK(s.open) << "no transaction is open";
  s.open = false;
  s.changes.clear();
  s.UndoLast(s.open_undos);
}

size_t Store::pending() const { return impl_->pending.size(); }

void Store::CommitOldest() {
  Impl& s = *impl_;
  JETD_CHECK(!s.pending.empty()) << "nothing is pending";
  const Impl::PendingTxn& txn = s.pending.front();
  s.committed = txn.revision;
  s.undos.erase(s.undos.begin(), s.undos.begin() + static_cast<std::ptrdiff_t>(txn.undos));
  s.pending.pop_front();
}

void Store::Rollback() {
  Impl& s = *impl_;
  JETD_CHECK(!s.open) << "a transaction is open";
  s.UndoLast(s.undos.size());
  s.pending.clear();
  s.newest = s.committed;
}

void Store::Impl::UndoLast(size_t n) {
  for (; n > 0; --n) {
    const Undo undo = undos.back();
    undos.pop_back();
    switch (undo.kind) {
      case Undo::Kind::kGrant:
        leases.Remove(undo.lease);
        break;
      case Undo::Kind::kRevoke:
        leases.Grant(undo.lease, undo.ttl_s);
        break;
      case Undo::Kind::kChange: {
        const KvBlock* v = log.back();
        const KvBlock* before = KeyIndex::Older(v);
        log.PopBack();
        leases.Detach(v);
        if (before != nullptr) leases.Attach(before);
        index.Pop(v);
        break;
      }
    }
  }
}

// ---- Replay
// --------------------------------------------------------------------------------------

void Store::Clear() {
  const ValueCache::Options options = impl_->values.options();
  std::unique_ptr<ValueFiles> files = impl_->values.TakeFiles();
  impl_ = std::make_unique<Impl>();
  if (files == nullptr) return;
  files->Clear();
  UseValueFiles(std::move(files), options);
}

void Store::ExpectMany() {
  if (impl_->index.size() == 0) impl_->index.Unorder();
}

void Store::HasCome() { impl_->index.Order(); }

void Store::Swap(Store* other) {
  JETD_CHECK(!impl_->open && impl_->pending.empty()) << "transactions are pending";
  impl_.swap(other->impl_);
}

void Store::RestoreCompacted(Revision revision) {
  Impl& s = *impl_;
  JETD_CHECK(!s.open && s.pending.empty()) << "transactions are pending";
  if (revision <= s.compacted) return;
  s.compacted = revision;
  s.compactor.SetHorizon(revision);
}

void Store::Restore(KvRef kv) {
  Impl& s = *impl_;
  JETD_CHECK(!s.open && s.pending.empty()) << "transactions are pending";
  const KeyIndex::Entry* entry = s.index.Find(kv->key());
  const KvBlock* before = entry == nullptr ? nullptr : entry->newest();
  const KvBlock* v = s.index.Push(entry, std::move(kv));
  s.values.Add(v);
  s.log.PushBack(v);
  if (before != nullptr) s.leases.Detach(before);
  s.leases.Attach(v);
  RestoreRevision(v->mod_revision());
  s.values.Balance();
}

void Store::RestoreRevision(Revision at_least) {
  Impl& s = *impl_;
  JETD_CHECK(!s.open && s.pending.empty()) << "transactions are pending";
  s.newest = std::max(s.newest, at_least);
  s.committed = s.newest;
}

void Store::RestoreLease(LeaseId id, int64_t ttl_s) {
  impl_->leases.Remove(id);
  impl_->leases.Grant(id, ttl_s);
}

void Store::RestoreLeaseGone(LeaseId id) { impl_->leases.Remove(id); }

// ---- Leases
// --------------------------------------------------------------------------------------

std::optional<Store::LeaseInfo> Store::FindLease(LeaseId id) const {
  const std::optional<int64_t> ttl_s = impl_->leases.TtlSeconds(id);
  if (!ttl_s.has_value()) return std::nullopt;
  return LeaseInfo{id, *ttl_s};
}

std::vector<Store::LeaseInfo> Store::Leases() const {
  std::vector<LeaseInfo> infos;
  for (const LeaseId id : impl_->leases.Ids()) {
    infos.push_back({id, impl_->leases.TtlSeconds(id).value_or(0)});
  }
  return infos;
}

size_t Store::lease_count() const { return impl_->leases.size(); }

// ---- Compaction
// ----------------------------------------------------------------------------------

absl::Status Store::CheckCompact(Revision revision) const {
  if (revision <= impl_->compacted) return MakeError(Errc::kCompacted);
  if (revision > impl_->committed) return MakeError(Errc::kFutureRevision);
  return absl::OkStatus();
}

void Store::StartCompact(Revision revision) {
  JETD_CHECK(!impl_->open) << "a transaction is open";
  JETD_CHECK(CheckCompact(revision).ok()) << "compaction at " << revision << ", compacted "
                                          << impl_->compacted << ", committed " << impl_->committed;
  impl_->compacted = revision;
  impl_->compactor.SetHorizon(revision);
}

bool Store::CompactStep(size_t max_changes, Garbage* garbage) {
  JETD_CHECK(!impl_->open) << "a transaction is open";
  return impl_->compactor.Step(max_changes, garbage) && impl_->values.Clean();
}

Store::Garbage Store::Compact(Revision revision) {
  StartCompact(revision);
  Garbage garbage;
  while (!CompactStep(SIZE_MAX, &garbage)) {
  }
  return garbage;
}

}  // namespace jetd::revision
