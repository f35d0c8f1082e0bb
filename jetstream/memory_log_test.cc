// SPDX-License-Identifier: Apache-2.0
// What MemoryLog can do beyond the contract: what tests and the simulator rely on.
#include "jetstream/memory_log.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fake_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/memory_stream.h"

namespace jetd::jetstream {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using Leg = MemoryLog::Leg;

class MemoryLogTest : public testing::Test, public Log::Observer {
 protected:
  // Opens `log`, which answers to this test.
  void Open(MemoryLog& log) {
    log.Open(this, [](const absl::Status& why) { FAIL() << why; });
    exec_.RunDeferred();
  }
  static NewRecord Put(std::string_view payload) {
    return {.subject = "$KV.B.k", .header = "h", .payload = payload};
  }
  [[nodiscard]] std::vector<std::string> Stored() const {
    std::vector<std::string> payloads;
    for (auto r = stream_.FirstFrom(StreamSeq(1)); r != nullptr;
         r = stream_.FirstFrom(r->seq.Next())) {
      payloads.push_back(r->payload);
    }
    return payloads;
  }
  MemoryLog::Options WithFate(AppendFate fate) {
    MemoryLog::Options options;
    options.faults.fate = [fate](StreamSeq) { return fate; };
    return options;
  }

  void OnConnected(const LogInfo& /*info*/) override { said_.emplace_back("connected"); }
  void OnDisconnected(const absl::Status& /*why*/) override { said_.emplace_back("disconnected"); }
  void OnAppended(StreamSeq seq) override { Say("appended ", seq); }
  void OnRefused(StreamSeq seq, const absl::Status& why) override {
    Say("refused ", seq);
    why_ = GetErrc(why);
  }
  void OnDurable(StreamSeq seq) override { Say("durable ", seq); }
  void OnForeignTerm() override { said_.emplace_back("foreign term"); }
  void Say(const char* what, StreamSeq seq) { said_.push_back(what + std::to_string(seq.value())); }
  std::vector<std::string> TakeSaid() { return std::exchange(said_, {}); }

  FakeExecutor exec_;
  MemoryStream stream_;
  std::vector<std::string> said_;
  Errc why_ = Errc::kNone;
};

TEST_F(MemoryLogTest, EachLegCanBeHeld) {
  MemoryLog log(&exec_, &stream_);
  Open(log);
  EXPECT_THAT(TakeSaid(), ElementsAre("connected"));
  log.Hold(Leg::kRequest);
  log.Hold(Leg::kAnswer);
  log.Hold(Leg::kSync);
  log.Append(StreamSeq(1), Put("1"));
  log.Append(StreamSeq(2), Put("2"));
  exec_.RunDeferred();
  EXPECT_THAT(Stored(), IsEmpty());
  EXPECT_EQ(log.waiting(Leg::kRequest), 2U);
  log.Pass(Leg::kRequest, 1);
  exec_.RunDeferred();
  EXPECT_THAT(Stored(), ElementsAre("1"));
  EXPECT_THAT(TakeSaid(), IsEmpty());
  log.Release(Leg::kRequest);
  exec_.RunDeferred();
  EXPECT_THAT(Stored(), ElementsAre("1", "2"));
  log.Pass(Leg::kAnswer, 1);
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("appended 1"));
  log.Release(Leg::kAnswer);
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("appended 2"));
  EXPECT_EQ(stream_.synced(), StreamSeq(0));
  log.Release(Leg::kSync);
  exec_.RunDeferred();
  // The sync under way covers what was answered when it began; another one does the rest.
  EXPECT_THAT(TakeSaid(), ElementsAre("durable 1", "durable 2"));
  EXPECT_EQ(stream_.synced(), StreamSeq(2));
}

TEST_F(MemoryLogTest, HeldReadsLetAppendsPass) {
  MemoryLog log(&exec_, &stream_);
  Open(log);
  log.Hold(Leg::kApi);
  int records = 0;
  StreamSeq last;
  log.Read(
      {}, [&](const Record&) { ++records; }, [&](absl::StatusOr<StreamSeq> done) { last = *done; });
  log.Append(StreamSeq(1), Put("1"));
  exec_.RunDeferred();
  EXPECT_EQ(records, 0);
  log.Release(Leg::kApi);
  exec_.RunDeferred();
  EXPECT_EQ(records, 1);
  EXPECT_EQ(last, StreamSeq(1));
}

