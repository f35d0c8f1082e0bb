// SPDX-License-Identifier: Apache-2.0
// The Store against StoreModel: all short histories, and long random ones; with its values in
// memory, and in files beyond a budget.
#include "revision/store_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/etcdpb/kv.pb.h"
#include "revision/invariants.h"
#include "revision/store.h"
#include "revision/value_harness.h"

namespace jetd::revision {
namespace {

constexpr std::string_view kFromKey("\0", 1);
constexpr std::array kViews = {Store::View::kCommitted, Store::View::kNewest};

std::vector<std::string> Lines(const std::vector<KvRef>& kvs) {
  std::vector<std::string> lines;
  for (const KvRef& kv : kvs) lines.push_back(ToString(VersionOf(*kv)));
  return lines;
}
std::vector<std::string> Lines(const std::vector<ModelVersion>& kvs) {
  std::vector<std::string> lines;
  for (const ModelVersion& kv : kvs) lines.push_back(ToString(kv));
  return lines;
}

// Without the values, which keys_only may leave in their files.
std::vector<std::string> Numbers(const std::vector<KvRef>& kvs) {
  std::vector<std::string> lines;
  for (const KvRef& kv : kvs) {
    mvccpb::KeyValue read;
    EXPECT_TRUE(read.ParseFromString(std::string(kv->encoded_before_value()) +
                                     std::string(kv->encoded_after_value())));
    lines.push_back(ToString(ModelVersion{.key = read.key(),
                                          .value = {},
                                          .mod = {Revision(read.mod_revision()), kv->mod().sub},
                                          .create_revision = Revision(read.create_revision()),
                                          .version = read.version(),
                                          .lease = LeaseId(read.lease()),
                                          .seq = kv->seq()}));
  }
  return lines;
}
std::vector<std::string> Numbers(std::vector<ModelVersion> kvs) {
  for (ModelVersion& kv : kvs) kv.value.clear();
  return Lines(kvs);
}

void ExpectSameRange(const Store& store, const StoreModel& model, const RangeOp& op,
                     Store::View view) {
  const auto got = store.Range(op, view);
  const auto want = model.Range(op, view);
  ASSERT_EQ(GetErrc(got.status()), GetErrc(want.status()));
  if (!got.ok()) return;
  EXPECT_EQ(got->revision, want->revision);
  EXPECT_EQ(got->count, want->count);
  EXPECT_EQ(got->more, want->more);
  if (op.keys_only) {
    ASSERT_EQ(Numbers(got->kvs), Numbers(want->kvs));
  } else {
    ASSERT_EQ(Lines(got->kvs), Lines(want->kvs));
  }
}

// The same answer in steps of `step` keys.
void ExpectSameSteps(const Store& store, const StoreModel& model, const RangeOp& op, size_t step) {
  auto cursor = store.OpenCursor(op);
  const auto want = model.Range(op, Store::View::kCommitted);
  ASSERT_EQ(GetErrc(cursor.status()), GetErrc(want.status()));
  if (!cursor.ok()) return;
  RangeResult got;
  while (!cursor->done) ASSERT_TRUE(store.Step(op, step, &*cursor, &got).ok());
  EXPECT_EQ(got.revision, want->revision);
  EXPECT_EQ(got.count, want->count);
  EXPECT_EQ(got.more, want->more);
  if (op.keys_only) {
    ASSERT_EQ(Numbers(got.kvs), Numbers(want->kvs));
  } else {
    ASSERT_EQ(Lines(got.kvs), Lines(want->kvs));
  }
}

void ExpectSameHistory(const Store& store, const StoreModel& model, Revision from) {
  std::vector<StoreModel::Event> got;
  const auto next = store.History(from, SIZE_MAX, [&got, &store](const Change& change) {
    StoreModel::Event event{VersionOf(*store.Load(change.kv)), {}};
    if (change.prev) event.prev = VersionOf(*store.Load(change.prev));
    got.push_back(std::move(event));
  });
  if (from < model.compacted()) {
    EXPECT_EQ(GetErrc(next.status()), Errc::kCompacted);
    return;
  }
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(*next, std::max(from, model.committed().Next()));
  EXPECT_EQ(got, model.History(from)) << "from " << from;
}

void ExpectSameLeases(const Store& store, const StoreModel& model) {
  std::vector<LeaseId> ids;
  for (const Store::LeaseInfo& lease : store.Leases()) {
    ids.push_back(lease.id);
    const auto it = model.leases().find(lease.id);
    ASSERT_NE(it, model.leases().end());
    EXPECT_EQ(lease.ttl_s, it->second);
    for (const Store::View view : kViews) {
      EXPECT_EQ(store.LeaseKeys(lease.id, view), model.LeaseKeys(lease.id, view));
    }
  }
  EXPECT_EQ(ids.size(), model.leases().size());
}

// What a store that may still be dropping garbage must agree on.
void ExpectSameToReaders(const Store& store, const StoreModel& model) {
  const absl::Status invariants = CheckInvariants(store);
  ASSERT_TRUE(invariants.ok()) << invariants;
  ASSERT_EQ(store.newest(), model.newest());
  ASSERT_EQ(store.committed(), model.committed());
  ASSERT_EQ(store.compacted(), model.compacted());
  ASSERT_EQ(store.pending(), model.pending());
  for (int64_t at = -1; at <= model.newest().value() + 1; ++at) {
    for (const Store::View view : kViews) {
      ExpectSameRange(store, model, {.keys = {"", kFromKey}, .revision = Revision(at)}, view);
    }
    if (at > 0) ExpectSameHistory(store, model, Revision(at));
    const auto hash = store.HashKv(Revision(at));
    if (at > 0 && at < model.compacted().value()) {
      EXPECT_EQ(GetErrc(hash.status()), Errc::kCompacted);
    } else if (at > model.committed().value()) {
      EXPECT_EQ(GetErrc(hash.status()), Errc::kFutureRevision);
    } else if (at > 0) {
      ASSERT_EQ(hash->hash, model.HashKv(Revision(at)))
          << "at " << at << ", compacted " << model.compacted();
      EXPECT_EQ(hash->compact_revision, model.compacted());
    }
  }
  ExpectSameLeases(store, model);
}

void ExpectSameStats(const Store& store, const StoreModel& model) {
  EXPECT_EQ(store.stats().versions, model.versions().size());
  const auto all = model.Range({.keys = {"", kFromKey}, .count_only = true}, Store::View::kNewest);
  EXPECT_EQ(store.stats().keys, static_cast<size_t>(all->count));
}

std::vector<StreamSeq> Sorted(std::vector<StreamSeq> seqs) {
  std::sort(seqs.begin(), seqs.end());
  return seqs;
}

void ExpectSameGarbage(const Store::Garbage& got, const std::vector<ModelVersion>& want) {
  Store::Garbage garbage;
  for (const ModelVersion& v : want) {
    (v.tombstone ? garbage.tombstones : garbage.superseded).push_back(v.seq);
  }
  EXPECT_EQ(Sorted(got.superseded), Sorted(garbage.superseded));
  std::vector<StreamSeq> tombstones = got.tombstones;
  tombstones.insert(tombstones.end(), got.last_tombstones.begin(), got.last_tombstones.end());
  EXPECT_EQ(Sorted(tombstones), Sorted(garbage.tombstones));
}

// Restores what `model` keeps into a new store, as a replay would.
void ExpectSameAfterReplay(const StoreModel& model, std::optional<size_t> budget_bytes) {
  ASSERT_EQ(model.pending(), 0U);
  std::optional<ScratchFolder> folder;
  Store store;
  if (budget_bytes.has_value()) UseTinyValueFiles(&store, folder.emplace().path(), *budget_bytes);
  store.RestoreCompacted(model.compacted());
  for (const auto& [id, ttl_s] : model.leases()) store.RestoreLease(id, ttl_s);
  Store::Garbage garbage;
  for (const ModelVersion& v : model.versions()) {
    store.Restore(KvBlock::Make({.key = v.key,
                                 .value = v.value,
                                 .mod = v.mod,
                                 .create_revision = v.create_revision,
                                 .version = v.version,
                                 .lease = v.lease,
                                 .seq = v.seq,
                                 .tombstone = v.tombstone}));
    store.CompactStep(3, &garbage);
  }
  store.RestoreRevision(model.newest());
  ASSERT_TRUE(store.CompactStep(SIZE_MAX, &garbage));
  EXPECT_TRUE(garbage.superseded.empty());
  EXPECT_TRUE(garbage.tombstones.empty());
  EXPECT_TRUE(garbage.last_tombstones.empty());
  ExpectSameToReaders(store, model);
  ExpectSameStats(store, model);
}

// Both, side by side.
class Pair {
 public:
  // All values in memory, or no more than a budget.
  explicit Pair(std::optional<size_t> budget_bytes) {
    if (budget_bytes.has_value()) {
      UseTinyValueFiles(&store, folder_.emplace().path(), *budget_bytes);
    }
  }
  void Put(std::string_view key, std::string_view value, LeaseId lease) {
    store.Put(key, value, lease, StreamSeq(seq_));
    model.Put(key, value, lease, StreamSeq(seq_++));
  }
  void Delete(const KeyRange& keys) {
    const int64_t deleted = store.Delete(keys, StreamSeq(seq_));
    EXPECT_EQ(deleted, model.Delete(keys, StreamSeq(seq_)));
    seq_ += static_cast<uint64_t>(deleted);
  }
  void Begin() {
    store.Begin();
    model.Begin();
  }
  void End() { EXPECT_EQ(store.End(), model.End()); }
  void Abort() {
    store.Abort();
    model.Abort();
  }
  void CommitOldest() {
    if (model.pending() == 0) return;
    store.CommitOldest();
    model.CommitOldest();
  }
  void CommitAll() {
    while (model.pending() > 0) CommitOldest();
  }
  void Rollback() {
    store.Rollback();
    model.Rollback();
  }
  void Compact(Revision revision) {
    if (!store.CheckCompact(revision).ok()) return;
    ExpectSameGarbage(store.Compact(revision), model.Compact(revision));
  }

