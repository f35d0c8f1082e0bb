// SPDX-License-Identifier: Apache-2.0
#include "revision/removal_gate.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fake_executor.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "jetstream/record.h"
#include "jetstream/silent_observer.h"
#include "jetstream/subject.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using jetstream::MirrorState;
using Fit = MirrorState::Fit;
using Kind = RemovalGate::Kind;

MirrorState Fits(uint64_t reached) {
  return {.name = "a",
          .domain = "dr",
          .cap_records = 100,
          .fit = Fit::kFits,
          .reached = StreamSeq(reached)};
}

// A stream of 20 records behind a gate.
class RemovalGateTest : public ::testing::Test {
 protected:
  explicit RemovalGateTest(bool mirrored = true) {
    MemoryLog::Options options;
    options.mirrored = mirrored;
    log_.emplace(&exec_, &stream_, options);
    for (int i = 0; i < 20; ++i) {
      stream_.AppendForeign({.subject = "$KV.B.k", .header = "h", .payload = "v"});
    }
    collector_.emplace(&exec_, &*log_, Collector::Options{});
    gate_.emplace(&exec_, &*log_, &*collector_, RemovalGate::Options{},
                  [this](const MirrorState& mirror) { promoted_ = mirror.domain; });
    log_->Open(&observer_, [](const absl::Status& why) { ADD_FAILURE() << why; });
    exec_.RunDeferred();
    collector_->Resume();
    gate_->Resume();
  }
  ~RemovalGateTest() override {
    log_->Close();
    exec_.RunDeferred();
  }
  void Add(std::vector<uint64_t> hidden, std::vector<uint64_t> markers, Kind kind) {
    Collector::Batch batch;
    for (const uint64_t seq : hidden) batch.hidden.emplace_back(seq);
    for (const uint64_t seq : markers) batch.markers.emplace_back(seq);
    batch.done = [this] { ++done_; };
    gate_->Add(std::move(batch), kind);
    Settle();
  }
  // Not as long as the gate's own pause.
  void Settle() { exec_.Advance(std::chrono::seconds(1)); }
  std::vector<uint64_t> Gone() const {
    std::vector<uint64_t> gone;
    for (uint64_t seq = 1; seq <= 20; ++seq) {
      if (stream_.Find(StreamSeq(seq)) == nullptr) gone.push_back(seq);
    }
    return gone;
  }

  FakeExecutor exec_;
  MemoryStream stream_;
  jetstream::SilentObserver observer_;
  std::optional<MemoryLog> log_;
  std::optional<Collector> collector_;
  std::optional<RemovalGate> gate_;
  int done_ = 0;
  std::string promoted_;
};

using Seqs = std::vector<uint64_t>;

TEST_F(RemovalGateTest, WithoutMirrorsNothingIsHeld) {
  Add({1, 2}, {3}, Kind::kSuperseded);
  Add({4}, {}, Kind::kLastMarkers);
  EXPECT_EQ(Gone(), (Seqs{1, 2, 3, 4}));
  EXPECT_EQ(done_, 2);
  EXPECT_EQ(gate_->held(), 0U);
}

TEST_F(RemovalGateTest, WhatWaitedIsForgottenWithItsStream) {
  log_->set_mirrors({Fits(5)});
  Add({7}, {9}, Kind::kSuperseded);
  EXPECT_EQ(gate_->held(), 2U);
  gate_->Forget();
  EXPECT_EQ(gate_->held(), 0U);
  log_->set_mirrors({});
  gate_->Resume();
  Add({1}, {}, Kind::kSuperseded);
  exec_.Advance(std::chrono::seconds(20));
  EXPECT_EQ(Gone(), (Seqs{1}));
}

