// SPDX-License-Identifier: Apache-2.0
#include "revision/snapshot.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "revision/invariants.h"
#include "revision/value_harness.h"

namespace jetd::revision {
namespace {

class SnapshotTest : public testing::Test {
 protected:
  void Txn(const std::function<void()>& write) {
    store_.Begin();
    write();
    if (store_.End()) store_.CommitOldest();
  }
  void Put(const std::string& key, const std::string& value) {
    Txn([&] { store_.Put(key, value, {}, StreamSeq(++seq_)); });
  }
  void Delete(const std::string& key) {
    Txn([&] { store_.Delete({.key = key, .end = {}}, StreamSeq(++seq_)); });
  }
  // "revision key=value", a tombstone without "=value".
  static std::vector<std::string> Texts(const Snapshot& snapshot) {
    std::vector<std::string> texts;
    for (const KvRef& version : snapshot.versions()) {
      const auto kv = snapshot.Load(version);
      EXPECT_TRUE(kv.ok()) << kv.status();
      if (!kv.ok()) continue;
      std::string text = Cat((*kv)->mod_revision().value(), " ", (*kv)->key());
      if (!(*kv)->tombstone()) CatTo(text, "=", (*kv)->value());
      texts.push_back(text);
    }
    return texts;
  }

  ScratchFolder folder_;
  Store store_;
  uint64_t seq_ = 0;
};

using Lines = std::vector<std::string>;

TEST_F(SnapshotTest, HoldsTheHistoryInItsOrder) {
  Put("b", "1");
  Put("a", "2");
  Delete("b");
  Txn([&] { store_.GrantLease(LeaseId(7), 60); });
  const auto snapshot = store_.TakeSnapshot();
  EXPECT_EQ(Texts(*snapshot), (Lines{"2 b=1", "3 a=2", "4 b"}));
  EXPECT_EQ(snapshot->revision(), Revision(4));
  EXPECT_EQ(snapshot->compacted(), Revision(-1));
  ASSERT_EQ(snapshot->leases().size(), 1U);
  EXPECT_EQ(snapshot->leases()[0].ttl_s, 60);
}

TEST_F(SnapshotTest, WhatIsPendingIsNotInIt) {
  Put("a", "1");
  store_.Begin();
  store_.Put("a", "2", {}, StreamSeq(++seq_));
  ASSERT_TRUE(store_.End());
  EXPECT_EQ(Texts(*store_.TakeSnapshot()), (Lines{"2 a=1"}));
}

// At the compaction: what was alive then, also if it was superseded since; no tombstones.
TEST_F(SnapshotTest, OfACompactedStore) {
  Put("a", "1");
  Put("b", "2");
  Put("a", "3");
  Delete("b");
  Put("c", "4");
  Put("a", "5");
  store_.StartCompact(Revision(6));
  const Lines expected = {"4 a=3", "6 c=4", "7 a=5"};
  EXPECT_EQ(Texts(*store_.TakeSnapshot()), expected) << "before the garbage is gone";
  Store::Garbage garbage;
  while (!store_.CompactStep(100, &garbage)) {
  }
  EXPECT_EQ(Texts(*store_.TakeSnapshot()), expected) << "and after";
}

TEST_F(SnapshotTest, StaysWhateverHappensToTheStore) {
  UseTinyValueFiles(&store_, folder_.path(), 0);
  Lines expected;
  for (int i = 0; i < 50; ++i) {
    Put(Cat("key", i % 10), std::string(40, static_cast<char>('a' + i % 26)));
    expected.push_back(Cat(i + 2, " key", i % 10, "=", std::string(40, 'a' + i % 26)));
  }
  auto snapshot = store_.TakeSnapshot();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 50; ++i) Put(Cat("key", i % 10), Cat("newer", round, "-", i));
    store_.Compact(store_.committed());
    EXPECT_EQ(Texts(*snapshot), expected);
    EXPECT_TRUE(CheckInvariants(store_).ok()) << CheckInvariants(store_);
  }
  // Then the files go that only the snapshot needed.
  const size_t pinned = store_.stats().file_bytes;
  snapshot.reset();
  EXPECT_LT(store_.stats().file_bytes, pinned / 2);
  EXPECT_TRUE(CheckInvariants(store_).ok()) << CheckInvariants(store_);
}

TEST_F(SnapshotTest, AfterTheStoreWasReadAnewItSaysSo) {
  UseTinyValueFiles(&store_, folder_.path(), 0);
  for (int i = 0; i < 20; ++i) Put("key", std::string(100, 'x'));
  const auto snapshot = store_.TakeSnapshot();
  ASSERT_TRUE(snapshot->versions().front()->cold());
  store_.Clear();
  EXPECT_FALSE(snapshot->Load(snapshot->versions().front()).ok());
}

}  // namespace
}  // namespace jetd::revision
