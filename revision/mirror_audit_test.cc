// SPDX-License-Identifier: Apache-2.0
#include "revision/mirror_audit.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fake_executor.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "jetstream/silent_observer.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using jetstream::CompareAnswer;
using jetstream::MemoryLog;
using jetstream::MemoryStream;
using jetstream::MirrorState;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Fit = MirrorState::Fit;

MirrorState Fits(uint64_t reached) {
  return {.name = "a",
          .domain = "dr",
          .cap_records = 1'000,
          .fit = Fit::kFits,
          .made_ns = 1,
          .reached = StreamSeq(reached)};
}

MemoryLog::Options Mirrored() {
  MemoryLog::Options options;
  options.mirrored = true;
  return options;
}

MirrorAudit::Options EveryTenMinutes() {
  MirrorAudit::Options options;
  options.interval = minutes(10);
  return options;
}

// A stream of 100 records and one that mirrors it.
class MirrorAuditTest : public ::testing::Test {
 protected:
  MirrorAuditTest() {
    for (int i = 1; i <= 100; ++i) {
      Append(&stream_, i);
      Append(&mirror_, i);
    }
    log_.set_mirror_stream(&mirror_);
    log_.set_mirrors({Fits(100)});
    log_.Open(&observer_, [](const absl::Status& why) { ADD_FAILURE() << why; });
    exec_.RunDeferred();
  }
  ~MirrorAuditTest() override {
    log_.Close();
    exec_.RunDeferred();
  }
  static void Append(MemoryStream* stream, int number, const std::string& value = "v") {
    stream->AppendForeign(
        {.subject = Cat("$KV.B.k", number), .header = "h", .payload = Cat(value, number)});
  }
  // At the end of some rounds.
  MirrorAudit::State After(std::chrono::nanoseconds time) {
    exec_.Advance(time);
    const auto states = audit_.states();
    return states.size() == 1 ? states[0] : MirrorAudit::State{};
  }

  FakeExecutor exec_;
  MemoryStream stream_, mirror_;
  MemoryLog log_{&exec_, &stream_, Mirrored()};
  jetstream::SilentObserver observer_;
  std::vector<uint64_t> needed_;
  MirrorAudit audit_{&exec_, &log_, EveryTenMinutes(), [this](const CompareAnswer::Found& record) {
                       return std::find(needed_.begin(), needed_.end(), record.seq.value()) !=
                              needed_.end();
                     }};
};

TEST_F(MirrorAuditTest, GoesOnWhereItEnded) {
  audit_.Begin();
  EXPECT_TRUE(audit_.states().empty());
  // Three batches, and pauses between them.
  MirrorAudit::State state = After(minutes(10));
  EXPECT_EQ(state.verified, StreamSeq(32));
  EXPECT_EQ(state.verified_ms, 0);
  state = After(seconds(1));
  EXPECT_EQ(state.verified, StreamSeq(100));
  EXPECT_EQ(state.records, 100U);
  EXPECT_GT(state.verified_ms, 0);
  for (int i = 101; i <= 120; ++i) {
    Append(&stream_, i);
    Append(&mirror_, i);
  }
  log_.set_mirrors({Fits(110)});
  state = After(minutes(11));
  EXPECT_EQ(state.verified, StreamSeq(110));
  EXPECT_EQ(state.records, 110U);
  EXPECT_EQ(state.differences, 0U);
  EXPECT_EQ(state.domain, "dr");
  // A day later all of it once more.
  state = After(hours(25));
  EXPECT_EQ(state.records, 220U);
}