TEST_F(MemoryLogTest, WhatWasStoredIsStoredThoughItsAnswerIsLost) {
  MemoryLog log(&exec_, &stream_);
  Open(log);
  log.Hold(Leg::kAnswer);
  log.Append(StreamSeq(1), Put("1"));
  exec_.RunDeferred();
  log.Disconnect();
  log.Release(Leg::kAnswer);
  exec_.RunDeferred();
  log.Reconnect();
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("connected", "disconnected", "connected"));
  EXPECT_THAT(Stored(), ElementsAre("1"));
}

TEST_F(MemoryLogTest, FatesOfWhatIsInFlightAtABreak) {
  for (const AppendFate fate :
       {AppendFate::kNever, AppendFate::kLands, AppendFate::kLate, AppendFate::kTwice}) {
    const bool lands = fate == AppendFate::kLands || fate == AppendFate::kTwice;
    const bool late = fate == AppendFate::kLate || fate == AppendFate::kTwice;
    stream_.Recreate(1);
    MemoryLog log(&exec_, &stream_, WithFate(fate));
    Open(log);
    log.Append(StreamSeq(1), Put("1"));
    log.Append(StreamSeq(2), Put("2"));
    log.Disconnect();
    exec_.RunDeferred();
    EXPECT_EQ(Stored().size(), lands ? 2U : 0U);
    EXPECT_EQ(stream_.late(), late ? 2U : 0U);
  }
}

TEST_F(MemoryLogTest, ALateRecordLandsWhereItsSequenceIsStillFree) {
  MemoryLog log(&exec_, &stream_, WithFate(AppendFate::kLate));
  Open(log);
  log.Append(StreamSeq(1), Put("late 1"));
  log.Append(StreamSeq(2), Put("late 2"));
  log.Disconnect();
  log.Reconnect();
  exec_.RunDeferred();
  log.Append(StreamSeq(1), Put("new 1"));
  exec_.RunDeferred();
  EXPECT_FALSE(stream_.LandLate());  // its place is taken
  EXPECT_TRUE(stream_.LandLate());   // its predecessor is not the one it was written behind
  EXPECT_THAT(Stored(), ElementsAre("new 1", "late 2"));
  log.Append(StreamSeq(2), Put("new 2"));
  exec_.RunDeferred();
  EXPECT_EQ(said_.back(), "refused 2");
  EXPECT_EQ(why_, Errc::kUnavailable);
}

TEST_F(MemoryLogTest, AnAppendWithoutAConnectionIsLostWhateverTheFate) {
  MemoryLog log(&exec_, &stream_, WithFate(AppendFate::kLands));
  Open(log);
  log.Disconnect();
  log.Append(StreamSeq(1), Put("1"));  // the observer does not know yet
  exec_.RunDeferred();
  log.Append(StreamSeq(1), Put("1"));
  log.Reconnect();
  log.Append(StreamSeq(1), Put("1"));  // nor now
  exec_.RunDeferred();
  EXPECT_THAT(Stored(), IsEmpty());
  EXPECT_THAT(TakeSaid(), ElementsAre("connected", "disconnected", "connected"));
}

TEST_F(MemoryLogTest, BreaksAndReturnsInAnyOrder) {
  MemoryLog log(&exec_, &stream_);
  Open(log);
  log.Reconnect();
  log.Disconnect();
  log.Disconnect();
  log.Reconnect();
  log.Reconnect();
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("connected", "disconnected", "connected"));
  log.Disconnect();
  log.Reconnect();
  log.Disconnect();
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("disconnected"));
  log.Reconnect();
  log.Disconnect();  // before anybody was told
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), IsEmpty());
  EXPECT_FALSE(log.connected());
}