 private:
  std::optional<ScratchFolder> folder_;  // outlives the store
  uint64_t seq_ = 1;

 public:
  Store store;
  StoreModel model;
};

// Every history of up to five of these steps over two keys.
class ExhaustiveTest {
 public:
  static constexpr int kKinds = 9;

  static void RunAll(int steps, std::optional<size_t> budget_bytes) {
    int count = 1;
    for (int i = 0; i < steps; ++i) count *= kKinds;
    for (int code = 0; code < count; ++code) {
      Run(steps, code, budget_bytes);
      ASSERT_FALSE(testing::Test::HasFailure()) << "history " << code;
    }
  }

 private:
  static void Run(int steps, int code, std::optional<size_t> budget_bytes) {
    Pair pair(budget_bytes);
    for (int i = 0; i < steps; ++i, code /= kKinds) Apply(&pair, code % kKinds);
    ExpectSameToReaders(pair.store, pair.model);
    ExpectSameStats(pair.store, pair.model);
    pair.CommitAll();
    ExpectSameAfterReplay(pair.model, budget_bytes);
    pair.Rollback();
    ExpectSameToReaders(pair.store, pair.model);
  }

  static void Apply(Pair* pair, int kind) {
    if (kind == 6) return pair->CommitOldest();
    if (kind == 7) return pair->Rollback();
    if (kind == 8) {
      pair->CommitAll();
      return pair->Compact(pair->model.committed());
    }
    pair->Begin();
    if (kind == 0 || kind == 4) pair->Put("a", "1", LeaseId());
    if (kind == 1) pair->Put("b", "2", LeaseId());
    if (kind == 2) pair->Delete({"a", ""});
    if (kind == 3) pair->Delete({"a", kFromKey});
    if (kind == 4) pair->Put("b", "3", LeaseId());
    if (kind == 5) {
      pair->Delete({"a", ""});
      pair->Put("a", "4", LeaseId());
    }
    pair->End();
  }
};

TEST(StoreModelTest, AllShortHistories) { ExhaustiveTest::RunAll(5, std::nullopt); }

TEST(StoreModelTest, AllShortHistoriesWithoutValuesInMemory) { ExhaustiveTest::RunAll(3, 0); }

// A long random history; the seed is all it depends on.
class RandomHistory {
 public:
  explicit RandomHistory(uint32_t seed, std::optional<size_t> budget_bytes = {})
      : random_(seed), budget_bytes_(budget_bytes), pair_(budget_bytes) {}

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      Step();
      if (compacting_ && Below(2) == 0) compacting_ = !StepCompaction();
      CheckSome();
      if (Below(40) == 0) ExpectSameToReaders(pair_.store, pair_.model);
    }
    pair_.CommitAll();
    while (compacting_) compacting_ = !StepCompaction();
    ExpectSameToReaders(pair_.store, pair_.model);
    ExpectSameStats(pair_.store, pair_.model);
    ExpectSameAfterReplay(pair_.model, budget_bytes_);
  }

