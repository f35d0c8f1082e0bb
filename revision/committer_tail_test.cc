// SPDX-License-Identifier: Apache-2.0
//
// How a follower reads the tail: what it holds, what it applies as it comes, what it reads twice
// and what it does not pass.
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/log.h"
#include "gtest/gtest.h"
#include "revision/committer.h"
#include "revision/committer_follow_harness.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Leg = jetstream::MemoryLog::Leg;

class CommitterTailTest : public FollowWorld {
 protected:
  void SetUp() override { log::Init({.level = log::Level::kError}); }
  // A record at a time, each under way for 5 ms.
  static jetstream::MemoryLog::Options Slow() {
    jetstream::MemoryLog::Options options;
    options.read_batch = 1;
    options.faults.api_delay = [] { return milliseconds(5); };
    return options;
  }
  void PutMany(Member* leader, int count) {
    for (int i = 0; i < count; ++i) leader->Put("many/" + std::to_string(i), std::string(100, 'x'));
    Settle();
  }
  // Lets `time` pass, and notes which revisions the member shows meanwhile.
  std::set<Revision> Shows(Member* member, milliseconds time) {
    std::set<Revision> shown;
    for (; time > milliseconds(0); time -= milliseconds(5)) {
      exec_.Advance(milliseconds(5));
      shown.insert(member->store.committed());
    }
    return shown;
  }
};

// 100 records of 300 bytes, and no more than 4,000 bytes are held.
TEST_F(CommitterTailTest, WhatIsFarAwayIsAppliedAsItComes) {
  constexpr size_t kMaxHeld = 4'000;
  auto a = Start("a");
  auto b = Start("b", Slow(), {}, kMaxHeld);
  Settle(seconds(1));
  PutMany(a.get(), 1);
  ASSERT_EQ(b->store.committed(), a->store.committed());
  const uint64_t replayed = b->committer->counters().replayed_records;
  b->log.Hold(Leg::kApi);
  PutMany(a.get(), 100);
  b->log.Release(Leg::kApi);
  EXPECT_GT(Shows(b.get(), seconds(3)).size(), 50U) << "before the last of them is read";
  EXPECT_EQ(b->store.committed(), a->store.committed());
  EXPECT_EQ(b->committer->phase(), Committer::Phase::kFollowing);
  EXPECT_EQ(b->committer->counters().replayed_records, replayed) << "nothing was read anew";
  // And it follows as before.
  const auto put = a->Put("k", "1");
  Settle();
  ASSERT_TRUE(Ok(put));
  EXPECT_EQ(StaleGet(b.get(), "k"), "1");
}