TEST_F(MemoryLogTest, WaitsToBeConnectedIfAsked) {
  MemoryLog::Options options;
  options.connect_on_open = false;
  MemoryLog log(&exec_, &stream_, options);
  Open(log);
  EXPECT_THAT(TakeSaid(), IsEmpty());
  log.Reconnect();
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("connected"));
}

TEST_F(MemoryLogTest, RefusesOnRequest) {
  MemoryLog::Options options;
  options.faults.refuse = [](StreamSeq seq) {
    return seq == StreamSeq(2) ? MakeError(Errc::kTooManyRequests, "queue") : absl::OkStatus();
  };
  MemoryLog log(&exec_, &stream_, options);
  Open(log);
  log.Append(StreamSeq(1), Put("1"));
  log.Append(StreamSeq(2), Put("2"));
  exec_.RunDeferred();
  EXPECT_EQ(why_, Errc::kTooManyRequests);
  log.Append(StreamSeq(3), Put("3"));
  exec_.RunDeferred();
  EXPECT_EQ(why_, Errc::kUnavailable);
  EXPECT_THAT(Stored(), ElementsAre("1"));
}

TEST_F(MemoryLogTest, RefusesBeyondTheBytes) {
  MemoryLog log(&exec_, &stream_);
  Open(log);
  const uint64_t one = MemoryStream::Own(StreamSeq(1), Put("12345")).bytes();
  stream_.set_max_bytes(2 * one);
  for (uint64_t seq = 1; seq <= 3; ++seq) log.Append(StreamSeq(seq), Put("12345"));
  exec_.RunDeferred();
  EXPECT_EQ(why_, Errc::kNoSpace);
  EXPECT_EQ(stream_.State().bytes, 2 * one);
  stream_.Delete(StreamSeq(1));
  log.Append(StreamSeq(3), Put("12345"));
  exec_.RunDeferred();
  EXPECT_EQ(Stored().size(), 2U);
}

TEST_F(MemoryLogTest, DelaysKeepTheOrderOfAppends) {
  MemoryLog::Options options;
  int turn = 0;
  options.faults.request_delay = [&turn] { return milliseconds(turn++ == 0 ? 10 : 1); };
  options.faults.answer_delay = [] { return milliseconds(5); };
  options.faults.sync_delay = [] { return milliseconds(100); };
  MemoryLog log(&exec_, &stream_, options);
  Open(log);
  TakeSaid();
  log.Append(StreamSeq(1), Put("1"));
  log.Append(StreamSeq(2), Put("2"));
  exec_.Advance(milliseconds(9));
  EXPECT_THAT(Stored(), IsEmpty());
  exec_.Advance(milliseconds(1));
  EXPECT_THAT(Stored(), ElementsAre("1", "2"));
  exec_.Advance(milliseconds(5));
  EXPECT_THAT(TakeSaid(), ElementsAre("appended 1", "appended 2"));
  exec_.Advance(milliseconds(100));
  EXPECT_THAT(TakeSaid(), ElementsAre("durable 1"));
  exec_.Advance(milliseconds(100));
  EXPECT_THAT(TakeSaid(), ElementsAre("durable 2"));
}

TEST_F(MemoryLogTest, APowerCutTakesBackWhatWasNotSynced) {
  MemoryLog log(&exec_, &stream_);
  Open(log);
  for (uint64_t seq = 1; seq <= 3; ++seq) log.Append(StreamSeq(seq), Put(std::to_string(seq)));
  exec_.RunDeferred();
  stream_.Delete(StreamSeq(1));
  stream_.SyncDeletes();
  stream_.Delete(StreamSeq(2));
  log.Hold(Leg::kSync);
  log.Append(StreamSeq(4), Put("4"));
  exec_.RunDeferred();
  log.Disconnect();
  stream_.PowerCut();
  EXPECT_THAT(Stored(), ElementsAre("2", "3"));
  EXPECT_EQ(stream_.State().last, StreamSeq(3));
  EXPECT_EQ(stream_.State().messages, 2U);
  log.Reconnect();
  exec_.RunDeferred();
  log.Append(StreamSeq(4), Put("another 4"));
  exec_.RunDeferred();
  EXPECT_THAT(Stored(), ElementsAre("2", "3", "another 4"));
}

