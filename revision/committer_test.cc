// SPDX-License-Identifier: Apache-2.0
#include "revision/committer.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"
#include "jetstream/record.h"
#include "jetstream/subject.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using Leg = MemoryLog::Leg;
using std::chrono::milliseconds;
using std::chrono::seconds;

class CommitterTest : public ::testing::Test {
 protected:
  void Settle() {
    exec_.RunDeferred();
    exec_.Advance(milliseconds(200));
  }
  static bool Ok(const Member::PendingOp& op) { return op->answer.has_value() && op->answer->ok(); }
  static Errc ErrcOf(const Member::PendingOp& op) {
    return op->answer ? GetErrc(op->answer->status()) : Errc::kNone;
  }

  FakeExecutor exec_;
  MemoryStream stream_;
};

TEST_F(CommitterTest, LeadsAnEmptyStreamAtRevisionOne) {
  Member member(&exec_, &stream_, "a");
  EXPECT_TRUE(member.committer->leading());
  EXPECT_EQ(member.recorder.leading, Term(1));
  EXPECT_EQ(member.store.committed(), Revision(1));
  EXPECT_EQ(stream_.last(), StreamSeq(1)) << "one term record";
}

TEST_F(CommitterTest, AnswersWhenTheRecordIsDurableAndNotBefore) {
  Member member(&exec_, &stream_, "a");
  member.log.Hold(Leg::kSync);
  auto put = member.Put("k", "v");
  Settle();
  EXPECT_FALSE(put->answer.has_value());
  EXPECT_EQ(member.store.committed(), Revision(1));
  EXPECT_TRUE(member.recorder.commits.empty());
  member.log.Release(Leg::kSync);
  Settle();
  ASSERT_TRUE(Ok(put));
  EXPECT_EQ(RevisionOf(put), Revision(2));
  ASSERT_EQ(member.recorder.commits.size(), 1U);
  EXPECT_EQ(member.recorder.commits[0].keys, std::vector<std::string>{"k"});
}

TEST_F(CommitterTest, ARangeOfManyKeysIsSortedByItsTargetWithoutAnOrder) {
  Member member(&exec_, &stream_, "a");
  auto b = member.Put("b", "");
  auto a = member.Put("a", "");
  Settle();
  const auto read = member.Range({.keys = {"a", "z"}, .sort_target = SortTarget::kCreate});
  ASSERT_TRUE(read.has_value() && read->ok());
  ASSERT_EQ((*read)->kvs.size(), 2U);
  EXPECT_EQ((*read)->kvs[0]->key(), "b");
}

TEST_F(CommitterTest, LaterRequestsSeeWhatIsInFlight) {
  Member member(&exec_, &stream_, "a");
  member.log.Hold(Leg::kAnswer);
  auto create = member.Update("k", Revision(0), "1");
  auto update = member.Update("k", Revision(2), "2");
  auto stale = member.Update("k", Revision(2), "3");
  Settle();
  EXPECT_FALSE(create->answer || update->answer || stale->answer);
  member.log.Release(Leg::kAnswer);
  Settle();
  ASSERT_TRUE(Ok(create) && Ok(update) && Ok(stale));
  EXPECT_TRUE(std::get<TxnResult>((**update->answer).v).succeeded);
  const auto& failed = std::get<TxnResult>((**stale->answer).v);
  EXPECT_FALSE(failed.succeeded);
  EXPECT_EQ(failed.revision, Revision(3));
  EXPECT_EQ(std::get<RangeResult>(failed.responses[0].v).kvs[0]->value(), "2");
}

TEST_F(CommitterTest, AGroupIsCommittedWhole) {
  Member member(&exec_, &stream_, "a");
  member.log.Hold(Leg::kAnswer);
  auto many = member.PutMany("g", 3, "v");
  Settle();
  member.log.Pass(Leg::kAnswer, 2);
  Settle();
  EXPECT_FALSE(many->answer.has_value());
  EXPECT_EQ(member.store.committed(), Revision(1));
  member.log.Release(Leg::kAnswer);
  Settle();
  ASSERT_TRUE(Ok(many));
  ASSERT_EQ(member.recorder.commits.size(), 1U);
  EXPECT_EQ(member.recorder.commits[0].keys.size(), 3U);
}

