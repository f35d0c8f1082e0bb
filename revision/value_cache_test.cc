// SPDX-License-Identifier: Apache-2.0
//
// What a budget does to a store; that a store with one answers as one without is store_model_test's
// matter.
#include "revision/value_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "revision/invariants.h"
#include "revision/store.h"
#include "revision/value_harness.h"

namespace jetd::revision {
namespace {

constexpr size_t kValueBytes = 1000;
// One version's share of the budget: its block, key and numbers included.
constexpr size_t kVersionBytes = kValueBytes + 100;

class ValueCacheTest : public testing::Test {
 protected:
  void Use(size_t budget_bytes, size_t segment_bytes = 16 * kVersionBytes) {
    store_.UseValueFiles(OpenValueFiles({.folder = folder_.path(),
                                         .segment_bytes = segment_bytes,
                                         .buffer_bytes = 2 * kVersionBytes}),
                         {.budget_bytes = budget_bytes});
  }
  void Txn(const std::function<void()>& write) {
    store_.Begin();
    write();
    if (store_.End()) store_.CommitOldest();
  }
  void Put(const std::string& key, const std::string& value, LeaseId lease = {}) {
    Txn([&] { store_.Put(key, value, lease, StreamSeq(++seq_)); });
  }
  static std::string Value(int n) {
    return std::string(kValueBytes, static_cast<char>('a' + n % 26));
  }
  void ExpectSound() {
    const absl::Status status = CheckInvariants(store_);
    EXPECT_TRUE(status.ok()) << status;
  }
  [[nodiscard]] std::string ValueOf(const std::string& key) {
    const KvRef kv = store_.Get(key, Store::View::kCommitted);
    return kv ? std::string(kv->value()) : "none";
  }
  // Versions that are in files.
  [[nodiscard]] size_t Cold() {
    size_t cold = 0;
    const auto result = store_.Range({.keys = {"", std::string_view("\0", 1)}, .keys_only = true},
                                     Store::View::kCommitted);
    for (const KvRef& kv : result->kvs) cold += kv->cold() ? 1 : 0;
    return cold;
  }

  const ScratchFolder folder_;
  Store store_;
  uint64_t seq_ = 0;
};

TEST_F(ValueCacheTest, TheOldestBeyondTheBudgetGoOut) {
  Use(10 * kVersionBytes);
  for (int i = 0; i < 10; ++i) Put("key" + std::to_string(i), Value(i));
  EXPECT_EQ(Cold(), 0U);
  EXPECT_EQ(store_.stats().file_bytes, 0U);
  for (int i = 10; i < 30; ++i) Put("key" + std::to_string(i), Value(i));
  EXPECT_GE(Cold(), 19U);
  EXPECT_LE(Cold(), 20U);
  EXPECT_GT(store_.stats().cold_bytes, 19 * kValueBytes);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(ValueOf("key" + std::to_string(i)), Value(i));
  // Reading brings nothing back.
  EXPECT_GE(Cold(), 19U);
  ExpectSound();
}

TEST_F(ValueCacheTest, SmallValuesAndDeletionsStay) {
  Use(0);
  for (int i = 0; i < 20; ++i) Put("key" + std::to_string(i), std::string(255, 'v'));
  Txn([&] { store_.Delete({"key1", "key2"}, StreamSeq(++seq_)); });
  EXPECT_EQ(store_.stats().file_bytes, 0U);
  Put("key1", std::string(256, 'v'));
  EXPECT_EQ(Cold(), 1U);
  ExpectSound();
}

TEST_F(ValueCacheTest, WhoeverHoldsAVersionKeepsItsValue) {
  Use(0);
  store_.Begin();
  const KvRef held = store_.Put("a", Value(1), {}, StreamSeq(++seq_)).kv;
  ASSERT_TRUE(store_.End());
  store_.CommitOldest();
  EXPECT_EQ(Cold(), 1U);
  EXPECT_FALSE(held->cold());
  EXPECT_EQ(held->value(), Value(1));
  const KvRef loaded = store_.Get("a", Store::View::kCommitted);
  EXPECT_NE(loaded.get(), held.get());
  EXPECT_EQ(loaded->encoded(), held->encoded());
}

TEST_F(ValueCacheTest, APreviousVersionIsLoadedOnlyIfAsked) {
  Use(0);
  Put("a", Value(1));
  store_.Begin();
  store_.Put("a", Value(2), {}, StreamSeq(++seq_));
  ASSERT_TRUE(store_.End());
  const Change change = store_.txn_changes().front();
  store_.CommitOldest();
  EXPECT_EQ(change.kv->value(), Value(2));
  ASSERT_TRUE(change.prev->cold());
  EXPECT_EQ(store_.Load(change.prev)->value(), Value(1));
}

TEST_F(ValueCacheTest, LeasesAndHistoryFollowTheColdBlocks) {
  Use(0);
  Txn([&] { store_.GrantLease(LeaseId(5), 10); });
  for (int i = 0; i < 40; ++i) Put("key" + std::to_string(i % 4), Value(i), LeaseId(5));
  EXPECT_EQ(store_.LeaseKeys(LeaseId(5)).size(), 4U);
  int n = 0;
  const auto next = store_.History(Revision(2), SIZE_MAX, [&](const Change& change) {
    EXPECT_EQ(store_.Load(change.kv)->value(), Value(n));
    if (n >= 4) {
      EXPECT_EQ(store_.Load(change.prev)->value(), Value(n - 4));
    }
    ++n;
  });
  EXPECT_TRUE(next.ok());
  EXPECT_EQ(n, 40);
  ExpectSound();
  Put("key0", "now without");
  EXPECT_EQ(store_.LeaseKeys(LeaseId(5)).size(), 3U);
  ExpectSound();
}

TEST_F(ValueCacheTest, ARollbackFreesWhatIsPending) {
  Use(0);
  Put("a", Value(1));
  const size_t before = store_.stats().cold_bytes;
  for (int i = 0; i < 10; ++i) {
    store_.Begin();
    store_.Put("a", Value(i), {}, StreamSeq(100));
    store_.End();
  }
  EXPECT_GT(store_.stats().cold_bytes, 5 * before);
  store_.Rollback();
  EXPECT_EQ(store_.stats().cold_bytes, before);
  EXPECT_EQ(ValueOf("a"), Value(1));
  ExpectSound();
}

TEST_F(ValueCacheTest, AStoreThatIsClearedKeepsItsBudget) {
  Use(0);
  for (int i = 0; i < 40; ++i) Put("key" + std::to_string(i), Value(i));
  store_.Clear();
  EXPECT_EQ(store_.stats().file_bytes, 0U);
  EXPECT_EQ(ValueOf("key1"), "none");
  for (int i = 0; i < 40; ++i) Put("key" + std::to_string(i), Value(i + 1));
  EXPECT_EQ(Cold(), 40U);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(ValueOf("key" + std::to_string(i)), Value(i + 1));
  ExpectSound();
}

// Half of the versions go, spread over all files: what stays is moved together, in steps.
TEST_F(ValueCacheTest, FilesDoNotGrowWithoutBound) {
  Use(0);
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 100; ++i) Put("key" + std::to_string(i), Value(round + i));
    Garbage garbage;
    store_.StartCompact(store_.committed());
    int steps = 0;
    while (!store_.CompactStep(40, &garbage)) ++steps;
    EXPECT_GT(steps, 1);
    const Store::Stats stats = store_.stats();
    EXPECT_LE(stats.file_bytes, 2 * stats.cold_bytes + 4 * 16 * kVersionBytes);
    ExpectSound();
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ValueOf("key" + std::to_string(i)), Value(49 + i));
}