TEST_F(MemoryLogTest, AStreamThatLosesItsTailGivesItsSequencesAnew) {
  MemoryLog log(&exec_, &stream_);
  Open(log);
  for (uint64_t seq = 1; seq <= 3; ++seq) log.Append(StreamSeq(seq), Put(std::to_string(seq)));
  exec_.RunDeferred();
  EXPECT_EQ(stream_.synced(), StreamSeq(3));
  stream_.LoseTail(StreamSeq(1));
  EXPECT_THAT(Stored(), ElementsAre("1"));
  EXPECT_EQ(stream_.State().last, StreamSeq(1));
  EXPECT_EQ(stream_.synced(), StreamSeq(1));
  stream_.AppendForeign(Put("another 2"));
  EXPECT_THAT(Stored(), ElementsAre("1", "another 2"));
}

TEST_F(MemoryLogTest, AStreamLeaderThatIsCutOffAnswersByItself) {
  MemoryLog log(&exec_, &stream_, WithFate(AppendFate::kTwice));
  Open(log);
  log.Append(StreamSeq(1), Put("1"));
  exec_.RunDeferred();
  log.CutOff();
  stream_.AppendForeign({.subject = "$KV.B._jetd.term"});
  TakeSaid();
  log.Append(StreamSeq(2), Put("2"));
  StreamSeq last;
  log.Barrier([&last](absl::StatusOr<StreamSeq> seq) { last = seq.value_or(StreamSeq(99)); });
  size_t read = 0;
  log.Read(
      {}, [&read](const Record&) { ++read; }, [](const absl::StatusOr<StreamSeq>&) {});
  exec_.RunDeferred();
  EXPECT_EQ(last, StreamSeq(1));
  EXPECT_EQ(read, 1U);
  EXPECT_THAT(TakeSaid(), IsEmpty());
  // Nothing of what it took gets anywhere.
  log.Append(StreamSeq(3), Put("3"));
  log.Disconnect();
  log.Reconnect();
  exec_.RunDeferred();
  EXPECT_EQ(stream_.late(), 0U);
  EXPECT_EQ(stream_.last(), StreamSeq(2));
  log.Barrier([&last](absl::StatusOr<StreamSeq> seq) { last = seq.value_or(StreamSeq(99)); });
  exec_.RunDeferred();
  EXPECT_EQ(last, StreamSeq(2));
}

TEST_F(MemoryLogTest, AStreamMadeAnewHasAnotherIdentity) {
  stream_.AppendForeign(Put("1"));
  const int64_t before = stream_.created_ns();
  stream_.Recreate(before + 1);
  EXPECT_EQ(stream_.created_ns(), before + 1);
  EXPECT_EQ(stream_.State().last, StreamSeq(0));
  EXPECT_EQ(stream_.State().bytes, 0U);
}

TEST_F(MemoryLogTest, TheLastOfAGroupAnswersForAllOfIt) {
  MemoryLog::Options options;
  options.answer_for_group = true;
  options.faults.refuse = [](StreamSeq predicted) {
    return predicted == StreamSeq(5) ? MakeError(Errc::kNoSpace) : absl::OkStatus();
  };
  MemoryLog log(&exec_, &stream_, options);
  Open(log);
  TakeSaid();
  for (uint64_t seq = 1; seq <= 3; ++seq) log.Append(StreamSeq(seq), Put(std::to_string(seq)));
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("appended 1", "appended 2", "appended 3", "durable 3"));
  // 5 does not land, 6 is refused for that; of 4 nobody tells, and it is there.
  for (uint64_t seq = 4; seq <= 6; ++seq) log.Append(StreamSeq(seq), Put(std::to_string(seq)));
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("refused 4", "refused 5", "refused 6"));
  EXPECT_EQ(why_, Errc::kUnavailable);
  EXPECT_THAT(Stored(), ElementsAre("1", "2", "3", "4"));
  // Then all ask.
  for (uint64_t seq = 5; seq <= 6; ++seq) log.Append(StreamSeq(seq), Put("again"));
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("refused 5", "refused 6"));
  // Up to 6 an earlier connection has sent appends, which may still be on their way.
  log.Disconnect();
  log.Reconnect();
  exec_.RunDeferred();
  stream_.AppendForeign(Put("late"));
  TakeSaid();
  for (uint64_t seq = 5; seq <= 8; ++seq) log.Append(StreamSeq(seq), Put("new"));
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("refused 5", "appended 6", "durable 6", "appended 7",
                                      "appended 8", "durable 8"));
}