TEST_F(CommitterTest, RestartFindsEverything) {
  Revision before;
  {
    Member member(&exec_, &stream_, "a");
    member.committer->GrantLease(LeaseId(77), 60,
                                 [](const auto& lease) { EXPECT_TRUE(lease.ok()); });
    for (int i = 0; i < 20; ++i) member.Put("k" + std::to_string(i), "v", LeaseId(77));
    member.PutMany("g", 4, "w");
    member.Delete("k3");
    Settle();
    before = member.store.committed();
    EXPECT_EQ(before, Revision(23));
  }
  Member again(&exec_, &stream_, "b");
  Settle();
  EXPECT_EQ(again.store.committed(), before);
  EXPECT_EQ(again.recorder.leading, Term(2));
  EXPECT_EQ(again.Get("k7"), "v");
  EXPECT_EQ(again.Get("k3"), "");
  EXPECT_EQ(again.Get("g/2"), "w");
  EXPECT_EQ(again.store.LeaseKeys(LeaseId(77)).size(), 19U);
  auto put = again.Put("after", "x");
  Settle();
  EXPECT_EQ(RevisionOf(put), before.Next());
}

TEST_F(CommitterTest, AGroupCutShortIsVoidedByWhoTakesOver) {
  {
    Member member(&exec_, &stream_, "a");
    member.Put("k", "v");
    Settle();
    member.log.Hold(Leg::kRequest);
    member.PutMany("g", 3, "half");
    exec_.RunDeferred();
    member.log.Pass(Leg::kRequest, 2);
    Settle();
    member.log.Disconnect();
  }
  const StreamSeq cut = stream_.last();
  Member next(&exec_, &stream_, "b");
  Settle();
  EXPECT_TRUE(next.committer->leading());
  EXPECT_EQ(next.store.committed(), Revision(2));
  EXPECT_EQ(next.Get("g/0"), "");
  EXPECT_EQ(next.committer->counters().voids, 2U);
  EXPECT_EQ(stream_.Find(cut), nullptr) << "voided records are removed";
  EXPECT_EQ(stream_.Find(cut.Prev()), nullptr);
  auto put = next.Put("k", "w");
  Settle();
  EXPECT_EQ(RevisionOf(put), Revision(3));
  // And a third one, that reads the voided range as holes, agrees.
  Member third(&exec_, &stream_, "c");
  Settle();
  EXPECT_EQ(third.Get("k"), "w");
  EXPECT_EQ(third.store.committed(), Revision(3));
}

class LostConnectionTest : public CommitterTest,
                           public ::testing::WithParamInterface<jetstream::AppendFate> {};

// Whatever became of what was in flight: it is answered as success once, and happened once.
TEST_P(LostConnectionTest, WritesInFlightAreSettled) {
  MemoryLog::Options options;
  options.faults.fate = [](StreamSeq) { return GetParam(); };
  Member member(&exec_, &stream_, "a", options);
  member.log.Hold(Leg::kRequest);
  auto one = member.Put("k", "1");
  auto many = member.PutMany("g", 3, "m");
  auto two = member.Put("k", "2");
  Settle();
  member.log.Pass(Leg::kRequest, 2);  // "1" and a part of the group
  exec_.RunDeferred();
  member.log.Disconnect();
  member.log.Release(Leg::kRequest);
  Settle();
  EXPECT_FALSE(two->answer.has_value());
  member.log.Reconnect();
  stream_.LandLate(1);
  Settle();
  stream_.LandLate(100);
  Settle();
  ASSERT_TRUE(Ok(one));
  ASSERT_TRUE(Ok(many));
  ASSERT_TRUE(Ok(two));
  EXPECT_EQ(RevisionOf(one), Revision(2));
  EXPECT_EQ(RevisionOf(many), Revision(3));
  EXPECT_EQ(RevisionOf(two), Revision(4));
  EXPECT_EQ(member.store.committed(), Revision(4));
  Member again(&exec_, &stream_, "b");
  Settle();
  EXPECT_EQ(again.store.committed(), Revision(4));
  EXPECT_EQ(again.Get("k"), "2");
  EXPECT_EQ(again.Get("g/2"), "m");
}