 private:
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

  // Prefixes of each other, empty tails, bytes above 0x7f.
  std::string_view Key() {
    static constexpr std::array<std::string_view, 12> kKeys = {
        "a", "aa", "aaa", "ab", "b", "b/", "b/c", "b/c/d", "c", "\xc3\xa9", "\xff", "\xff\xff"};
    return kKeys[Below(kKeys.size())];
  }
  KeyRange Keys() {
    switch (Below(4)) {
      case 0:
        return {Key(), ""};
      case 1:
        return {Key(), kFromKey};
      default:
        return {Key(), Key()};
    }
  }
  Revision SomeRevision() {
    return Revision(static_cast<int64_t>(Below(4) == 0 ? 0 : Below(Newest() + 2)));
  }
  uint32_t Newest() const { return static_cast<uint32_t>(pair_.model.newest().value()); }
  LeaseId SomeLease() {
    if (Below(2) == 0 || pair_.model.leases().empty()) return LeaseId();
    auto it = pair_.model.leases().begin();
    std::advance(it, Below(static_cast<uint32_t>(pair_.model.leases().size())));
    return it->first;
  }

  void Step() {
    const uint32_t kind = Below(20);
    if (kind < 3) return pair_.CommitOldest();
    if (kind < 4 && Below(4) == 0) return pair_.Rollback();
    if (kind < 6 && Below(4) == 0) return StartCompaction();
    if (kind < 8) return LeaseTransaction();
    Transaction();
  }