TEST_F(RemovalGateTest, WhatAMirrorHasNotWaitsForIt) {
  log_->set_mirrors({Fits(5)});
  Add({1, 7}, {4, 9}, Kind::kSuperseded);
  Add({5, 8}, {}, Kind::kLastMarkers);
  EXPECT_EQ(Gone(), (Seqs{1, 4, 5}));
  EXPECT_EQ(gate_->held(), 3U);
  EXPECT_EQ(done_, 2) << "who waits for removal does not wait for the mirror";
  log_->set_mirrors({Fits(8)});
  Settle();
  EXPECT_EQ(Gone(), (Seqs{1, 4, 5})) << "it is not asked all the time";
  exec_.Advance(std::chrono::seconds(10));
  EXPECT_EQ(Gone(), (Seqs{1, 4, 5, 7, 8}));
  log_->set_mirrors({});
  exec_.Advance(std::chrono::seconds(10));
  EXPECT_EQ(Gone(), (Seqs{1, 4, 5, 7, 8, 9}));
  EXPECT_EQ(gate_->held(), 0U);
  EXPECT_EQ(gate_->overtaken(), 0U);
}

TEST_F(RemovalGateTest, PastTheCapOnlyLastMarkersWait) {
  MirrorState far = Fits(5);
  far.cap_records = 3;
  log_->set_mirrors({far});
  Add({1, 7}, {9}, Kind::kSuperseded);
  Add({8}, {}, Kind::kLastMarkers);
  EXPECT_EQ(Gone(), (Seqs{1, 7, 9}));
  EXPECT_EQ(gate_->held(), 1U);
  EXPECT_EQ(gate_->overtaken(), 2U);
}

TEST_F(RemovalGateTest, NothingIsAskedWhileItRests) {
  gate_->Suspend();
  log_->set_mirrors({Fits(5)});
  Add({1, 7}, {}, Kind::kSuperseded);
  exec_.Advance(std::chrono::seconds(60));
  EXPECT_EQ(Gone(), Seqs{});
  gate_->Resume();
  Settle();
  EXPECT_EQ(Gone(), Seqs{1});
}

// Another member may have led in between, in a stream that went back.
TEST_F(RemovalGateTest, APositionIsNotTrustedAfterARest) {
  log_->set_mirrors({Fits(5)});
  Add({1, 7}, {}, Kind::kSuperseded);
  EXPECT_EQ(Gone(), Seqs{1});
  gate_->Suspend();
  MirrorState away = Fits(0);
  away.fit = Fit::kUnheard;
  log_->set_mirrors({away});
  gate_->Resume();
  Add({2}, {}, Kind::kSuperseded);
  EXPECT_EQ(Gone(), Seqs{1});
  log_->set_mirrors({Fits(5)});
  exec_.Advance(std::chrono::seconds(10));
  EXPECT_EQ(Gone(), (Seqs{1, 2}));
}

TEST_F(RemovalGateTest, AnAnswerThatTellsNothingIsAskedForAgain) {
  log_->Hold(MemoryLog::Leg::kApi);
  Add({1}, {}, Kind::kSuperseded);
  log_->Disconnect();
  exec_.RunDeferred();
  log_->Release(MemoryLog::Leg::kApi);
  EXPECT_EQ(gate_->held(), 1U);
  log_->Reconnect();
  exec_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(gate_->held(), 0U);
}

TEST_F(RemovalGateTest, LooksOnRequestAndNotTooOften) {
  log_->set_mirrors({Fits(5)});
  gate_->Look();
  Settle();
  ASSERT_EQ(gate_->mirrors().size(), 1U);
  EXPECT_EQ(gate_->mirrors()[0].reached, StreamSeq(5));
  EXPECT_EQ(gate_->mirrors()[0].last, StreamSeq(20));
  log_->set_mirrors({Fits(6)});
  gate_->Look();
  Settle();
  EXPECT_EQ(gate_->mirrors()[0].reached, StreamSeq(5));
  exec_.Advance(std::chrono::seconds(10));
  gate_->Look();
  Settle();
  EXPECT_EQ(gate_->mirrors()[0].reached, StreamSeq(6));
}

TEST_F(RemovalGateTest, TellsOfAPromotion) {
  MirrorState promoted = Fits(5);
  promoted.fit = Fit::kPromoted;
  log_->set_mirrors({promoted});
  Add({1}, {}, Kind::kSuperseded);
  EXPECT_EQ(promoted_, "dr");
  EXPECT_EQ(Gone(), Seqs{});
}