INSTANTIATE_TEST_SUITE_P(Fates, LostConnectionTest,
                         ::testing::Values(jetstream::AppendFate::kNever,
                                           jetstream::AppendFate::kLands,
                                           jetstream::AppendFate::kLate));

TEST_F(CommitterTest, AForeignRecordIsVoidedAndWritesGoOn) {
  Member member(&exec_, &stream_, "a");
  member.Put("k", "v");
  Settle();
  jetstream::NewRecord foreign;
  foreign.subject = "$KV.B.intruder";
  foreign.payload = "x";
  const StreamSeq seq = stream_.AppendForeign(foreign);
  auto put = member.Put("k", "w");
  auto many = member.PutMany("g", 3, "m");
  Settle();
  ASSERT_TRUE(Ok(put));
  ASSERT_TRUE(Ok(many));
  EXPECT_EQ(RevisionOf(put), Revision(3));
  EXPECT_EQ(member.Get("intruder"), "");
  EXPECT_EQ(stream_.Find(seq), nullptr);
  EXPECT_GE(member.committer->counters().foreign_records, 1U);
  EXPECT_EQ(member.Get("g/1"), "m");
  Member again(&exec_, &stream_, "b");
  Settle();
  EXPECT_EQ(again.Get("intruder"), "");
  EXPECT_EQ(again.Get("g/1"), "m");
  EXPECT_EQ(again.store.committed(), Revision(4));
}

TEST_F(CommitterTest, AnIdleReaderNoticesAForeignRecord) {
  Member member(&exec_, &stream_, "a");
  jetstream::NewRecord foreign;
  foreign.subject = "$KV.B.intruder";
  stream_.AppendForeign(foreign);
  EXPECT_EQ(member.Get("k"), "");
  Settle();
  EXPECT_EQ(member.committer->counters().chain_breaks, 1U);
  EXPECT_TRUE(member.committer->leading());
}

TEST_F(CommitterTest, AnOldLeaderIsFenced) {
  Member old(&exec_, &stream_, "old");
  old.Put("k", "v");
  Settle();
  Member next(&exec_, &stream_, "next");
  Settle();
  auto late = old.Put("k", "from the old leader");
  auto read = old.Range({.keys = {"k", {}}});
  Settle();
  ASSERT_TRUE(late->answer.has_value());
  EXPECT_FALSE(late->answer->ok());
  EXPECT_EQ(old.committer->phase(), Committer::Phase::kSuperseded);
  EXPECT_TRUE(old.recorder.step_down.has_value());
  EXPECT_EQ(next.Get("k"), "v");
  auto put = next.Put("k", "w");
  Settle();
  ASSERT_TRUE(Ok(put));
  EXPECT_EQ(RevisionOf(put), Revision(3));
  auto stale = old.Range({.keys = {"k", {}}});
  ASSERT_TRUE(stale.has_value());
  EXPECT_EQ(GetErrc(stale->status()), Errc::kNoLeader);
}

TEST_F(CommitterTest, AnIdleOldLeaderLearnsOfTheNewOne) {
  Member old(&exec_, &stream_, "old");
  Member next(&exec_, &stream_, "next");
  Settle();
  EXPECT_EQ(old.committer->phase(), Committer::Phase::kSuperseded);
}