  void Transaction() {
    pair_.Begin();
    for (uint32_t n = 1 + Below(3); n > 0; --n) {
      if (Below(3) == 0) {
        pair_.Delete(Keys());
      } else {
        pair_.Put(Key(), std::string(Below(5), static_cast<char>('a' + Below(3))), SomeLease());
      }
    }
    const RangeOp op = SomeRange();
    ExpectSameRange(pair_.store, pair_.model, op, Store::View::kNewest);
    Below(10) == 0 ? pair_.Abort() : pair_.End();
  }

  void LeaseTransaction() {
    const LeaseId lease = SomeLease();
    pair_.Begin();
    if (lease == LeaseId()) {
      const LeaseId id(next_lease_++);
      pair_.store.GrantLease(id, 10 + id.value());
      pair_.model.GrantLease(id, 10 + id.value());
      if (Below(2) == 0) pair_.Put(Key(), "leased", id);
    } else {
      for (const std::string& key : pair_.store.LeaseKeys(lease)) pair_.Delete({key, ""});
      pair_.store.RevokeLease(lease);
      pair_.model.RevokeLease(lease);
    }
    Below(10) == 0 ? pair_.Abort() : pair_.End();
  }

  void StartCompaction() {
    const Revision at(static_cast<int64_t>(Below(Newest() + 1)));
    if (!pair_.store.CheckCompact(at).ok()) return;
    pair_.store.StartCompact(at);
    const std::vector<ModelVersion> dropped = pair_.model.Compact(at);
    expected_garbage_.insert(expected_garbage_.end(), dropped.begin(), dropped.end());
    compacting_ = true;
  }

  bool StepCompaction() {
    if (!pair_.store.CompactStep(1 + Below(5), &garbage_)) return false;
    ExpectSameGarbage(garbage_, expected_garbage_);
    ExpectSameStats(pair_.store, pair_.model);
    return true;
  }

  RangeOp SomeRange() {
    RangeOp op;
    op.keys = Keys();
    op.limit = static_cast<int64_t>(Below(3) == 0 ? Below(6) : 0) - (Below(20) == 0 ? 1 : 0);
    op.revision = SomeRevision();
    op.sort_order = static_cast<SortOrder>(Below(3));
    op.sort_target = static_cast<SortTarget>(Below(5));
    op.keys_only = Below(4) == 0;
    op.count_only = Below(5) == 0;
    if (Below(3) == 0) op.min_mod_revision = SomeRevision();
    if (Below(3) == 0) op.max_mod_revision = SomeRevision();
    if (Below(3) == 0) op.min_create_revision = SomeRevision();
    if (Below(3) == 0) op.max_create_revision = SomeRevision();
    return op;
  }

  void CheckSome() {
    const RangeOp op = SomeRange();
    ExpectSameRange(pair_.store, pair_.model, op, kViews[Below(2)]);
    ExpectSameSteps(pair_.store, pair_.model, op, 1 + Below(4));
    Compare compare;
    compare.target = static_cast<Compare::Target>(Below(5));
    compare.result = static_cast<Compare::Result>(Below(4));
    compare.keys = Keys();
    compare.number = Below(4);
    compare.value = "aa";
    const Store::View view = kViews[Below(2)];
    EXPECT_EQ(pair_.store.EvaluateCompare(compare, view),
              pair_.model.EvaluateCompare(compare, view));
    ExpectSameHistory(pair_.store, pair_.model, Revision(1 + Below(Newest() + 1)));
  }

  std::mt19937 random_;
  const std::optional<size_t> budget_bytes_;
  Pair pair_;
  int64_t next_lease_ = 1;
  bool compacting_ = false;
  Store::Garbage garbage_;
  std::vector<ModelVersion> expected_garbage_;
};

TEST(StoreModelTest, LongRandomHistories) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    RandomHistory(seed).Run(300);
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
}

TEST(StoreModelTest, LongRandomHistoriesWithValuesInFiles) {
  constexpr std::array<size_t, 4> kBudgets = {0, 100, 300, 1000};
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    RandomHistory(seed, kBudgets[seed % kBudgets.size()]).Run(300);
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace jetd::revision
