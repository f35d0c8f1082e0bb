// SPDX-License-Identifier: Apache-2.0
#include "revision/store.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace jetd::revision {
namespace {

constexpr std::string_view kFromKey("\0", 1);
constexpr LeaseId kNoLease{};

std::vector<std::string> KeysOf(const std::vector<KvRef>& kvs) {
  std::vector<std::string> keys;
  for (const KvRef& kv : kvs) keys.emplace_back(kv->key());
  return keys;
}

// One transaction with one put, committed.
void CommittedPut(Store& store, std::string_view key, std::string_view value,
                  LeaseId lease = kNoLease) {
  store.Begin();
  store.Put(key, value, lease, StreamSeq(static_cast<uint64_t>(store.newest().value())));
  store.End();
  store.CommitOldest();
}

void CommittedDelete(Store& store, const KeyRange& keys) {
  store.Begin();
  store.Delete(keys, StreamSeq(static_cast<uint64_t>(store.newest().value())));
  store.End();
  store.CommitOldest();
}

using Keys = std::vector<std::string>;

TEST(StoreTest, StartsAtRevisionOneAndNeverCompacted) {
  Store store;
  EXPECT_EQ(store.newest(), Revision(1));
  EXPECT_EQ(store.committed(), Revision(1));
  EXPECT_EQ(store.compacted(), Revision(-1));
  const auto range = store.Range({.keys = {"a", kFromKey}}, Store::View::kCommitted);
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(range->revision, Revision(1));
  EXPECT_EQ(range->count, 0);
}

TEST(StoreTest, ReadersSeeOnlyWhatIsCommitted) {
  Store store;
  store.Begin();
  store.Put("a", "1", kNoLease, StreamSeq(1));
  EXPECT_EQ(store.txn_revision(), Revision(2));
  EXPECT_TRUE(store.Get("a", Store::View::kNewest));
  EXPECT_TRUE(store.End());
  EXPECT_EQ(store.newest(), Revision(2));
  EXPECT_FALSE(store.Get("a", Store::View::kCommitted));
  store.Begin();
  EXPECT_EQ(store.Delete({"a", ""}, StreamSeq(2)), 1);
  EXPECT_TRUE(store.End());
  store.CommitOldest();
  ASSERT_TRUE(store.Get("a", Store::View::kCommitted));
  EXPECT_FALSE(store.Get("a", Store::View::kNewest));
  store.Rollback();
  EXPECT_EQ(store.newest(), Revision(2));
  EXPECT_EQ(store.Get("a", Store::View::kNewest)->value(), "1");
}

TEST(StoreTest, ATransactionThatChangesNothingLeavesNothingPending) {
  Store store;
  store.Begin();
  EXPECT_EQ(store.Delete({"a", kFromKey}, StreamSeq(1)), 0);
  EXPECT_FALSE(store.End());
  EXPECT_EQ(store.pending(), 0U);
  EXPECT_EQ(store.newest(), Revision(1));
}

TEST(StoreTest, RollbackTakesBackLeasesAndAttachments) {
  Store store;
  store.Begin();
  store.GrantLease(LeaseId(7), 60);
  store.End();
  store.CommitOldest();
  CommittedPut(store, "a", "1", LeaseId(7));
  store.Begin();
  EXPECT_EQ(store.Delete({"a", ""}, StreamSeq(3)), 1);
  store.RevokeLease(LeaseId(7));
  store.End();
  store.Begin();
  store.GrantLease(LeaseId(8), 30);
  store.End();
  EXPECT_FALSE(store.FindLease(LeaseId(7)).has_value());
  EXPECT_EQ(store.pending(), 2U);
  store.Rollback();
  ASSERT_TRUE(store.FindLease(LeaseId(7)).has_value());
  EXPECT_EQ(store.FindLease(LeaseId(7))->ttl_s, 60);
  EXPECT_EQ(store.LeaseKeys(LeaseId(7)), Keys{"a"});
  EXPECT_FALSE(store.FindLease(LeaseId(8)).has_value());
}

TEST(StoreTest, LimitCutsKeysButNotTheCount) {
  Store store;
  for (const char* key : {"a", "b", "c", "d"}) CommittedPut(store, key, "v");
  CommittedDelete(store, {"b", ""});
  const auto range = store.Range({.keys = {"a", "d"}, .limit = 1}, Store::View::kCommitted);
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(KeysOf(range->kvs), Keys{"a"});
  EXPECT_EQ(range->count, 2);
  EXPECT_TRUE(range->more);
}

TEST(StoreTest, WatchersSeeWhatWasThereBeforeTheWholeTransaction) {
  Store store;
  CommittedPut(store, "old", "1");  // revision 2
  store.Begin();
  for (const char* key : {"old", "new"}) {
    store.Put(key, "2", kNoLease, StreamSeq(10));
    store.Delete({key, ""}, StreamSeq(11));
  }
  EXPECT_EQ(store.txn_changes()[1].prev->value(), "2") << "what the delete's own answer shows";
  store.End();
  ASSERT_EQ(store.txn_changes().size(), 4U);
  EXPECT_EQ(store.txn_changes()[1].prev->value(), "1");
  EXPECT_FALSE(store.txn_changes()[3].prev);
  // The same from history.
  store.CommitOldest();
  std::vector<std::string> before;
  const auto next = store.History(Revision(3), 10, [&](const Change& change) {
    before.emplace_back(change.prev ? change.prev->value() : "nothing");
  });
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(before, (Keys{"1", "1", "nothing", "nothing"}));
}

TEST(StoreTest, WithoutAnOrderTheLimitCutsBeforeTheSort) {
  Store store;
  for (const char* key : {"d", "c", "b", "a"}) CommittedPut(store, key, "");
  RangeOp op{.keys = {"a", "z"}, .limit = 2, .sort_target = SortTarget::kCreate};
  const auto first = store.Range(op, Store::View::kCommitted);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(KeysOf(first->kvs), (Keys{"c", "b"})) << "the oldest two of a, b and c";
  EXPECT_TRUE(first->more);
  EXPECT_EQ(first->count, 4);
  op.sort_order = SortOrder::kAscend;
  EXPECT_EQ(KeysOf(store.Range(op, Store::View::kCommitted)->kvs), (Keys{"d", "c"}));
  // A filter makes etcd look at all keys, too.
  op.sort_order = SortOrder::kNone;
  op.min_mod_revision = Revision(1);
  EXPECT_EQ(KeysOf(store.Range(op, Store::View::kCommitted)->kvs), (Keys{"d", "c"}));
}

TEST(StoreTest, CompactionKeepsATombstoneOfItsOwnRevision) {
  Store store;
  CommittedPut(store, "a", "1");      // 2
  CommittedPut(store, "a", "2");      // 3
  CommittedDelete(store, {"a", ""});  // 4
  CommittedPut(store, "a", "3");      // 5
  Store::Garbage garbage = store.Compact(Revision(4));
  EXPECT_EQ(garbage.superseded, (std::vector<StreamSeq>{StreamSeq(1), StreamSeq(2)}));
  EXPECT_TRUE(garbage.tombstones.empty());
  std::vector<Revision> seen;
  const auto next = store.History(Revision(4), 10, [&](const Change& change) {
    seen.push_back(change.kv->mod_revision());
    EXPECT_FALSE(change.prev);
  });
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(*next, Revision(6));
  EXPECT_EQ(seen, (std::vector<Revision>{Revision(4), Revision(5)}));
  EXPECT_EQ(GetErrc(store.History(Revision(3), 10, [](const Change&) {}).status()),
            Errc::kCompacted);
  garbage = store.Compact(Revision(5));
  EXPECT_EQ(garbage.tombstones, std::vector<StreamSeq>{StreamSeq(3)});
  EXPECT_TRUE(garbage.last_tombstones.empty());
  EXPECT_EQ(store.stats().versions, 1U);
}

}  // namespace
}  // namespace jetd::revision