// It writes on while b reads what it wrote before.
TEST_F(CommitterTailTest, AFirstStartCatchesUpWithALeaderThatWritesOn) {
  auto a = Start("a");
  PutMany(a.get(), 50);
  auto b = Start("b", Slow(), {}, 4'000);
  for (int i = 0; i < 200; ++i) {
    a->Put("k", std::to_string(i) + std::string(100, 'x'));
    Settle(milliseconds(7));
  }
  EXPECT_GT(b->recorder.following, Term());
  EXPECT_EQ(b->committer->counters().replayed_records, 51U) << "the stream was read once";
  Settle(seconds(3));
  EXPECT_EQ(b->store.committed(), a->store.committed());
}

// A foreign record at 3, where a lease was to land, and k=2 behind it at 4; the leader voids both
// by its term record at 5, and k=2 comes again. All that is far below what b hears when it is back.
TEST_F(CommitterTailTest, NothingVoidIsShownOfWhatIsFarAway) {
  auto a = Start("a", {.puts_off_deletions = true});
  auto b = Start("b", Slow(), {}, 4'000);
  Settle(seconds(1));
  ASSERT_TRUE(a->committer->leading());
  const auto first = a->Put("k", "1");
  Settle();
  ASSERT_TRUE(Ok(first));
  ASSERT_EQ(stream_.last(), StreamSeq(2));
  ASSERT_EQ(b->store.committed(), RevisionOf(first));
  Disconnect(b.get());
  a->log.Hold(Leg::kRequest);
  a->committer->GrantLease(LeaseId(7), 60, [](const auto&) {});
  const auto put = a->Put("k", "2");
  exec_.RunDeferred();
  stream_.AppendForeign({.subject = "$KV.B.intruder", .payload = "x"});
  a->log.Release(Leg::kRequest);
  Settle();
  ASSERT_TRUE(Ok(put));
  ASSERT_EQ(stream_.last(), StreamSeq(7));
  PutMany(a.get(), 100);
  const uint64_t replayed = b->committer->counters().replayed_records;
  Reconnect(b.get());
  EXPECT_GT(Shows(b.get(), seconds(3)).size(), 50U) << "as it comes";
  const auto shown = b->Range({.keys = {"k", {}}, .serializable = true});
  ASSERT_TRUE(shown.has_value() && shown->ok() && !(*shown)->kvs.empty());
  EXPECT_EQ((*shown)->kvs[0]->value(), "2");
  EXPECT_GT((*shown)->kvs[0]->seq(), StreamSeq(5)) << "4 is void";
  EXPECT_EQ(b->store.committed(), a->store.committed());
  EXPECT_EQ(b->committer->counters().replayed_records, replayed) << "nothing was read anew";
}

// 1,000 records of some 170 bytes, one transaction: 120,000 bytes of it are read, then the term
// records, and then it comes once more, and each 1,900 bytes are worth a try. That goes over all
// that is held, so to try at each record would be 500 times as much as to read it.
TEST_F(CommitterTailTest, OneHugeTransactionThatIsFarAwayIsNotGoneOverAtEachRecord) {
  constexpr int kRecords = 1'000;
  auto a = Start("a");
  jetstream::MemoryLog::Options options = Slow();
  options.read_batch = 10;
  auto b = Start("b", options, {}, 120'000);
  Settle(seconds(1));
  const uint64_t replayed = b->committer->counters().replayed_records;
  b->log.Hold(Leg::kApi);
  const auto put = a->PutMany("many", kRecords, "x");
  PutMany(a.get(), 10);  // its announcements find the transaction half read
  ASSERT_TRUE(Ok(put));
  b->log.Release(Leg::kApi);
  for (int i = 0; i < 600; ++i) {
    a->Put("k", std::to_string(i));
    Settle(milliseconds(10));
  }
  Settle(seconds(10));
  EXPECT_EQ(b->store.committed(), a->store.committed());
  EXPECT_EQ(StaleGet(b.get(), "many/999"), "x");
  EXPECT_EQ(b->committer->counters().replayed_records, replayed) << "nothing was read anew";
  EXPECT_GT(b->committer->counters().held_looked_at, uint64_t{2 * kRecords}) << "it was far away";
  EXPECT_LT(b->committer->counters().held_looked_at, uint64_t{100 * kRecords});
}

// The stream's end is 0.25 s away, and more than one tick passes on the way there.
TEST_F(CommitterTailTest, ATailThatComesIsReadOnce) {
  auto a = Start("a");
  auto b = Start("b", Slow());
  Settle(seconds(1));
  for (int i = 0; i < 50; ++i) a->Put("many/" + std::to_string(i), "x");
  exec_.RunDeferred();
  const RangeOp op{.keys = {"many/49", {}}};
  bool read = false;
  b->committer->Range(&op, [&read](const auto& result) { read = result.ok(); });
  while (b->store.committed() < a->store.committed()) {
    exec_.Advance(milliseconds(5));
    ASSERT_LE(b->log.waiting(Leg::kApi), 1U) << "only the tail is read";
    ASSERT_LT(exec_.Now(), seconds(60));
  }
  Settle();
  EXPECT_TRUE(read);
}

// Written at a: k=1 (2), four leases (3 .. 6), their ends (7 .. 10), another lease (11), and then
// k=2 (12), a compaction (13) and a list of what lives (14), which let all these but 11 go. What is
// begun before 12 must not find the four at b, which is at 6; 11 is what comes next there, and
// makes no revision by which the others would be missed.
TEST_F(CommitterTailTest, NothingIsReadBehindAGapWhereLeasesEnded) {
  auto a = Start("a");
  auto b = Start("b", {.read_batch = 1});
  a->Put("k", "1");
  for (int i = 1; i <= 4; ++i) a->committer->GrantLease(LeaseId(i), 60, [](const auto&) {});
  Settle();
  ASSERT_EQ(b->store.lease_count(), 4U);
  b->log.Hold(Leg::kApi);
  for (int i = 1; i <= 4; ++i) a->committer->RevokeLease(LeaseId(i), [](const auto&) {});
  a->committer->GrantLease(LeaseId(5), 60, [](const auto&) {});
  Settle();
  ASSERT_EQ(stream_.last(), StreamSeq(11));
  std::optional<absl::Status> read;
  b->committer->Barrier([&read](const absl::Status& status) { read = status; });
  Settle(milliseconds(50));
  b->messenger->Freeze();  // it hears of nothing behind 11
  const auto put = a->Put("k", "2");
  Settle();
  ASSERT_TRUE(Ok(put));
  a->committer->Compact(RevisionOf(put), Committer::Wait::kPhysical, [](const auto&) {});
  Settle(seconds(1));
  for (uint64_t seq = 3; seq <= 10; ++seq) ASSERT_EQ(stream_.Find(StreamSeq(seq)), nullptr) << seq;
  ASSERT_NE(stream_.Find(StreamSeq(11)), nullptr);
  b->log.Pass(Leg::kApi, 1);
  exec_.RunDeferred();
  EXPECT_FALSE(read.has_value()) << "a compaction may lie behind it";
  b->messenger->Thaw();
  b->log.Release(Leg::kApi);
  Settle(seconds(1));
  ASSERT_TRUE(read.has_value());
  EXPECT_TRUE(read->ok()) << *read;
  EXPECT_EQ(b->store.lease_count(), 1U);
  EXPECT_TRUE(b->store.FindLease(LeaseId(5)).has_value());
  EXPECT_EQ(b->committer->phase(), Committer::Phase::kFollowing);
}

}  // namespace
}  // namespace jetd::revision
