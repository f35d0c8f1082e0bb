// SPDX-License-Identifier: Apache-2.0
//
// Several members of one bucket, when what a follower has read, or been told, is not what is there:
// records removed ahead of it, a stream that went back, another history.
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "revision/committer.h"
#include "revision/committer_follow_harness.h"
#include "revision/committer_harness.h"
#include "revision/invariants.h"

namespace jetd::revision {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using Leg = jetstream::MemoryLog::Leg;

class CommitterFollowFaultsTest : public FollowWorld {
 protected:
  void SetUp() override { log::Init({.level = log::Level::kError}); }
  Revision Put(Member* member, const std::string& key, const std::string& value) {
    const auto put = member->Put(key, value);
    Settle();
    if (!Ok(put)) {
      ADD_FAILURE() << "put of " << key;
      return {};
    }
    return RevisionOf(put);
  }
  // All below `revision` that is superseded is gone from the stream too.
  void Compact(Member* leader, Revision revision) {
    leader->committer->Compact(revision, Committer::Wait::kPhysical,
                               [](const auto& done) { EXPECT_TRUE(done.ok()) << done.status(); });
    Settle();
  }
  using Read = std::shared_ptr<std::optional<absl::StatusOr<RangeResult>>>;
  Read BeginRead(Member* member, const RangeOp* op) {
    auto read = std::make_shared<std::optional<absl::StatusOr<RangeResult>>>();
    member->committer->Range(op, [read](auto result) { *read = std::move(result); });
    Settle(milliseconds(50));
    return read;
  }
  // Puts 3 .. 5 at sequences 3 .. 5, which the stream loses while nobody is connected.
  void LoseThree(Member* a, Member* b) {
    Put(a, "k", "1");
    for (int i = 3; i <= 5; ++i) Put(a, "lost/" + std::to_string(i), "x");
    ASSERT_EQ(stream_.last(), StreamSeq(5));
    ASSERT_EQ(b->store.committed(), a->store.committed());
    Disconnect(a);
    Disconnect(b);
    Settle();
    stream_.LoseTail(StreamSeq(2));
  }
};

// c has not heard of the new leader yet, and the old one neither: it has to prove its word.
TEST_F(CommitterFollowFaultsTest, TheWordOfALeaderThatWasSupersededIsNotBelieved) {
  auto a = Start("a");
  auto b = Start("b");
  auto c = Start("c");
  Put(a.get(), "k", "1");
  const auto legs = {Leg::kRequest, Leg::kAnswer, Leg::kApi};
  for (const Leg leg : legs) a->log.Hold(leg);
  c->log.Hold(Leg::kApi);
  b->messenger->Freeze();
  Settle(seconds(3));
  ASSERT_TRUE(b->committer->leading());
  Put(b.get(), "k", "2");
  ASSERT_TRUE(a->committer->leading()) << "it does not know";
  const RangeOp op{.keys = {"k", {}}};
  const Read read = BeginRead(c.get(), &op);
  EXPECT_FALSE(read->has_value());
  for (const Leg leg : legs) a->log.Release(leg);
  c->log.Release(Leg::kApi);
  b->messenger->Thaw();
  Settle(seconds(3));
  ASSERT_TRUE(read->has_value() && (*read)->ok());
  EXPECT_EQ((**read)->kvs[0]->value(), "2");
}

// Written at a: k=1 (2), k=2 (3), a lease (4), and then k=3 (5) and a compaction (6), which lets 3
// go. A read that was begun before 5 has to see k=2 or more; b is at 2, and 4 is what comes next.
TEST_F(CommitterFollowFaultsTest, NothingIsReadBehindAGapThatACompactionLeft) {
  auto a = Start("a");
  auto b = Start("b");
  Put(a.get(), "k", "1");
  b->log.Hold(Leg::kApi);
  Put(a.get(), "k", "2");
  a->committer->GrantLease(LeaseId(7), 60, [](const auto&) {});
  Settle();
  const RangeOp op{.keys = {"k", {}}};
  const Read read = BeginRead(b.get(), &op);
  EXPECT_FALSE(read->has_value());
  Compact(a.get(), Put(a.get(), "k", "3"));
  ASSERT_EQ(stream_.Find(StreamSeq(3)), nullptr);
  ASSERT_NE(stream_.Find(StreamSeq(4)), nullptr);
  b->log.Release(Leg::kApi);
  Settle(seconds(1));
  ASSERT_TRUE(read->has_value() && (*read)->ok());
  EXPECT_EQ((**read)->kvs[0]->value(), "3");
  EXPECT_EQ(b->committer->phase(), Committer::Phase::kFollowing);
}

// A barrier that is gone is a gap too, and nothing to wait for.
TEST_F(CommitterFollowFaultsTest, AGapThatNoCompactionLeftIsPassed) {
  auto a = Start("a");
  auto b = Start("b");
  const uint64_t replayed = b->committer->counters().replayed_records;
  Put(a.get(), "k", "1");
  b->log.Hold(Leg::kApi);
  a->committer->GrantLease(LeaseId(7), 60, [](const auto&) {});
  Settle();
  Put(a.get(), "k", "2");
  const RangeOp op{.keys = {"k", {}}};
  const Read read = BeginRead(b.get(), &op);
  stream_.Delete(StreamSeq(3));  // stands for one: it counts in no revision
  b->log.Release(Leg::kApi);
  Settle(seconds(1));
  ASSERT_TRUE(read->has_value() && (*read)->ok());
  EXPECT_EQ((**read)->kvs[0]->value(), "2");
  // Nor is it held against a compaction that comes later.
  Compact(a.get(), Put(a.get(), "k", "3"));
  EXPECT_EQ(b->Get("k"), "3");
  EXPECT_EQ(b->store.compacted(), a->store.compacted());
  EXPECT_EQ(b->committer->counters().replayed_records, replayed) << "nothing was read anew";
}

// A foreign record at 3, where a lease was to land, and the put behind it at 4, which the leader
// voids with all from 3 on by its term record at 5. b hears of what is committed behind that, and
// has come as far as 4 when 3 is gone.
TEST_F(CommitterFollowFaultsTest, WhatIsVoidIsNotShownBeforeTheTermRecordIsRead) {
  auto a = Start("a", {.puts_off_deletions = true});
  auto b = Start("b", {.read_batch = 1});
  Put(a.get(), "k", "1");
  ASSERT_EQ(stream_.last(), StreamSeq(2));
  b->log.Hold(Leg::kApi);
  a->log.Hold(Leg::kRequest);
  a->committer->GrantLease(LeaseId(7), 60, [](const auto&) {});
  const auto put = a->Put("k", "2");
  exec_.RunDeferred();
  stream_.AppendForeign({.subject = "$KV.B.intruder", .payload = "x"});
  a->log.Release(Leg::kRequest);
  Settle();
  ASSERT_TRUE(Ok(put));
  ASSERT_EQ(stream_.last(), StreamSeq(7));
  stream_.Delete(StreamSeq(3));
  const size_t commits = b->recorder.commits.size();
  b->log.Pass(Leg::kApi, 1);
  exec_.RunDeferred();
  EXPECT_EQ(b->recorder.commits.size(), commits) << "4 is void";
  EXPECT_EQ(StaleGet(b.get(), "k"), "1");
  const uint64_t replayed = b->committer->counters().replayed_records;
  b->log.Release(Leg::kApi);
  Settle();
  EXPECT_EQ(StaleGet(b.get(), "k"), "2");
  EXPECT_EQ(b->committer->counters().replayed_records, replayed) << "nothing was read anew";
}

// The newest record of what is committed is gone before b comes to it, and nothing follows it.
TEST_F(CommitterFollowFaultsTest, WhatLiesBelowARecordThatIsGoneIsShown) {
  auto a = Start("a");
  auto b = Start("b");
  Put(a.get(), "k", "1");
  b->log.Hold(Leg::kApi);
  Put(a.get(), "k", "2");
  a->committer->GrantLease(LeaseId(7), 60, [](const auto&) {});
  Settle();
  stream_.Delete(stream_.last());  // stands for a barrier
  b->log.Release(Leg::kApi);
  Settle(seconds(1));
  EXPECT_EQ(StaleGet(b.get(), "k"), "2");
}

TEST_F(CommitterFollowFaultsTest, TakesOverThoughWhatItDidNotReadIsGone) {
  auto a = Start("a");
  auto b = Start("b");
  Put(a.get(), "k", "1");
  b->log.Hold(Leg::kApi);
  Put(a.get(), "k", "2");
  Compact(a.get(), Put(a.get(), "k", "3"));
  a.reset();
  Settle();
  b->log.Release(Leg::kApi);
  Settle(seconds(2));
  EXPECT_FALSE(b->fatal.has_value()) << *b->fatal;
  ASSERT_TRUE(b->committer->leading());
  EXPECT_EQ(b->Get("k"), "3");
  EXPECT_TRUE(CheckInvariants(b->store).ok());
  auto c = Start("c");
  EXPECT_EQ(c->store.HashKv(Revision(0))->hash, b->store.HashKv(Revision(0))->hash);
}

// What b was told of is lost. What lies at these sequences now is not committed for that.
TEST_F(CommitterFollowFaultsTest, WhatWasAnnouncedOfALostTailIsForgotten) {
  auto a = Start("a");
  auto b = Start("b");
  Put(a.get(), "k", "1");
  b->log.Hold(Leg::kApi);
  for (int i = 0; i < 3; ++i) Put(a.get(), "lost", "x");
  Disconnect(a.get());
  Disconnect(b.get());
  Settle();
  stream_.LoseTail(StreamSeq(2));
  a.reset();
  b->log.Release(Leg::kApi);
  auto c = Start("c");
  ASSERT_TRUE(c->committer->leading());
  c->log.Hold(Leg::kAnswer);
  auto put = c->Put("k", "2");
  exec_.RunDeferred();
  ASSERT_EQ(stream_.last(), StreamSeq(4));
  Reconnect(b.get());
  Settle(seconds(1));
  ASSERT_TRUE(b->committer->has_leader());
  EXPECT_EQ(StaleGet(b.get(), "k"), "1");
  c->log.Release(Leg::kAnswer);
  Settle();
  EXPECT_TRUE(Ok(put));
  EXPECT_EQ(b->Get("k"), "2");
  EXPECT_FALSE(b->recorder.lost) << "b has not shown what was lost";
}

// b has shown revision 5, at sequence 5. c knows nothing of that, and has another 5 at sequence 6.
TEST_F(CommitterFollowFaultsTest, AFreshLeaderIsToldOfALossAndWritesItDown) {
  auto a = Start("a");
  auto b = Start("b");
  ASSERT_NO_FATAL_FAILURE(LoseThree(a.get(), b.get()));
  a.reset();
  auto c = Start("c");
  for (int i = 0; i < 5; ++i) Put(c.get(), "lost/" + std::to_string(i), "other");
  const Revision given = c->store.committed();
  Reconnect(b.get());
  Settle(seconds(4));
  ASSERT_TRUE(c->fatal.has_value()) << "it gave revisions out again";
  EXPECT_EQ(GetErrc(*c->fatal), Errc::kCorrupt);
  EXPECT_FALSE(b->fatal.has_value()) << *b->fatal;
  ASSERT_TRUE(b->committer->leading());
  EXPECT_GT(b->store.compacted(), given) << "older watches are told so, of both pasts";
  EXPECT_TRUE(b->committer->alarms().Has(jetstream::AlarmType::kCorrupt));
  EXPECT_FALSE(b->recorder.lost);
  EXPECT_EQ(b->Get("lost/4"), "other");
  auto d = Start("d");
  EXPECT_EQ(d->store.HashKv(Revision(0))->hash, b->store.HashKv(Revision(0))->hash);
}

// It gets no proof that it leads, as one of a version that does not listen gets none either.
TEST_F(CommitterFollowFaultsTest, ALeaderThatWritesNoLossDownIsNotWaitedForForEver) {
  auto a = Start("a");
  auto b = Start("b");
  ASSERT_NO_FATAL_FAILURE(LoseThree(a.get(), b.get()));
  a.reset();
  auto c = Start("c");
  for (int i = 0; i < 5; ++i) Put(c.get(), "lost/" + std::to_string(i), "other");
  c->log.Hold(Leg::kRequest);
  Reconnect(b.get());
  Settle(seconds(20));
  EXPECT_FALSE(b->committer->has_leader()) << "nothing of the new past is shown";
  EXPECT_FALSE(b->recorder.lost);
  Settle(seconds(20));
  EXPECT_TRUE(b->recorder.lost) << "though the store has gone on beyond what b knows";
  EXPECT_EQ(b->committer->counters().lost_tails, 1U);
  EXPECT_EQ(StaleGet(b.get(), "lost/4"), "other");
  // It says so when it leads.
  c.reset();
  Settle(seconds(4));
  ASSERT_TRUE(b->committer->leading());
  EXPECT_TRUE(b->committer->alarms().Has(jetstream::AlarmType::kCorrupt));
}

// c and d lead while b is away; their term records are gone by the time it is back, and what lies
// at its position makes the revision that it knows.
TEST_F(CommitterFollowFaultsTest, AnotherPastWithoutItsTermRecordsIsFound) {
  auto a = Start("a");
  auto b = Start("b");
  Put(a.get(), "k", "1");
  for (int i = 0; i < 2; ++i) a->committer->GrantLease(LeaseId(7 + i), 60, [](const auto&) {});
  Settle();
  const Revision shown = Put(a.get(), "k", "2");
  ASSERT_EQ(stream_.last(), StreamSeq(5));
  ASSERT_EQ(b->store.committed(), shown);
  Disconnect(a.get());
  Disconnect(b.get());
  Settle();
  stream_.LoseTail(StreamSeq(2));
  a.reset();
  auto c = Start("c");
  c.reset();
  auto d = Start("d");
  ASSERT_EQ(Put(d.get(), "k", "3"), shown);
  ASSERT_EQ(stream_.last(), StreamSeq(5));
  d.reset();
  auto e = Start("e");
  // They are superseded, and go with the next compaction.
  for (const uint64_t term : {1, 3, 4}) stream_.Delete(StreamSeq(term));
  Reconnect(b.get());
  Settle(seconds(4));
  EXPECT_TRUE(e->fatal.has_value());
  ASSERT_TRUE(b->committer->leading());
  EXPECT_GT(b->store.compacted(), shown);
}

// A follower may have read a replica that was behind.
TEST_F(CommitterFollowFaultsTest, ALeaderThatHasWhatIsSaidToBeLostLeadsOn) {
  auto a = Start("a");
  auto b = Start("b");
  const Revision shown = Put(a.get(), "k", "1");
  const StreamSeq at = stream_.last();
  b->peers->set_lost(Peers::Lost{.revision = shown, .mark = {at}});
  Settle(seconds(2));
  EXPECT_TRUE(a->committer->leading());
  b->peers->set_lost(Peers::Lost{.revision = shown, .mark = {at.Next()}});
  Settle(seconds(2));
  EXPECT_TRUE(a->fatal.has_value()) << "it has another one";
}

// b has shown a put at 4 behind a lease at 3. c has its term record in the lease's place, and
// another put of the same key at 4, so it is of the same revision.
TEST_F(CommitterFollowFaultsTest, ARecordThatLooksTheSameIsNotTakenForTheLostOne) {
  auto a = Start("a");
  auto b = Start("b");
  Put(a.get(), "k", "1");
  a->committer->GrantLease(LeaseId(7), 60, [](const auto&) {});
  Settle();
  const Revision shown = Put(a.get(), "k", "2");
  ASSERT_EQ(stream_.last(), StreamSeq(4));
  ASSERT_EQ(b->store.committed(), shown);
  Disconnect(a.get());
  Disconnect(b.get());
  Settle();
  stream_.LoseTail(StreamSeq(2));
  a.reset();
  auto c = Start("c");
  ASSERT_EQ(Put(c.get(), "k", "3"), shown);
  ASSERT_EQ(stream_.last(), StreamSeq(4));
  Reconnect(b.get());
  Settle(seconds(4));
  EXPECT_TRUE(c->fatal.has_value());
  ASSERT_TRUE(b->committer->leading());
  EXPECT_GT(b->store.compacted(), shown);
}

TEST_F(CommitterFollowFaultsTest, AFollowerThatAloneKnowsOfALossWritesItDown) {
  auto a = Start("a");
  auto b = Start("b");
  ASSERT_NO_FATAL_FAILURE(LoseThree(a.get(), b.get()));
  const Revision seen = b->store.committed();
  const uint64_t replayed = b->committer->counters().replayed_records;
  a.reset();
  Reconnect(b.get());
  Settle(seconds(4));
  ASSERT_TRUE(b->fatal.has_value());
  EXPECT_EQ(GetErrc(*b->fatal), Errc::kCorrupt);
  EXPECT_THAT(std::string(MessageOf(*b->fatal)), HasSubstr("lost/3 (3), lost/4 (4), lost/5 (5)"));
  EXPECT_EQ(b->committer->counters().replayed_records, replayed) << "nothing was read anew";
  b.reset();
  auto c = Start("c");
  ASSERT_TRUE(c->committer->leading());
  EXPECT_GT(c->store.committed(), seen);
  EXPECT_EQ(c->store.compacted(), c->store.committed());
  EXPECT_TRUE(c->committer->alarms().Has(jetstream::AlarmType::kCorrupt));
}

// A replica may just be behind, so b reads anew; but then its own term record is in.
TEST_F(CommitterFollowFaultsTest, WhoTakesOverAReplicatedStreamWithALossWritesItDown) {
  auto a = Start("a", {.replicas = 3});
  auto b = Start("b", {.replicas = 3});
  ASSERT_NO_FATAL_FAILURE(LoseThree(a.get(), b.get()));
  const Revision seen = b->store.committed();
  a.reset();
  Reconnect(b.get());
  Settle(seconds(4));
  ASSERT_TRUE(b->fatal.has_value());
  EXPECT_EQ(GetErrc(*b->fatal), Errc::kCorrupt);
  b.reset();
  auto c = Start("c", {.replicas = 3});
  ASSERT_TRUE(c->committer->leading());
  EXPECT_GT(c->store.committed(), seen) << "what b has shown must not come again";
  EXPECT_TRUE(c->committer->alarms().Has(jetstream::AlarmType::kCorrupt));
}

TEST_F(CommitterFollowFaultsTest, ALossThatTheLeaderKnowsOfIsItsOwnToWriteDown) {
  auto a = Start("a");
  auto b = Start("b");
  ASSERT_NO_FATAL_FAILURE(LoseThree(a.get(), b.get()));
  const Revision seen = b->store.committed();
  Reconnect(a.get());
  Reconnect(b.get());
  Settle(seconds(4));
  ASSERT_TRUE(a->fatal.has_value());
  EXPECT_FALSE(b->fatal.has_value()) << *b->fatal;
  EXPECT_TRUE(b->committer->leading());
  EXPECT_GT(b->store.committed(), seen);
  EXPECT_EQ(b->store.compacted(), b->store.committed()) << "older watches are told so";
  EXPECT_TRUE(b->committer->alarms().Has(jetstream::AlarmType::kCorrupt));
}

TEST_F(CommitterFollowFaultsTest, ValuesOfAStoreThatWasReadAnewAreInFilesToo) {
  auto a = Start("a");
  auto b = Start("b", {}, /*value_budget_bytes=*/0);
  for (int i = 0; i < 20; ++i) Put(a.get(), "k" + std::to_string(i), std::string(100, 'v'));
  EXPECT_GT(b->store.stats().cold_bytes, 2'000U);
  for (int round = 0; round < 3; ++round) {
    Disconnect(b.get());
    Settle();
    Put(a.get(), "more", "1");
    Compact(a.get(), Put(a.get(), "more", "2"));
    Reconnect(b.get());
    Settle(seconds(1));
    EXPECT_GT(b->store.stats().cold_bytes, 2'000U) << round;
    EXPECT_EQ(b->Get("k7"), std::string(100, 'v'));
    EXPECT_EQ(b->Get("more"), "2");
    EXPECT_FALSE(b->recorder.lost);
    EXPECT_TRUE(CheckInvariants(b->store).ok());
  }
}

// What b has replayed has no ack yet where it is led.
TEST_F(CommitterFollowFaultsTest, WhatWasReplayedIsNotShownForAReconnect) {
  auto a = Start("a");
  a->log.Hold(Leg::kAnswer);
  const auto put = a->Put("k", "1");
  Settle();
  ASSERT_FALSE(put->answer.has_value());
  auto b = Start("b");
  ASSERT_EQ(b->committer->phase(), Committer::Phase::kFollowing);
  Disconnect(b.get());
  exec_.RunDeferred();
  Reconnect(b.get());
  Settle(seconds(1));
  EXPECT_EQ(b->recorder.following, Term{}) << "a may void it yet";
  a->log.Release(Leg::kAnswer);
  Settle();
  EXPECT_TRUE(Ok(put));
  EXPECT_EQ(b->recorder.following, Term(1));
  EXPECT_EQ(b->Get("k"), "1");
}

// The leader's word has its revision: whoever is at its sequence and shows less reads anew.
TEST_F(CommitterFollowFaultsTest, AReadWaitsForTheLeadersRevisionToo) {
  auto a = Start("a");
  auto b = Start("b");
  const Revision shown = Put(a.get(), "k", "1");
  std::optional<absl::Status> applied;
  b->committer->WaitApplied({stream_.last(), shown.Next()},
                            [&applied](const absl::Status& status) { applied = status; });
  Settle();
  EXPECT_FALSE(applied.has_value());
  Put(a.get(), "k", "2");
  Settle(seconds(1));
  ASSERT_TRUE(applied.has_value());
  EXPECT_TRUE(applied->ok()) << *applied;
  EXPECT_EQ(StaleGet(b.get(), "k"), "2");
}

// The leader keeps the lead over a broken connection; the answers that were on it are lost.
TEST_F(CommitterFollowFaultsTest, ACallEndsWithTheConnectionOfTheLeader) {
  auto a = Start("a");
  auto b = Start("b");
  Peers::CallDone taken;
  a->peers->set_call_handler(
      [&taken](std::string_view, std::string_view, Peers::CallDone done) { taken = done; });
  std::optional<Errc> called;
  b->peers->Call("method", "request",
                 [&called](const auto& answer) { called = GetErrc(answer.status()); });
  Settle();
  ASSERT_TRUE(taken);
  EXPECT_FALSE(called.has_value());
  Disconnect(a.get());
  exec_.RunDeferred();
  Reconnect(a.get());
  Settle(seconds(1));
  ASSERT_TRUE(a->committer->leading());
  ASSERT_EQ(b->committer->phase(), Committer::Phase::kFollowing);
  EXPECT_EQ(called, Errc::kTimeout);
}

}  // namespace
}  // namespace jetd::revision
