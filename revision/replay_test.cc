// SPDX-License-Identifier: Apache-2.0
//
// Each rule of replay.h on a stream written by hand.
#include "revision/replay.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fake_executor.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "jetstream/silent_observer.h"
#include "revision/replay_harness.h"

namespace jetd::revision {
namespace {

using jetstream::MemoryLog;
using jetstream::RecordHeader;
using jetstream::SeqRange;
using jetstream::SilentObserver;

using Ranges = std::vector<SeqRange>;

TEST_F(ReplayTest, TellsOfEachRecordWhatTheRulesSay) {
  TermAt(1, 1);
  Key("g/0", 2, 1, 2);
  Key("g/1", 2, 2, 2);
  Key("h/0", 3, 1, 3);  // cut short; the term record behind it is newer than the first reading
  TermAt(2, 2, {{StreamSeq(4), StreamSeq(4)}});
  Key("late", 3);  // of the term before
  Append(codec_.EncodeKey("foreign"), "", "x");
  TermAt(3, 2, {{StreamSeq(6), StreamSeq(7)}});
  CompactAt(2, 2);  // of the term before, so it does not count
  ASSERT_TRUE(Run(/*exclusive=*/true).ok());
  EXPECT_EQ(judged_, "1 2 3 4v 5 6v 8 9v ");
}

TEST_F(ReplayTest, AnEmptyStream) {
  const auto result = Run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->last, StreamSeq(0));
  EXPECT_EQ(result->term, Term(0));
  EXPECT_EQ(store_.committed(), Revision(1));
}

TEST_F(ReplayTest, R1WhatATermRecordVoidsNeverWas) {
  TermAt(1, 1);
  Key("a", 2);
  Key("g/0", 3, 1, 3);
  Key("g/1", 3, 2, 3);
  TermAt(2, 2, {{StreamSeq(3), StreamSeq(4)}});
  Key("b", 3, 1, 1, 2);
  const auto result = Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(Has("a") && Has("b"));
  EXPECT_FALSE(Has("g/0"));
  EXPECT_EQ(store_.committed(), Revision(3));
  EXPECT_TRUE(result->voids.empty());
  EXPECT_EQ(result->dead, (std::vector<StreamSeq>{StreamSeq(3), StreamSeq(4)}));
}

TEST_F(ReplayTest, R2AGroupCutShortAtTheEndIsVoidedNext) {
  TermAt(1, 1);
  Key("a", 2);
  Key("g/0", 3, 1, 3);
  Key("g/1", 3, 2, 3);
  const auto result = Run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->voids, (Ranges{{StreamSeq(3), StreamSeq(4)}}));
  EXPECT_FALSE(Has("g/0"));
  EXPECT_EQ(store_.committed(), Revision(2));
}

TEST_F(ReplayTest, R2AGroupCutShortInTheMiddleIsLoss) {
  TermAt(1, 1);
  Key("g/0", 2, 1, 2);
  Key("a", 3);
  const auto result = Run();
  EXPECT_EQ(GetErrc(result.status()), Errc::kCorrupt);
}

TEST_F(ReplayTest, R3AHoleInTheRevisionsIsLoss) {
  TermAt(1, 1);
  Key("a", 2);
  Key("b", 4);
  EXPECT_EQ(GetErrc(Run().status()), Errc::kCorrupt);
}

TEST_F(ReplayTest, R8WhatAListLeavesOutIsNotThere) {
  TermAt(1, 1);
  Key("back", 2);
  const StreamSeq stays = Key("stays", 3);
  const StreamSeq hides = Gone("back", 4);
  CompactAt(4, 4);
  LiveAt(5, {stays}, 4);
  stream_.Delete(hides);  // and "back" came back
  Key("later", 5);
  judge_ = false;
  const auto result = Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(Has("back"));
  EXPECT_TRUE(Has("stays") && Has("later"));
  EXPECT_EQ(result->unlisted, (std::vector<StreamSeq>{StreamSeq(2)}));
  EXPECT_EQ(result->system.live, (std::vector<StreamSeq>{StreamSeq(6)}));
}