TEST_F(ValueCacheTest, FilesGoWithTheirLastValue) {
  Use(0);
  for (int i = 0; i < 200; ++i) Put("key" + std::to_string(i), Value(i));
  EXPECT_GT(store_.stats().file_bytes, 200 * kValueBytes);
  Txn([&] { store_.Delete({"", std::string_view("\0", 1)}, StreamSeq(1000)); });
  Put("last", "one");
  store_.Compact(store_.committed());
  EXPECT_EQ(store_.stats().cold_bytes, 0U);
  EXPECT_LE(store_.stats().file_bytes, 17 * kVersionBytes) << "the file that is written to";
  ExpectSound();
}

// A long-lived version does not keep the places of those that came and went after it.
TEST_F(ValueCacheTest, TheQueueForgetsWhatIsDropped) {
  Use(50 * kVersionBytes);
  Put("stays", Value(1));
  for (int i = 0; i < 2000; ++i) {
    Put("comes and goes", Value(i));
    if (i % 10 == 9) store_.Compact(store_.committed());
    if (i % 100 == 99) ExpectSound();
  }
  EXPECT_EQ(Cold(), 0U);
  EXPECT_EQ(store_.stats().file_bytes, 0U);
}

TEST_F(ValueCacheTest, AnswersTransactionsAndComparesFromFiles) {
  Use(0);
  Put("a", Value(1));
  Put("b", Value(2));
  EXPECT_TRUE(store_.EvaluateCompare(
      {.target = Compare::Target::kValue, .keys = {"a", ""}, .value = Value(1)},
      Store::View::kNewest));
  EXPECT_FALSE(store_.EvaluateCompare(
      {.target = Compare::Target::kValue, .keys = {"a", "c"}, .value = Value(1)},
      Store::View::kNewest));
  const auto sorted = store_.Range({.keys = {"a", "c"},
                                    .limit = 1,
                                    .sort_order = SortOrder::kDescend,
                                    .sort_target = SortTarget::kValue},
                                   Store::View::kCommitted);
  ASSERT_EQ(sorted->kvs.size(), 1U);
  EXPECT_EQ(sorted->kvs.front()->value(), Value(2));
}

// A step of a long range loads a bounded number of values.
TEST_F(ValueCacheTest, LongRangesLoadInSteps) {
  Use(0, 1000 * kVersionBytes);
  for (int i = 0; i < 1200; ++i) Put("key" + std::to_string(10000 + i), Value(i));
  for (const bool keys_only : {false, true}) {
    const RangeOp op{.keys = {"key", "kez"}, .keys_only = keys_only};
    auto cursor = store_.OpenCursor(op);
    RangeResult result;
    int steps = 0;
    while (!cursor->done) {
      ASSERT_TRUE(store_.Step(op, SIZE_MAX, &*cursor, &result).ok());
      ++steps;
    }
    EXPECT_EQ(steps, keys_only ? 1 : 3);
    ASSERT_EQ(result.kvs.size(), 1200U);
    for (size_t i = 0; i < result.kvs.size(); ++i) {
      ASSERT_EQ(result.kvs[i]->cold(), keys_only);
      if (!keys_only) {
        ASSERT_EQ(result.kvs[i]->value(), Value(static_cast<int>(i)));
      }
    }
  }
}

}  // namespace
}  // namespace jetd::revision