// The old leader's records, late, land behind the new leader's term record: they never count.
TEST_F(CommitterTest, LateRecordsOfAnOldLeaderDoNotCount) {
  MemoryLog::Options options;
  options.faults.fate = [](StreamSeq) { return jetstream::AppendFate::kLate; };
  auto old = std::make_unique<Member>(&exec_, &stream_, "old", options);
  old->log.Hold(Leg::kRequest);
  auto a = old->Put("a", "late");
  auto b = old->Put("b", "late");
  auto c = old->Put("c", "late");
  Settle();
  old->log.Disconnect();
  Settle();
  auto next = std::make_unique<Member>(&exec_, &stream_, "next");
  Settle();
  stream_.LandLate(3);  // the term record took the first one's place; the second still fits
  Settle();
  EXPECT_EQ(next->Get("b"), "");
  auto put = next->Put("k", "v");
  Settle();
  ASSERT_TRUE(Ok(put));
  EXPECT_EQ(RevisionOf(put), Revision(2));
  old.reset();
  // The same, read by one who finds it so: without the leader that would have voided it.
  Member third(&exec_, &stream_, "third");
  Settle();
  EXPECT_EQ(third.Get("b"), "");
  EXPECT_EQ(third.store.committed(), Revision(2));
}

TEST_F(CommitterTest, LateRecordsFoundAtStartDoNotCount) {
  MemoryLog::Options options;
  options.faults.fate = [](StreamSeq) { return jetstream::AppendFate::kLate; };
  auto old = std::make_unique<Member>(&exec_, &stream_, "old", options);
  old->log.Hold(Leg::kRequest);
  old->Put("a", "late");
  old->Put("b", "late");
  Settle();
  old->log.Disconnect();
  Settle();
  old.reset();
  {
    Member next(&exec_, &stream_, "next");
    Settle();
    next.log.Disconnect();  // gone before it can see what lands
  }
  stream_.LandLate(2);
  Member third(&exec_, &stream_, "third");
  Settle();
  EXPECT_EQ(third.Get("b"), "");
  EXPECT_EQ(third.store.committed(), Revision(1));
  auto put = third.Put("b", "mine");
  Settle();
  EXPECT_EQ(RevisionOf(put), Revision(2));
}

TEST_F(CommitterTest, ReadsShareOneBarrier) {
  Member member(&exec_, &stream_, "a");
  Settle();
  const uint64_t before = member.committer->counters().barriers_sent;
  RangeOp op{.keys = {"k", {}}};
  int answered = 0;
  for (int i = 0; i < 50; ++i) {
    member.committer->Range(&op, [&](const absl::StatusOr<RangeResult>& r) {
      EXPECT_TRUE(r.ok());
      ++answered;
    });
  }
  EXPECT_EQ(answered, 0) << "never from inside the call";
  Settle();
  EXPECT_EQ(answered, 50);
  EXPECT_EQ(member.committer->counters().barriers_sent, before + 1);
}

TEST_F(CommitterTest, AWriteIsABarrierForFree) {
  Member member(&exec_, &stream_, "a");
  Settle();
  const uint64_t before = member.committer->counters().barriers_sent;
  RangeOp op{.keys = {"k", {}}};
  bool answered = false;
  member.committer->Range(&op, [&](const auto& r) { answered = r.ok(); });
  auto put = member.Put("k", "v");
  Settle();
  EXPECT_TRUE(answered);
  EXPECT_TRUE(Ok(put));
  EXPECT_EQ(member.committer->counters().barriers_sent, before);
}