// The old leader compacts, writes its list and removes a marker, between the moment when a value is
// read and the moment when what hides it would be: at every moment of the reading.
TEST_F(ReplayTest, RemovalWhileItReadsBringsNothingBack) {
  for (uint64_t moment = 1; moment <= 6; ++moment) {
    SCOPED_TRACE(moment);
    stream_.Recreate(static_cast<int64_t>(moment));
    store_.Clear();
    TermAt(1, 1);
    const StreamSeq value = Key("gone", 2);
    const StreamSeq stays = Key("stays", 3);
    const StreamSeq marker = Gone("gone", 4);
    Key("more", 5);
    Key("last", 6);
    before_record_ = [&, once = false](StreamSeq seq) mutable {
      if (seq != StreamSeq(moment) || std::exchange(once, true)) return;
      CompactAt(6, 6);
      LiveAt(6, {stays, StreamSeq(5), StreamSeq(6)}, 6);
      stream_.Delete(value);
      stream_.Delete(marker);
    };
    ASSERT_NO_FATAL_FAILURE(RunToTheEnd());
    EXPECT_FALSE(Has("gone"));
    EXPECT_TRUE(Has("stays") && Has("more") && Has("last"));
    EXPECT_EQ(store_.compacted(), Revision(6));
  }
}

// A compaction removes a part of a group while it is read: no damage.
TEST_F(ReplayTest, RemovalWhileItReadsIsNoDamage) {
  TermAt(1, 1);
  Key("a", 2, 1, 3);
  Key("b", 2, 2, 3);
  const StreamSeq last_of_group = Key("c", 2, 3, 3);
  Key("a", 3, 1, 2);
  Key("c", 3, 2, 2);
  before_record_ = [&, once = false](StreamSeq seq) mutable {
    if (seq != StreamSeq(3) || std::exchange(once, true)) return;
    CompactAt(3, 3);
    stream_.Delete(last_of_group);
  };
  judge_ = false;
  const auto result = Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(Has("a") && Has("b") && Has("c"));
  EXPECT_EQ(store_.compacted(), Revision(3));
}

TEST_F(ReplayTest, R3WithAServerOfOurOwnAHoleWasNeverAnswered) {
  TermAt(1, 1);
  Key("a", 2);
  Key("b", 4);
  Key("c", 5);
  const auto result = Run(/*exclusive=*/true);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->voids, (Ranges{{StreamSeq(3), StreamSeq(4)}}));
  EXPECT_EQ(store_.committed(), Revision(2));
  EXPECT_FALSE(Has("b") || Has("c"));
}

TEST_F(ReplayTest, R7ALeaderBehindTheHoleProvesThatWhatIsMissingWasSafe) {
  TermAt(1, 1);
  Key("a", 2);
  Key("b", 4);
  TermAt(2, 4);  // its leader has seen revision 3
  Key("c", 5, 1, 1, 2);
  EXPECT_EQ(GetErrc(Run(/*exclusive=*/true).status()), Errc::kCorrupt);
}

TEST_F(ReplayTest, R7ATermRecordAloneProvesNothing) {
  TermAt(1, 1);
  Key("a", 2);
  Key("b", 4);
  TermAt(2, 4);  // written, and never synced
  const auto result = Run(/*exclusive=*/true);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->voids, (Ranges{{StreamSeq(3), StreamSeq(4)}}));
}

TEST_F(ReplayTest, R7ACompactionBehindTheHoleProvesThatWhatIsMissingWasSafe) {
  TermAt(1, 1);
  Key("a", 2);
  Key("b", 4);
  CompactAt(2, 4);
  EXPECT_EQ(GetErrc(Run(/*exclusive=*/true).status()), Errc::kCorrupt);
}

// What was, not what is: history has it, and what hid it too.
TEST_F(ReplayTest, R8IsNotForHistory) {
  TermAt(1, 1);
  Key("k", 2);
  Gone("k", 3);
  Key("last", 4);
  CompactAt(4, 4);
  LiveAt(5, {StreamSeq(4)}, 4);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(judged_, "1 2 3 4 5 6 ");
}