class NoMirrorsTest : public RemovalGateTest {
 protected:
  NoMirrorsTest() : RemovalGateTest(false) {}
};

TEST_F(NoMirrorsTest, NobodyIsAsked) {
  log_->set_mirrors({Fits(0)});
  Add({1}, {2}, Kind::kSuperseded);
  EXPECT_EQ(Gone(), (Seqs{1, 2}));
}

// --- a whole member -----------------------------------------------------------------------------

MemoryLog::Options Mirrored() {
  MemoryLog::Options options;
  options.mirrored = true;
  return options;
}

void Compact(FakeExecutor* exec, Member* member, int64_t revision) {
  bool done = false;
  member->committer->Compact(Revision(revision), Committer::Wait::kLogical,
                             [&](const absl::StatusOr<Revision>& answer) {
                               EXPECT_TRUE(answer.ok()) << answer.status();
                               done = true;
                             });
  exec->Advance(std::chrono::seconds(1));
  EXPECT_TRUE(done);
}

TEST(MirroredMemberTest, RemovalWaitsForTheMirrorAndGoesOnWithIt) {
  FakeExecutor exec;
  MemoryStream stream;
  Member member(&exec, &stream, "m", Mirrored());
  exec.Advance(std::chrono::seconds(1));
  ASSERT_TRUE(member.committer->leading());
  // 1 is the term record.
  member.log.set_mirrors({Fits(2)});
  for (int i = 2; i <= 6; ++i) member.Put("a", std::to_string(i));
  exec.Advance(std::chrono::seconds(1));
  Compact(&exec, &member, 6);
  EXPECT_EQ(stream.Find(StreamSeq(2)), nullptr);
  EXPECT_NE(stream.Find(StreamSeq(3)), nullptr);
  EXPECT_EQ(member.committer->counters().garbage_held, 3U);
  ASSERT_EQ(member.committer->mirrors().size(), 1U);
  member.log.set_mirrors({Fits(4)});
  exec.Advance(std::chrono::seconds(11));
  EXPECT_EQ(stream.Find(StreamSeq(4)), nullptr);
  EXPECT_NE(stream.Find(StreamSeq(5)), nullptr);
  EXPECT_NE(stream.Find(StreamSeq(6)), nullptr);
  // What is held is found again by the next member.
  member.committer->Stop();
  exec.RunDeferred();
  MemoryLog::Options options = Mirrored();
  options.mirrors = {Fits(4)};
  Member next(&exec, &stream, "m", options);
  exec.Advance(std::chrono::seconds(2));
  EXPECT_NE(stream.Find(StreamSeq(5)), nullptr);
  next.log.set_mirrors({Fits(100)});
  exec.Advance(std::chrono::seconds(11));
  EXPECT_EQ(stream.Find(StreamSeq(5)), nullptr);
  EXPECT_EQ(next.Get("a"), "6");
}

