// SPDX-License-Identifier: Apache-2.0
//
// What happens when connections break, others write, or others take over.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"
#include "jetstream/record.h"
#include "jetstream/subject.h"
#include "revision/committer.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using Leg = MemoryLog::Leg;
using std::chrono::milliseconds;
using std::chrono::seconds;

class CommitterRecoveryTest : public ::testing::Test {
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

TEST_F(CommitterRecoveryTest, AGroupCutShortIsVoidedByWhoTakesOver) {
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

class LostConnectionTest : public CommitterRecoveryTest,
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

TEST_F(CommitterRecoveryTest, AForeignRecordIsVoidedAndWritesGoOn) {
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

TEST_F(CommitterRecoveryTest, AnIdleReaderNoticesAForeignRecord) {
  Member member(&exec_, &stream_, "a");
  jetstream::NewRecord foreign;
  foreign.subject = "$KV.B.intruder";
  stream_.AppendForeign(foreign);
  EXPECT_EQ(member.Get("k"), "");
  Settle();
  EXPECT_EQ(member.committer->counters().chain_breaks, 1U);
  EXPECT_TRUE(member.committer->leading());
}

TEST_F(CommitterRecoveryTest, AnOldLeaderIsFenced) {
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

// Its term record is not read, and not voided either.
TEST_F(CommitterRecoveryTest, ALeaderOfALaterVersionIsFollowed) {
  Member old(&exec_, &stream_, "old");
  old.Put("k", "v");
  Settle();
  jetstream::TermRecord term;
  term.format = jetstream::kFormatVersion + 1;
  term.term = Term(2);
  term.incarnation = "later";
  const jetstream::RecordHeader header{.revision = Revision(2), .term = Term(2)};
  const std::string line = EncodeHeader(header);
  const std::string payload = EncodeTerm(term);
  const StreamSeq last =
      stream_.AppendForeign({.subject = "$KV.B._jetd.term", .header = line, .payload = payload});
  auto late = old.Put("k", "from the old leader");
  Settle();
  ASSERT_TRUE(late->answer.has_value());
  EXPECT_FALSE(late->answer->ok());
  EXPECT_EQ(old.committer->phase(), Committer::Phase::kSuperseded);
  EXPECT_EQ(stream_.last(), last) << "nothing is written behind it";
}

// A start refuses what it does not know, and writes and removes nothing.
TEST_F(CommitterRecoveryTest, ALaterVersionIsRefusedWithoutAWrite) {
  {
    Member member(&exec_, &stream_, "a");
    member.Put("k", "v");
    member.Put("k", "w");
    Settle();
  }
  const jetstream::RecordHeader header{.revision = Revision(3), .term = Term(1)};
  const std::string line = EncodeHeader(header);
  const StreamSeq last =
      stream_.AppendForeign({.subject = "$KV.B._jetd.later", .header = line, .payload = "{}"});
  const uint64_t messages = stream_.State().messages;
  Member member(&exec_, &stream_, "b");
  Settle();
  ASSERT_TRUE(member.fatal.has_value());
  EXPECT_TRUE(absl::IsFailedPrecondition(*member.fatal)) << *member.fatal;
  EXPECT_EQ(stream_.last(), last);
  EXPECT_EQ(stream_.State().messages, messages);
}

TEST_F(CommitterRecoveryTest, AnIdleOldLeaderLearnsOfTheNewOne) {
  Member old(&exec_, &stream_, "old");
  Member next(&exec_, &stream_, "next");
  Settle();
  EXPECT_EQ(old.committer->phase(), Committer::Phase::kSuperseded);
}

// The old leader's records, late, land behind the new leader's term record: they never count.
TEST_F(CommitterRecoveryTest, LateRecordsOfAnOldLeaderDoNotCount) {
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

// Whoever took over may have removed what hid nothing any more, before the old leader looked.
TEST_F(CommitterRecoveryTest, WhatTheNextLeaderRemovedMayHaveHappened) {
  Member old(&exec_, &stream_, "a");
  old.log.Hold(Leg::kAnswer);
  auto before = old.Put("k", "0");
  auto removed = old.Put("k", "1");
  auto behind = old.PutMany("k", 2, "2");
  exec_.RunDeferred();
  Member next(&exec_, &stream_, "b");
  Settle();
  ASSERT_TRUE(next.committer->leading());
  ASSERT_EQ(next.Get("k"), "1");
  stream_.Delete(StreamSeq(3));
  old.log.Disconnect();
  old.log.Release(Leg::kAnswer);
  old.log.Reconnect();
  Settle();
  ASSERT_EQ(old.committer->phase(), Committer::Phase::kSuperseded);
  EXPECT_TRUE(Ok(before));
  EXPECT_EQ(ErrcOf(removed), Errc::kTimeout);
  EXPECT_EQ(ErrcOf(behind), Errc::kTimeout);
  EXPECT_EQ(old.store.committed(), Revision(2));
}

TEST_F(CommitterRecoveryTest, LateRecordsFoundAtStartDoNotCount) {
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

TEST_F(CommitterRecoveryTest, WithoutNatsAnswersComeInFiveSeconds) {
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
  EXPECT_EQ(ErrcOf(waiting), Errc::kNoLeader) << "it did not";
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(GetErrc(*read), Errc::kNoLeader);
  auto later = member.Put("k", "later");
  exec_.RunDeferred();
  EXPECT_EQ(ErrcOf(later), Errc::kNoLeader) << "at once by now";
  // What may have happened is settled all the same: it happens.
  member.log.Release(Leg::kRequest);
  member.log.Reconnect();
  Settle();
  EXPECT_EQ(member.Get("k"), "sent");
}

TEST_F(CommitterRecoveryTest, AFullStreamSaysSoAndLosesNothing) {
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

// A write that found no room when it was sent again may yet land by its first copy. Whoever takes
// over then counts it, so the old leader must not say that it did not happen.
TEST_F(CommitterRecoveryTest, AWriteWithoutRoomMayHaveHappenedWhenAnotherTakesOver) {
  MemoryLog::Options options;
  options.faults.fate = [](StreamSeq) { return jetstream::AppendFate::kLate; };
  Member old(&exec_, &stream_, "old", options);
  old.Put("k", "v");
  Settle();
  old.log.Hold(Leg::kRequest);
  auto put = old.Put("k", "late");
  Settle();
  old.log.Disconnect();
  old.log.Release(Leg::kRequest);
  Settle();
  stream_.set_max_messages(stream_.State().messages);
  old.log.Reconnect();
  Settle();
  EXPECT_FALSE(put->answer.has_value()) << "its fate is not sealed";
  stream_.set_max_messages(MemoryStream::kNoLimit);
  ASSERT_TRUE(stream_.LandLate(1));
  Member next(&exec_, &stream_, "next");
  exec_.Advance(seconds(2));
  EXPECT_EQ(old.committer->phase(), Committer::Phase::kSuperseded);
  EXPECT_EQ(next.Get("k"), "late");
  EXPECT_EQ(ErrcOf(put), Errc::kTimeout) << "nobody knows";
}

// There a read needs a record. Without room for it the reader is told so, and does not wait for
// ever.
TEST_F(CommitterRecoveryTest, AFullReplicatedStreamTellsReadersToo) {
  Member member(&exec_, &stream_, "a", {.replicas = 3});
  member.Put("k", "v");
  Settle();
  stream_.set_max_messages(stream_.State().messages);
  const RangeOp op{.keys = {"k", {}}};
  std::optional<absl::Status> answer;
  member.committer->Range(&op, [&](const auto& result) { answer = result.status(); });
  Settle();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(GetErrc(*answer), Errc::kNoSpace);
  stream_.set_max_messages(MemoryStream::kNoLimit);
  EXPECT_EQ(member.Get("k"), "v");
}

// A start needs room for one term record. What a compaction left behind makes that room.
TEST_F(CommitterRecoveryTest, AFullStreamIsStartedByRemovingGarbageFirst) {
  {
    Member member(&exec_, &stream_, "a");
    for (int i = 0; i < 5; ++i) member.Put("k", std::to_string(i));
    Settle();
    member.log.Hold(Leg::kApi);  // nothing is removed
    member.committer->Compact(Revision(6), Committer::Wait::kLogical, [](const auto&) {});
    Settle();
  }
  const uint64_t messages = stream_.State().messages;
  stream_.set_max_messages(messages);
  Member next(&exec_, &stream_, "b");
  exec_.Advance(seconds(3));
  EXPECT_TRUE(next.committer->leading()) << next.committer->waiting_for();
  EXPECT_LT(stream_.State().messages, messages);
  EXPECT_EQ(next.Get("k"), "4");
}

// A log whose first reads get no answer in time, as with a nats-server that is busy starting.
class SlowLog : public MemoryLog {
 public:
  using MemoryLog::MemoryLog;
  void Read(const ReadOptions& options, RecordFn on_record, ReadDoneFn done) override {
    if (timeouts == 0) return MemoryLog::Read(options, std::move(on_record), std::move(done));
    --timeouts;
    exec->Defer([done = std::move(done)] { done(MakeError(Errc::kTimeout, "no answer")); });
  }
  FakeExecutor* exec = nullptr;
  int timeouts = 0;
};

TEST_F(CommitterRecoveryTest, AReplayThatGetsNoAnswerInTimeIsTriedAgain) {
  SlowLog log(&exec_, &stream_);
  log.exec = &exec_;
  log.timeouts = 2;
  Store store;
  Committer committer(&exec_, &log, &store, {.member_name = "a", .incarnation = "a"});
  std::optional<absl::Status> fatal;
  committer.Start([&](const absl::Status& why) { fatal = why; });
  Settle();
  Settle();
  EXPECT_FALSE(fatal.has_value()) << *fatal;
  EXPECT_TRUE(committer.leading());
  committer.Stop();
}

TEST_F(CommitterRecoveryTest, AStreamThatWentBackIsCorrupt) {
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

}  // namespace
}  // namespace jetd::revision