// A record of jetd's own says which revision was the newest before it.
TEST_F(ReplayTest, R3ALeaseOrTermRecordHidesNoHole) {
  auto lease = [this](int64_t rev) {
    RecordHeader header{.revision = Revision(rev), .term = Term(1)};
    Append(codec_.LeaseSubject(LeaseId(7)), EncodeHeader(header),
           jetstream::EncodeLease({.ttl_s = 60, .granted_ms = 1}));
  };
  TermAt(1, 1);
  Key("a", 2);
  lease(3);
  Key("b", 4);
  EXPECT_EQ(GetErrc(Run().status()), Errc::kCorrupt);
  store_.Clear();
  const auto embedded = Run(/*exclusive=*/true);
  ASSERT_TRUE(embedded.ok()) << embedded.status();
  EXPECT_EQ(embedded->voids, (Ranges{{StreamSeq(3), StreamSeq(4)}}));
  EXPECT_EQ(store_.committed(), Revision(2));

  stream_.Recreate(2);
  store_.Clear();
  TermAt(1, 1);
  Key("a", 2);
  TermAt(2, 3);
  EXPECT_EQ(GetErrc(Run().status()), Errc::kCorrupt);
  store_.Clear();
  const auto not_led = Run(/*exclusive=*/true);
  ASSERT_TRUE(not_led.ok()) << not_led.status();
  EXPECT_EQ(not_led->voids, (Ranges{{StreamSeq(3), StreamSeq(3)}}));
  Key("b", 4, 1, 1, 2);
  store_.Clear();
  EXPECT_EQ(GetErrc(Run(/*exclusive=*/true).status()), Errc::kCorrupt) << "it led, so 3 was safe";
}

TEST_F(ReplayTest, R7AListFromBehindTheHoleProvesThatWhatIsMissingWasSafe) {
  TermAt(1, 1);
  Key("a", 2);
  Key("b", 4);
  LiveAt(3, {StreamSeq(1)}, 4);
  EXPECT_EQ(GetErrc(Run(/*exclusive=*/true).status()), Errc::kCorrupt);
}

TEST_F(ReplayTest, R7AListThatNamesWhatIsMissingProvesThatItWasSafe) {
  TermAt(1, 1);
  Key("a", 2);
  const StreamSeq lost = Key("lost", 3);
  Key("b", 4);
  LiveAt(3, {StreamSeq(2), lost}, 4);
  Key("c", 5);
  stream_.Delete(lost);
  EXPECT_EQ(GetErrc(Run(/*exclusive=*/true).status()), Errc::kCorrupt);
}

TEST_F(ReplayTest, R7AListOfWhatLiesBeforeTheHoleProvesNothing) {
  TermAt(1, 1);
  Key("a", 2);
  const StreamSeq lost = Key("lost", 3);
  Key("b", 4);
  LiveAt(2, {StreamSeq(2)}, 4);
  stream_.Delete(lost);
  const auto result = Run(/*exclusive=*/true);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(store_.committed(), Revision(2));
}

// The leader voids a foreign record and what lies behind it, and removes them, while another member
// reads: at every moment of the reading.
TEST_F(ReplayTest, VoidsWhileItReadsAreSeen) {
  for (uint64_t moment = 1; moment <= 5; ++moment) {
    SCOPED_TRACE(moment);
    stream_.Recreate(static_cast<int64_t>(moment));
    store_.Clear();
    TermAt(1, 1);
    Key("a", 2);
    const StreamSeq foreign = Append(codec_.EncodeKey("x"), "", "x");
    const StreamSeq behind = Key("phantom", 3);
    Append(codec_.BarrierSubject(),
           jetstream::EncodeHeader({.revision = Revision(2), .term = Term(1)}), "");
    before_record_ = [&, once = false](StreamSeq seq) mutable {
      if (seq != StreamSeq(moment) || std::exchange(once, true)) return;
      TermAt(2, 2, {{foreign, StreamSeq(5)}});
      stream_.Delete(foreign);
      Key("b", 3, 1, 1, 2);
    };
    ASSERT_NO_FATAL_FAILURE(RunToTheEnd());
    EXPECT_FALSE(Has("phantom")) << behind;
    EXPECT_TRUE(Has("a") && Has("b"));
    EXPECT_EQ(store_.committed(), Revision(3));
  }
}