// A leader held its garbage back, wrote a list of what lives, and ended. To the next one all that
// is not in the list was deleted; but the mirror has not got it yet.
TEST(MirroredMemberTest, WhatAListLeavesOutWaitsForTheMirrorToo) {
  FakeExecutor exec;
  MemoryStream stream;
  const jetstream::SubjectCodec codec("B");
  std::optional<Member> member;
  member.emplace(&exec, &stream, "m", Mirrored());
  exec.Advance(std::chrono::seconds(1));
  member->log.set_mirrors({Fits(2)});
  // 1 is the term record, 5 the deletion, 6 the put that lives, 7 the compaction.
  for (const char* value : {"1", "2", "3"}) member->Put("a", value);
  member->Delete("a");
  member->Put("b", "4");
  exec.Advance(std::chrono::seconds(1));
  Compact(&exec, &*member, 6);
  member->committer->Stop();
  exec.RunDeferred();
  stream.AppendForeign(
      {.subject = codec.LiveSubject(),
       .header = jetstream::EncodeHeader({.revision = Revision(6), .term = Term(1)}),
       .payload =
           jetstream::EncodeLive({.range = {StreamSeq(1), StreamSeq(7)}, .live = {StreamSeq(6)}})});
  MemoryLog::Options options = Mirrored();
  options.mirrors = {Fits(2)};
  member.emplace(&exec, &stream, "m", options);
  exec.Advance(std::chrono::seconds(2));
  ASSERT_TRUE(member->committer->leading());
  EXPECT_EQ(stream.Find(StreamSeq(2)), nullptr);
  for (const uint64_t seq : {3, 4, 5}) EXPECT_NE(stream.Find(StreamSeq(seq)), nullptr) << seq;
  // Far ahead of it, values go and the marker stays.
  for (int i = 0; i < 120; ++i) member->Put("c", "5");
  exec.Advance(std::chrono::seconds(11));
  EXPECT_EQ(stream.Find(StreamSeq(4)), nullptr);
  EXPECT_NE(stream.Find(StreamSeq(5)), nullptr);
  member->log.set_mirrors({Fits(100)});
  exec.Advance(std::chrono::seconds(11));
  EXPECT_EQ(stream.Find(StreamSeq(5)), nullptr);
  EXPECT_NE(stream.Find(StreamSeq(6)), nullptr);
  EXPECT_EQ(member->Get("a"), "");
  EXPECT_EQ(member->Get("b"), "4");
}

// It shows that the mirror is no copy; without it, the mirror would look like one.
TEST(MirroredMemberTest, TermRecordsStayUntilAMirrorThatIsACopyHasThem) {
  FakeExecutor exec;
  MemoryStream stream;
  MirrorState other = Fits(0);
  other.fit = Fit::kOther;
  MemoryLog::Options options = Mirrored();
  options.mirrors = {other};
  std::optional<Member> member;
  member.emplace(&exec, &stream, "m", options);
  exec.Advance(std::chrono::seconds(1));
  ASSERT_TRUE(member->committer->leading());
  for (int i = 0; i < 3; ++i) member->Put("a", "1");
  exec.Advance(std::chrono::seconds(1));
  member->committer->Stop();
  exec.RunDeferred();
  // 1 and 5 are term records.
  member.emplace(&exec, &stream, "m", options);
  exec.Advance(std::chrono::seconds(1));
  ASSERT_TRUE(member->committer->leading());
  Compact(&exec, &*member, 4);
  for (int i = 0; i < 120; ++i) member->Put("a", "2");
  exec.Advance(std::chrono::seconds(11));
  EXPECT_EQ(stream.Find(StreamSeq(2)), nullptr) << "past its cap";
  EXPECT_NE(stream.Find(StreamSeq(1)), nullptr);
  Compact(&exec, &*member, 100);
  exec.Advance(std::chrono::seconds(11));
  EXPECT_NE(stream.Find(StreamSeq(1)), nullptr);
  // Made anew.
  member->log.set_mirrors({Fits(120)});
  exec.Advance(std::chrono::seconds(11));
  EXPECT_EQ(stream.Find(StreamSeq(1)), nullptr);
  EXPECT_NE(stream.Find(StreamSeq(5)), nullptr);
}

TEST(MirroredMemberTest, ALeaderEndsWhenAMirrorWasPromoted) {
  FakeExecutor exec;
  MemoryStream stream;
  MirrorState promoted = Fits(5);
  promoted.fit = Fit::kPromoted;
  promoted.what = "it was promoted";
  Member member(&exec, &stream, "m", Mirrored());
  exec.Advance(std::chrono::seconds(1));
  ASSERT_TRUE(member.committer->leading());
  member.log.set_mirrors({promoted});
  member.Put("a", "1");
  member.Put("a", "2");
  exec.Advance(std::chrono::seconds(1));
  EXPECT_FALSE(member.fatal.has_value());
  Compact(&exec, &member, 3);
  ASSERT_TRUE(member.fatal.has_value());
  EXPECT_NE(member.fatal->message().find("the JetStream domain dr"), std::string::npos);
}

}  // namespace
}  // namespace jetd::revision