TEST_F(MirrorAuditTest, OneByteIsFoundAndStays) {
  MemoryStream other;
  for (int i = 1; i <= 100; ++i) Append(&other, i, i == 77 ? "w" : "v");
  log_.set_mirror_stream(&other);
  audit_.Begin();
  MirrorAudit::State state = After(minutes(11));
  EXPECT_EQ(state.differences, 1U);
  EXPECT_EQ(state.what, "the record at sequence 77, $KV.B.k77, is another one there");
  EXPECT_EQ(state.verified, StreamSeq(64));
  std::vector<MirrorState> found = {Fits(100)};
  audit_.Judge(&found);
  EXPECT_EQ(found[0].fit, Fit::kOther);
  EXPECT_EQ(found[0].what, state.what);
  EXPECT_EQ(found[0].reached, StreamSeq(0));
  // Cut off meanwhile, and led anew: it is the same one.
  log_.set_mirrors({{.name = "a", .domain = "dr"}});
  audit_.Begin();
  EXPECT_EQ(After(minutes(11)).differences, 1U);
  // Made anew.
  MirrorState anew = Fits(100);
  anew.made_ns = 2;
  log_.set_mirrors({anew});
  log_.set_mirror_stream(&mirror_);
  state = After(minutes(11));
  EXPECT_EQ(state.differences, 0U);
  EXPECT_EQ(state.verified, StreamSeq(100));
  found = {anew};
  audit_.Judge(&found);
  EXPECT_EQ(found[0].fit, Fit::kFits);
}

// The mirror was trimmed; but what the store is made of is not trimmed anywhere.
TEST_F(MirrorAuditTest, WhatIsMissingMattersIfItCounts) {
  mirror_.Delete(StreamSeq(5));
  mirror_.Delete(StreamSeq(50));
  needed_ = {50};
  audit_.Begin();
  MirrorAudit::State state = After(minutes(11));
  EXPECT_EQ(state.differences, 0U);
  EXPECT_EQ(state.verified, StreamSeq(32));
  EXPECT_EQ(state.verified_ms, 0);
  state = After(minutes(10));
  EXPECT_EQ(state.differences, 1U);
  EXPECT_EQ(state.what, "the record at sequence 50, $KV.B.k50, is not there");
}

// One that was behind the others of its mirror answered, or the store was about to drop it.
TEST_F(MirrorAuditTest, WhatIsMissingOnceIsAskedForAgain) {
  MemoryStream behind;
  for (int i = 1; i <= 100; ++i) Append(&behind, i);
  for (const uint64_t seq : {50, 51, 90}) behind.Delete(StreamSeq(seq));
  log_.set_mirror_stream(&behind);
  needed_ = {50, 51, 90};
  audit_.Begin();
  EXPECT_EQ(After(minutes(10) + milliseconds(150)).verified, StreamSeq(32));
  // A connection that breaks and comes back asks too soon to make sure.
  audit_.Suspend();
  audit_.Resume();
  MirrorAudit::State state = After(seconds(30));
  EXPECT_EQ(state.records, 96U);
  EXPECT_EQ(state.differences, 0U);
  needed_ = {90};
  EXPECT_EQ(After(minutes(10)).verified, StreamSeq(64));
  log_.set_mirror_stream(&mirror_);
  state = After(minutes(10));
  EXPECT_EQ(state.verified, StreamSeq(100));
  EXPECT_GT(state.verified_ms, 0);
  EXPECT_EQ(state.differences, 0U);
}

// What it gets a second time is what a disk has just lost once.
TEST_F(MirrorAuditTest, OneThatWentBackIsComparedFromThereOn) {
  audit_.Begin();
  EXPECT_EQ(After(minutes(11)).verified, StreamSeq(100));
  log_.set_mirrors({Fits(60)});
  EXPECT_EQ(After(minutes(10)).verified, StreamSeq(60));
  MemoryStream other;
  for (int i = 1; i <= 100; ++i) Append(&other, i, i == 77 ? "w" : "v");
  log_.set_mirror_stream(&other);
  log_.set_mirrors({Fits(100)});
  const MirrorAudit::State state = After(minutes(10));
  EXPECT_EQ(state.what, "the record at sequence 77, $KV.B.k77, is another one there");
  EXPECT_EQ(state.verified, StreamSeq(60));
}

// In the midst of a later pass too; and it may have lost all.
TEST_F(MirrorAuditTest, OneThatWentBackIsVerifiedNoFurther) {
  audit_.Begin();
  EXPECT_EQ(After(minutes(11)).verified, StreamSeq(100));
  // The next pass has begun.
  EXPECT_EQ(After(hours(24) - minutes(1) + milliseconds(450)).records, 132U);
  EXPECT_EQ(audit_.states()[0].verified, StreamSeq(100));
  audit_.Suspend();
  log_.set_mirrors({Fits(60)});
  audit_.Resume();
  EXPECT_EQ(After(minutes(11)).verified, StreamSeq(60));
  log_.set_mirrors({Fits(0)});
  EXPECT_EQ(After(minutes(10)).verified, StreamSeq(0));
  log_.set_mirrors({Fits(100)});
  EXPECT_EQ(After(minutes(10)).verified, StreamSeq(100));
}