// The same, and what is left of a group on the way looks like damage.
TEST_F(ReplayTest, VoidsWhileItReadsAreNoDamage) {
  for (uint64_t removed = 1; removed <= 3; ++removed) {
    SCOPED_TRACE(removed);
    stream_.Recreate(static_cast<int64_t>(removed));
    store_.Clear();
    TermAt(1, 1);
    Key("a", 2);
    const StreamSeq foreign = Append(codec_.EncodeKey("x"), "", "x");
    Key("phantom", 3, 1, 2);
    Key("phantom too", 3, 2, 2);
    before_record_ = [&, once = false](StreamSeq seq) mutable {
      if (seq != StreamSeq(2) || std::exchange(once, true)) return;
      TermAt(2, 2, {{foreign, StreamSeq(5)}});
      for (uint64_t i = 0; i < removed; ++i) stream_.Delete(StreamSeq(foreign.value() + i));
    };
    ASSERT_NO_FATAL_FAILURE(RunToTheEnd());
    EXPECT_TRUE(Has("a"));
    EXPECT_FALSE(Has("phantom") || Has("phantom too"));
  }
}

// The reading that is to confirm the damage has its end before a second compaction, which removes
// the first's record ahead of it.
TEST_F(ReplayTest, TwoCompactionsWhileItReadsAreNoDamage) {
  TermAt(1, 1);
  for (int64_t rev = 2; rev <= 4; ++rev) Key("a", rev);
  StreamSeq first;
  before_record_ = [&](StreamSeq seq) {
    if (seq != StreamSeq(2) || first != StreamSeq{}) return;
    first = CompactAt(4, 4);
    stream_.Delete(StreamSeq(3));
  };
  before_control_ = [&, once = false](StreamSeq) mutable {
    if (first == StreamSeq{} || std::exchange(once, true)) return;
    Key("a", 5);
    CompactAt(5, 5);
    stream_.Delete(first);
  };
  ASSERT_NO_FATAL_FAILURE(RunToTheEnd());
  EXPECT_TRUE(Has("a"));
  EXPECT_EQ(store_.committed(), Revision(5));
  EXPECT_EQ(store_.compacted(), Revision(5));
}

TEST_F(ReplayTest, R3BelowTheCompactRevisionPartsMayBeGone) {
  TermAt(1, 1);
  Key("a", 2);
  const StreamSeq gone = Key("g/0", 3, 1, 2);
  Key("g/1", 3, 2, 2);
  const StreamSeq also_gone = Key("b", 4);
  Key("c", 5);
  CompactAt(5, 5);
  Key("d", 6);
  stream_.Delete(gone);
  stream_.Delete(also_gone);
  const auto result = Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(Has("a") && Has("g/1") && Has("c") && Has("d"));
  EXPECT_EQ(store_.compacted(), Revision(5));
  EXPECT_EQ(store_.committed(), Revision(6));
}

TEST_F(ReplayTest, R3BelowTheCompactRevisionTheOrderHoldsToo) {
  TermAt(1, 1);
  Key("a", 5);
  Key("b", 3);
  CompactAt(9, 9);
  EXPECT_EQ(GetErrc(Run().status()), Errc::kCorrupt);
}

TEST_F(ReplayTest, TheRevisionSurvivesWhenAllItsRecordsAreGone) {
  TermAt(1, 1);
  const StreamSeq put = Key("a", 2);
  stream_.Delete(put);
  CompactAt(2, 2);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(store_.committed(), Revision(2));
}

TEST_F(ReplayTest, R4ForeignRecordsAreVoidedWithAllBehindThem) {
  TermAt(1, 1);
  Key("a", 2);
  Append("$KV.B.intruder", "", "x");
  Key("late", 4);  // predicted behind our 3, which the intruder kept out
  const auto result = Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->foreign, 1U);
  EXPECT_EQ(result->voids, (Ranges{{StreamSeq(3), StreamSeq(4)}}));
  EXPECT_FALSE(Has("intruder") || Has("late"));
}