// A range over more keys than one step visits is of one revision, whatever is written meanwhile,
// and others get their turn in between.
TEST_F(CommitterTest, ALongRangeIsOfOneRevision) {
  Member member(&exec_, &stream_, "a");
  const int n = static_cast<int>(limits::kScanStepKeys) + 500;
  for (int i = 0; i < n; ++i) {
    member.Put("k" + std::to_string(100'000 + i), "old");
    if (i % 500 == 0) exec_.Advance(milliseconds(1));
  }
  Settle();
  ASSERT_EQ(member.store.stats().keys, static_cast<size_t>(n));
  const Revision before = member.store.committed();
  std::optional<RangeResult> result;
  RangeOp op{.keys = {"k", "l"}};
  member.committer->Range(&op, [&](absl::StatusOr<RangeResult> r) { result = *std::move(r); });
  exec_.RunDeferred();
  EXPECT_FALSE(result.has_value()) << "it takes more than one step";
  auto put = member.Put("k" + std::to_string(100'000 + n - 1), "new");
  auto added = member.Put("kz", "new");
  Settle();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->revision, before);
  EXPECT_EQ(result->count, n);
  ASSERT_EQ(result->kvs.size(), static_cast<size_t>(n));
  EXPECT_EQ(result->kvs.back()->value(), "old");
  RangeOp count{.keys = {"k", "l"}, .count_only = true};
  EXPECT_EQ((*member.Range(count))->count, n + 1);
}

TEST_F(CommitterTest, WithoutNatsAnswersComeInFiveSeconds) {
  Member member(&exec_, &stream_, "a");
  member.Put("k", "v");
  Settle();
  member.log.Hold(Leg::kRequest);
  auto sent = member.Put("k", "sent");
  exec_.RunDeferred();
  member.log.Disconnect();
  exec_.RunDeferred();
  auto waiting = member.Put("k", "waiting");
  std::optional<absl::Status> read;
  RangeOp op{.keys = {"k", {}}};
  member.committer->Range(&op, [&](const auto& r) { read = r.status(); });
  exec_.Advance(milliseconds(4900));
  EXPECT_FALSE(sent->answer || waiting->answer || read);
  exec_.Advance(milliseconds(200));
  EXPECT_EQ(ErrcOf(sent), Errc::kTimeout) << "it may have happened";
  EXPECT_EQ(ErrcOf(waiting), Errc::kUnavailable) << "it did not";
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(GetErrc(*read), Errc::kUnavailable);
  auto later = member.Put("k", "later");
  exec_.RunDeferred();
  EXPECT_EQ(ErrcOf(later), Errc::kUnavailable) << "at once by now";
  // What may have happened is settled all the same: it happens.
  member.log.Release(Leg::kRequest);
  member.log.Reconnect();
  Settle();
  EXPECT_EQ(member.Get("k"), "sent");
}

TEST_F(CommitterTest, CompactionRemovesWhatNobodyCanSee) {
  {
    Member member(&exec_, &stream_, "a");
    for (int i = 0; i < 10; ++i) member.Put("k", std::to_string(i));
    member.Delete("k");
    member.Put("other", "o");
    Settle();
    std::optional<absl::StatusOr<Revision>> future;
    member.committer->Compact(Revision(99), Committer::Wait::kLogical,
                              [&](auto r) { future = std::move(r); });
    std::optional<absl::StatusOr<Revision>> done;
    member.committer->Compact(Revision(13), Committer::Wait::kPhysical,
                              [&](auto r) { done = std::move(r); });
    exec_.Advance(seconds(2));
    ASSERT_TRUE(future.has_value());
    EXPECT_EQ(GetErrc(future->status()), Errc::kFutureRevision);
    ASSERT_TRUE(done.has_value());
    EXPECT_TRUE(done->ok());
    EXPECT_EQ(member.recorder.compacted, Revision(13));
    // Left: the term record, "other", the compaction.
    EXPECT_EQ(stream_.State().messages, 3U);
    auto below = member.Range({.keys = {"k", {}}, .revision = Revision(5)});
    EXPECT_EQ(GetErrc(below->status()), Errc::kCompacted);
  }
  Member again(&exec_, &stream_, "b");
  Settle();
  EXPECT_EQ(again.store.committed(), Revision(13));
  EXPECT_EQ(again.store.compacted(), Revision(13));
  EXPECT_EQ(again.Get("k"), "");
  EXPECT_EQ(again.Get("other"), "o");
}

TEST_F(CommitterTest, LeasesTakeTheirKeysAlongInOneRevision) {
  Member member(&exec_, &stream_, "a");
  std::optional<LeaseId> id;
  member.committer->GrantLease(LeaseId(0), 30, [&](const auto& lease) { id = lease->id; });
  Settle();
  ASSERT_TRUE(id.has_value());
  EXPECT_GT(id->value(), 0);
  member.Put("a", "1", *id);
  member.Put("b", "2", *id);
  Settle();
  std::optional<Revision> revision;
  member.committer->RevokeLease(*id, [&](const auto& r) { revision = *r; });
  std::optional<absl::Status> twice;
  member.committer->RevokeLease(*id, [&](const auto& r) { twice = r.status(); });
  auto orphan = member.Put("c", "3", *id);
  Settle();
  EXPECT_EQ(*revision, Revision(4));
  EXPECT_EQ(GetErrc(*twice), Errc::kLeaseNotFound);
  EXPECT_EQ(ErrcOf(orphan), Errc::kLeaseNotFound);
  EXPECT_EQ(member.recorder.gone, std::vector<LeaseId>{*id});
  EXPECT_EQ(member.recorder.commits.back().keys, (std::vector<std::string>{"a", "b"}));
  Member again(&exec_, &stream_, "b");
  Settle();
  EXPECT_EQ(again.store.lease_count(), 0U);
  EXPECT_EQ(again.Get("a"), "");
  EXPECT_EQ(again.store.committed(), Revision(4));
}

TEST_F(CommitterTest, AFullStreamSaysSoAndLosesNothing) {
  Member member(&exec_, &stream_, "a");
  member.Put("k", "v");
  Settle();
  stream_.set_max_messages(stream_.State().messages + 3);
  auto many = member.PutMany("g", 4, "m");
  auto after = member.Put("k", "w");
  Settle();
  EXPECT_EQ(ErrcOf(many), Errc::kNoSpace);
  stream_.set_max_messages(MemoryStream::kNoLimit);
  exec_.Advance(seconds(3));
  EXPECT_TRUE(member.committer->leading());
  EXPECT_EQ(member.Get("g/0"), "");
  auto put = member.Put("k", "x");
  Settle();
  ASSERT_TRUE(Ok(put));
  Member again(&exec_, &stream_, "b");
  Settle();
  EXPECT_EQ(again.Get("k"), "x");
  EXPECT_EQ(again.Get("g/0"), "");
}

TEST_F(CommitterTest, KeysBeyondTheSubjectLimitAreRefusedBeforeAnythingIsSent) {
  MemoryLog::Options options;
  options.max_subject_bytes = 64;
  Member member(&exec_, &stream_, "a", options);
  const StreamSeq before = stream_.last();
  auto put = member.Put(std::string(100, 'k'), "v");
  Settle();
  EXPECT_EQ(ErrcOf(put), Errc::kKeyTooLong);
  EXPECT_EQ(stream_.last(), before);
}

TEST_F(CommitterTest, AStreamThatWentBackIsCorrupt) {
  Member member(&exec_, &stream_, "a");
  member.log.Hold(Leg::kSync);
  member.Put("k", "v");
  Settle();
  member.log.Disconnect();
  exec_.RunDeferred();
  stream_.PowerCut();
  member.log.Reconnect();
  Settle();
  ASSERT_TRUE(member.fatal.has_value());
  EXPECT_EQ(GetErrc(*member.fatal), Errc::kCorrupt);
}

TEST_F(CommitterTest, StopAnswersEverybody) {
  Member member(&exec_, &stream_, "a");
  member.log.Hold(Leg::kRequest);
  auto put = member.Put("k", "v");
  Settle();
  member.committer->Stop();
  EXPECT_EQ(ErrcOf(put), Errc::kStopped);
}

}  // namespace
}  // namespace jetd::revision