// A megabyte a batch, so that the bound in bytes counts and not the one in batches.
TEST_F(MirrorAuditTest, LargeRecordsTakeTheirTime) {
  const std::string megabyte(1'000'000, 'v');
  MemoryStream large, copy;
  for (int i = 1; i <= 10; ++i) {
    Append(&large, i, megabyte);
    Append(&copy, i, megabyte);
  }
  MemoryLog log(&exec_, &large, Mirrored());
  log.set_mirror_stream(&copy);
  log.set_mirrors({Fits(10)});
  jetstream::SilentObserver observer;
  log.Open(&observer, [](const absl::Status& why) { ADD_FAILURE() << why; });
  exec_.RunDeferred();
  MirrorAudit audit(&exec_, &log, EveryTenMinutes(),
                    [](const CompareAnswer::Found&) { return true; });
  audit.Begin();
  exec_.Advance(minutes(10));
  // 2 MB a second.
  for (uint64_t half_seconds = 0; half_seconds < 10; ++half_seconds) {
    EXPECT_EQ(audit.states()[0].records, half_seconds + 1);
    exec_.Advance(milliseconds(510));
  }
  EXPECT_EQ(audit.states()[0].verified, StreamSeq(10));
  audit.Suspend();
  log.Close();
  exec_.RunDeferred();
}

TEST_F(MirrorAuditTest, SeveralTakeTurns) {
  MirrorState b = Fits(100);
  b.name = "b";
  log_.set_mirrors({Fits(100), b});
  audit_.Begin();
  exec_.Advance(minutes(10) + milliseconds(150));
  for (const MirrorAudit::State& state : audit_.states()) EXPECT_EQ(state.records, 32U);
  exec_.Advance(minutes(1));
  ASSERT_EQ(audit_.states().size(), 2U);
  for (const MirrorAudit::State& state : audit_.states()) {
    EXPECT_EQ(state.verified, StreamSeq(100));
    EXPECT_GT(state.verified_ms, 0);
  }
}

TEST_F(MirrorAuditTest, WhatTheStreamHasNotIsPassedOver) {
  for (const uint64_t seq : {1, 2, 40, 100}) stream_.Delete(StreamSeq(seq));
  audit_.Begin();
  const MirrorAudit::State state = After(minutes(11));
  EXPECT_EQ(state.verified, StreamSeq(100));
  EXPECT_EQ(state.records, 96U);
  EXPECT_EQ(state.differences, 0U);
}

TEST_F(MirrorAuditTest, ALeadershipComparesFromTheBeginning) {
  audit_.Begin();
  EXPECT_EQ(After(minutes(11)).records, 100U);
  // A connection that was lost is none; a round that was under way goes on.
  for (int i = 101; i <= 200; ++i) {
    Append(&stream_, i);
    Append(&mirror_, i);
  }
  log_.set_mirrors({Fits(200)});
  EXPECT_EQ(After(minutes(9) + milliseconds(420)).records, 132U);
  audit_.Suspend();
  EXPECT_EQ(After(seconds(30)).records, 132U);
  audit_.Resume();
  EXPECT_EQ(After(seconds(2)).records, 200U);
  audit_.Suspend();
  EXPECT_EQ(After(hours(1)).records, 200U);
  audit_.Resume();
  EXPECT_EQ(After(minutes(11)).records, 200U);
  audit_.Begin();
  EXPECT_EQ(After(minutes(11)).records, 400U);
}