TEST_F(ReplayTest, R4AForeignCompactionOrTermSaysNothing) {
  TermAt(1, 1);
  Key("a", 2);
  const StreamSeq lost = Key("lost", 3);
  Key("b", 4);
  Append(codec_.CompactSubject(), "4 * 0 0 1/1 1", R"({"bound":4,"revision":4})");
  stream_.Delete(lost);
  EXPECT_EQ(GetErrc(Run().status()), Errc::kCorrupt);
  stream_.Recreate(2);
  store_.Clear();
  TermAt(1, 1);
  Key("a", 2);
  jetstream::TermRecord term;
  term.term = Term(9);
  term.incarnation = "somebody";
  term.voids = {{StreamSeq(2), StreamSeq(2)}};
  Append(codec_.TermSubject(), "2 * 0 0 1/1 9", EncodeTerm(term));
  ASSERT_TRUE(Run().ok());
  EXPECT_TRUE(Has("a"));
}

TEST_F(ReplayTest, R5ARecordOfAnEarlierTermBehindALaterOneIsForeign) {
  TermAt(1, 1);
  Key("a", 2);
  TermAt(2, 2);
  Key("late", 3, 1, 1, 1);
  const auto result = Run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->voids, (Ranges{{StreamSeq(4), StreamSeq(4)}}));
  EXPECT_FALSE(Has("late"));
}

TEST_F(ReplayTest, R6ATermRecordBehindAForeignRecordVoidsItOrSomethingIsWrong) {
  TermAt(1, 1);
  Append("$KV.B.intruder", "", "x");
  TermAt(2, 1);
  EXPECT_EQ(GetErrc(Run().status()), Errc::kCorrupt);
}

TEST_F(ReplayTest, ANewerFormatIsRefused) {
  TermAt(1, 1);
  TermAt(2, 1, {}, jetstream::kFormatVersion + 1);
  const auto result = Run();
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ReplayTest, R9AKindOfRecordThatIsNotKnownIsRefused) {
  TermAt(1, 1);
  const std::string header = jetstream::EncodeHeader({.revision = Revision(1), .term = Term(1)});
  const StreamSeq later = Append("$KV.B._jetd.later.x", header, "{}");
  EXPECT_TRUE(absl::IsFailedPrecondition(Run().status()));
  // Unless it never was.
  TermAt(2, 1, {{later, later}});
  store_.Clear();
  EXPECT_TRUE(Run().ok());
  // And unless somebody else wrote it.
  stream_.Recreate(2);
  store_.Clear();
  TermAt(1, 1);
  Append("$KV.B._jetd.later.x", "", "{}");
  EXPECT_TRUE(Run().ok());
}

TEST_F(ReplayTest, AReplayGoesOnWhereTheStreamHasGrown) {
  TermAt(1, 1);
  Key("g/0", 2, 1, 2);
  MemoryLog log(&exec_, &stream_);
  SilentObserver observer;
  log.Open(&observer, [](const absl::Status&) {});
  exec_.RunDeferred();
  Replay replay(&log, &codec_, &store_);
  std::optional<Replay::Result> result;
  const auto keep = [&](absl::StatusOr<Replay::Result> r) { result = *std::move(r); };
  replay.Run(keep);
  exec_.Advance(std::chrono::seconds(1));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->voids, (Ranges{{StreamSeq(2), StreamSeq(2)}}));
  // Its writer was alive after all.
  Key("g/1", 2, 2, 2);
  Key("b", 3);
  replay.Run(keep);
  exec_.Advance(std::chrono::seconds(1));
  EXPECT_TRUE(result->voids.empty());
  EXPECT_TRUE(Has("g/0") && Has("g/1") && Has("b"));
  EXPECT_EQ(result->last, StreamSeq(4));
  log.Close();
}

}  // namespace
}  // namespace jetd::revision