TEST_F(MemoryLogTest, AFullQueueEndsTheConnectionOfAGroup) {
  MemoryLog::Options options;
  options.answer_for_group = true;
  options.faults.refuse = [](StreamSeq predicted) {
    return predicted == StreamSeq(2) ? MakeError(Errc::kTooManyRequests) : absl::OkStatus();
  };
  MemoryLog log(&exec_, &stream_, options);
  Open(log);
  TakeSaid();
  for (uint64_t seq = 1; seq <= 2; ++seq) log.Append(StreamSeq(seq), Put("v"));
  exec_.RunDeferred();
  EXPECT_THAT(TakeSaid(), ElementsAre("disconnected", "connected"));
  EXPECT_THAT(Stored(), ElementsAre("v"));
}

// Closes the log at every single moment of a busy life: nothing is called afterwards, and nothing
// that was freed is touched (the sanitizer run looks).
TEST_F(MemoryLogTest, CloseAtAnyMoment) {
  for (int turns = 0; turns < 40; ++turns) {
    FakeExecutor exec;
    MemoryStream stream;
    for (int i = 0; i < 10; ++i) stream.AppendForeign(Put("x"));
    int turn = 0;
    {
      MemoryLog::Options options;
      options.read_batch = 2;
      options.faults.api_delay = [] { return milliseconds(1); };
      options.faults.fate = [](StreamSeq) { return AppendFate::kLate; };
      MemoryLog log(&exec, &stream, options);
      log.Open(this, [](const absl::Status&) {});
      exec.RunDeferred();
      for (uint64_t seq = 11; seq < 16; ++seq) log.Append(StreamSeq(seq), Put("y"));
      const auto close_in_time = [&] {
        if (++turn == turns) log.Close();
      };
      log.Read(
          {}, [&](const Record&) { close_in_time(); },
          [&](const absl::StatusOr<StreamSeq>&) { close_in_time(); });
      log.Get(
          {StreamSeq(1), StreamSeq(2)}, [&](const Record&) { close_in_time(); },
          [&](const absl::Status&) { close_in_time(); });
      log.Barrier([&](const absl::StatusOr<StreamSeq>&) { close_in_time(); });
      exec.Advance(milliseconds(turns % 7));
      log.Disconnect();
      exec.RunDeferred();
      log.Close();
      said_.clear();
    }
    exec.Advance(milliseconds(100));
    EXPECT_THAT(said_, IsEmpty());
  }
}

TEST(SubjectMatchesTest, NatssWay) {
  EXPECT_TRUE(SubjectMatches("a.b", "a.b"));
  EXPECT_FALSE(SubjectMatches("a.b", "a.bc"));
  EXPECT_FALSE(SubjectMatches("a.b", "a"));
  EXPECT_FALSE(SubjectMatches("a", "a.b"));
  EXPECT_TRUE(SubjectMatches("a.*", "a.b"));
  EXPECT_FALSE(SubjectMatches("a.*", "a"));
  EXPECT_FALSE(SubjectMatches("a.*", "a.b.c"));
  EXPECT_TRUE(SubjectMatches("*.b", "a.b"));
  EXPECT_TRUE(SubjectMatches("a.>", "a.b.c"));
  EXPECT_FALSE(SubjectMatches("a.>", "a"));
  EXPECT_TRUE(SubjectMatches(">", "a"));
  EXPECT_FALSE(SubjectMatches("a*", "ab"));
}

}  // namespace
}  // namespace jetd::jetstream