TEST_F(MirrorAuditTest, WhatDoesNotAnswerIsAskedNextTime) {
  log_.set_mirror_stream(nullptr);
  audit_.Begin();
  MirrorAudit::State state = After(minutes(11));
  EXPECT_EQ(state.name, "a");
  EXPECT_EQ(state.records, 0U);
  log_.set_mirror_stream(&mirror_);
  EXPECT_EQ(After(minutes(11)).verified, StreamSeq(100));
  // No copy by what the stream says of itself.
  MirrorState other = Fits(100);
  other.fit = Fit::kOther;
  log_.set_mirrors({other});
  EXPECT_EQ(After(hours(30)).records, 100U);
  log_.set_mirrors({});
  EXPECT_EQ(After(minutes(11)).name, "");
}

// --- a whole member -----------------------------------------------------------------------------

// A leader finds a key that the mirror lacks.
TEST(AuditedMemberTest, AMirrorThatLacksAKeyIsNoCopy) {
  FakeExecutor exec;
  MemoryStream stream, mirror;
  MemoryLog::Options options = Mirrored();
  // The second one has not been heard of, so nothing is removed.
  options.mirrors = {Fits(6), {.name = "z", .domain = "far", .cap_records = 1'000}};
  Member member(&exec, &stream, "m", options);
  member.log.set_mirror_stream(&mirror);
  exec.Advance(seconds(1));
  ASSERT_TRUE(member.committer->leading());
  // 1 is the term record.
  for (const char* key : {"a", "b", "a", "c", "a"}) member.Put(key, "v");
  exec.Advance(seconds(1));
  for (const auto& [seq, record] : stream.records()) {
    mirror.AppendForeign({.subject = record->subject,
                          .header = record->header,
                          .is_delete = record->is_delete,
                          .payload = record->payload});
  }
  // A version of a that nobody needs once it is compacted.
  mirror.Delete(StreamSeq(2));
  bool done = false;
  member.committer->Compact(Revision(6), Committer::Wait::kLogical,
                            [&](const absl::StatusOr<Revision>&) { done = true; });
  exec.Advance(seconds(1));
  ASSERT_TRUE(done);
  exec.Advance(minutes(11));
  ASSERT_NE(stream.Find(StreamSeq(2)), nullptr);
  auto audits = member.committer->mirror_audits();
  ASSERT_EQ(audits.size(), 2U);
  EXPECT_EQ(audits[0].differences, 0U) << audits[0].what;
  EXPECT_EQ(audits[0].verified, StreamSeq(6));
  EXPECT_EQ(member.committer->mirrors()[0].fit, Fit::kFits);
  mirror.Delete(StreamSeq(3));
  exec.Advance(hours(25));
  audits = member.committer->mirror_audits();
  EXPECT_EQ(audits[0].what, "the record at sequence 3, $KV.B.b, is not there");
  member.committer->LookAtMirrors();
  exec.Advance(seconds(1));
  EXPECT_EQ(member.committer->mirrors()[0].fit, Fit::kOther);
}

// What it voids would count in the mirror.
TEST(AuditedMemberTest, AMirrorThatLacksATermRecordWithVoidsIsNoCopy) {
  FakeExecutor exec;
  MemoryStream stream, mirror;
  std::optional<Member> member;
  member.emplace(&exec, &stream, "m");
  exec.Advance(seconds(1));
  member->Put("a", "v");
  exec.Advance(seconds(1));
  member.reset();
  // 1 and 2 are the member's, 4 is the next one's term record, which voids 3.
  stream.AppendForeign({.subject = "$KV.B.a", .payload = "somebody else's"});
  MemoryLog::Options options = Mirrored();
  options.mirrors = {Fits(5), {.name = "z", .domain = "far", .cap_records = 1'000}};
  member.emplace(&exec, &stream, "m", options);
  member->log.set_mirror_stream(&mirror);
  exec.Advance(seconds(1));
  ASSERT_TRUE(member->committer->leading());
  member->Put("b", "v");
  exec.Advance(seconds(1));
  for (uint64_t seq = 1; seq <= 5; ++seq) {
    const MemoryStream::StoredPtr record = stream.Find(StreamSeq(seq));
    const StreamSeq at = mirror.AppendForeign({.subject = record ? record->subject : "$KV.B.a",
                                               .header = record ? record->header : "",
                                               .payload = record ? record->payload : ""});
    if (seq == 4) mirror.Delete(at);
  }
  exec.Advance(minutes(21));
  const auto audits = member->committer->mirror_audits();
  ASSERT_EQ(audits.size(), 2U);
  EXPECT_EQ(audits[0].what, "the record at sequence 4, $KV.B._jetd.term, is not there");
}

// The store has forgotten the key, and in the mirror it is alive.
TEST(AuditedMemberTest, AMirrorThatLacksADeletionIsNoCopy) {
  FakeExecutor exec;
  MemoryStream stream, mirror;
  MemoryLog::Options options = Mirrored();
  options.mirrors = {Fits(6), {.name = "z", .domain = "far", .cap_records = 1'000}};
  Member member(&exec, &stream, "m", options);
  member.log.set_mirror_stream(&mirror);
  exec.Advance(seconds(1));
  ASSERT_TRUE(member.committer->leading());
  // 1 is the term record; 3, 5 are deletions.
  member.Put("a", "v");
  member.Delete("a");
  member.Put("b", "v");
  member.Delete("b");
  member.Put("c", "v");
  exec.Advance(seconds(1));
  for (const auto& [seq, record] : stream.records()) {
    mirror.AppendForeign({.subject = record->subject,
                          .header = record->header,
                          .is_delete = record->is_delete,
                          .payload = record->payload});
  }
  bool done = false;
  member.committer->Compact(Revision(6), Committer::Wait::kLogical,
                            [&](const absl::StatusOr<Revision>&) { done = true; });
  exec.Advance(seconds(1));
  ASSERT_TRUE(done);
  // Nothing of the first one is there, as if the mirror had been made later.
  for (const uint64_t seq : {2, 3, 5}) mirror.Delete(StreamSeq(seq));
  exec.Advance(minutes(21));
  ASSERT_NE(stream.Find(StreamSeq(3)), nullptr);
  const auto audits = member.committer->mirror_audits();
  EXPECT_EQ(audits[0].differences, 1U);
  EXPECT_EQ(audits[0].what, "the record at sequence 5, $KV.B.b, is not there");
}

// Another leader, and tools, know of it without an audit of their own.
TEST(AuditedMemberTest, WhatIsFoundIsWrittenDown) {
  FakeExecutor exec;
  MemoryStream stream, mirror;
  MemoryLog::Options options = Mirrored();
  options.mirrors = {Fits(2)};
  std::optional<Member> member;
  member.emplace(&exec, &stream, "m", options);
  member->log.set_mirror_stream(&mirror);
  exec.Advance(seconds(1));
  member->Put("a", "v");
  mirror.AppendForeign({.subject = "$KV.B.a", .payload = "another's"});
  mirror.AppendForeign({.subject = "$KV.B.a", .payload = "another's"});
  const auto written = [&stream] {
    std::string payload;
    for (const auto& [seq, record] : stream.records()) {
      if (record->subject == "$KV.B._jetd.alarm") payload = record->payload;
    }
    return payload;
  };
  exec.Advance(minutes(11));
  EXPECT_EQ(written(), R"({"alarms":["MIRROR 1"]})");
  EXPECT_TRUE(member->committer->alarms().OfEtcd().empty());
  const StreamSeq last = stream.last();
  exec.Advance(minutes(31));
  EXPECT_EQ(stream.last(), last) << "said again";
  // Puts go on, and other alarms are said beside it, by the next leader too.
  member->Put("a", "w");
  member.emplace(&exec, &stream, "m", options);
  member->log.set_mirror_stream(&mirror);
  exec.Advance(seconds(1));
  ASSERT_TRUE(member->committer->leading());
  bool raised = false;
  member->committer->ChangeAlarm(Committer::AlarmChange::kRaise,
                                 {jetstream::AlarmType::kNoSpace, 7},
                                 [&raised](const auto& alarms) { raised = alarms.ok(); });
  exec.Advance(seconds(1));
  EXPECT_TRUE(raised);
  EXPECT_EQ(written(), R"({"alarms":["NOSPACE 7","MIRROR 1"]})");
  // Until its stream is made anew.
  MirrorState anew = Fits(0);
  anew.made_ns = 2;
  member->log.set_mirrors({anew});
  exec.Advance(minutes(11));
  EXPECT_EQ(written(), R"({"alarms":["NOSPACE 7"]})");
}

}  // namespace
}  // namespace jetd::revision
