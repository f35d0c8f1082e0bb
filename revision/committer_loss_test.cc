// SPDX-License-Identifier: Apache-2.0
//
// What others do to the stream, and what a nats-server loses: noticed, named, never served as if it
// had not been.
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/record.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using jetstream::Alarm;
using jetstream::AlarmType;
using jetstream::Meddling;
using jetstream::MemoryLog;
using jetstream::MemoryStream;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class CommitterLossTest : public ::testing::Test {
 protected:
  void SetUp() override { log::Init({.level = log::Level::kError}); }
  void Settle() {
    exec_.RunDeferred();
    exec_.Advance(milliseconds(200));
  }
  Revision Put(Member* member, const std::string& key, const std::string& value = "v") {
    const auto put = member->Put(key, value);
    Settle();
    if (!put->answer || !put->answer->ok()) {
      ADD_FAILURE() << "put of " << key << " failed";
      return {};
    }
    return RevisionOf(put);
  }
  static Errc ErrcOf(const Member::PendingOp& op) {
    return op->answer ? GetErrc(op->answer->status()) : Errc::kTimeout;
  }
  static bool Corrupt(const Member& member) {
    return member.committer->alarms().Has(AlarmType::kCorrupt);
  }
  void Disarm(Member* member) {
    for (const Alarm& alarm : std::vector<Alarm>(member->committer->alarms().all())) {
      member->committer->ChangeAlarm(Committer::AlarmChange::kDisarm, alarm, [](const auto&) {});
    }
    Settle();
  }
  // A connection breaks and comes back; meanwhile `fn` happens to the stream.
  template <typename Fn>
  void Break(Member* member, const Fn& fn) {
    member->log.Disconnect();
    exec_.RunDeferred();
    fn();
    member->log.Reconnect();
    Settle();
  }
  void Meddle(Member* member, Meddling::Kind kind = Meddling::Kind::kRemoved) {
    member->committer->OnMeddling({.kind = kind, .what = "by a test"});
    Settle();
  }
  // Of the newest record of a key.
  static StreamSeq SeqOf(const Member& member, std::string_view key) {
    return member.store.Get(key, Store::View::kCommitted)->seq();
  }

  FakeExecutor exec_;
  MemoryStream stream_;
};

TEST_F(CommitterLossTest, ALostTailIsWrittenDownAndEndsTheMember) {
  Revision newest;
  {
    Member member(&exec_, &stream_, "a");
    Put(&member, "kept");
    const StreamSeq last = stream_.last();
    Put(&member, "lost/1");
    newest = Put(&member, "lost/2");
    Break(&member, [&] { stream_.LoseTail(last); });
    ASSERT_TRUE(member.fatal.has_value());
    EXPECT_EQ(GetErrc(*member.fatal), Errc::kCorrupt);
    const std::string text(MessageOf(*member.fatal));
    EXPECT_THAT(text, HasSubstr("went back"));
    EXPECT_THAT(text, HasSubstr("lost/1 (3), lost/2 (4)"));
    EXPECT_EQ(member.committer->counters().lost_tails, 1U);
  }
  Member next(&exec_, &stream_, "b");
  Settle();
  ASSERT_TRUE(next.committer->leading()) << next.committer->waiting_for();
  EXPECT_GT(next.store.committed(), newest.Next());
  EXPECT_EQ(next.store.compacted(), next.store.committed()) << "no watch goes on from before";
  EXPECT_EQ(next.Get("kept"), "v");
  EXPECT_EQ(next.Get("lost/1"), "");
  EXPECT_TRUE(Corrupt(next));
  const auto refused = next.Put("k", "v");
  Settle();
  EXPECT_EQ(ErrcOf(refused), Errc::kCorrupt);
  Disarm(&next);
  EXPECT_GT(Put(&next, "k"), newest);
  // And whoever reads that agrees.
  Member third(&exec_, &stream_, "c");
  Settle();
  ASSERT_TRUE(third.committer->leading()) << third.committer->waiting_for();
  EXPECT_EQ(third.store.committed(), next.store.committed());
  EXPECT_EQ(third.Get("k"), "v");
}

// Wherever the stream is cut, also within a transaction or before the term record of its leader.
TEST_F(CommitterLossTest, AnyTailMayBeLost) {
  for (uint64_t lost = 1; lost < 12; ++lost) {
    SCOPED_TRACE(lost);
    stream_.Recreate(static_cast<int64_t>(lost));
    {
      Member first(&exec_, &stream_, "first");
      Put(&first, "old");
    }
    Revision newest;
    {
      Member member(&exec_, &stream_, "a");
      Settle();
      for (int i = 0; i < 3; ++i) member.PutMany(Cat("g", i), 3, "m");
      newest = Put(&member, "k");
      Break(&member, [&] { stream_.LoseTail(StreamSeq(stream_.last().value() - lost)); });
      ASSERT_TRUE(member.fatal.has_value());
    }
    Member next(&exec_, &stream_, "b");
    Settle();
    ASSERT_TRUE(next.committer->leading()) << next.committer->waiting_for();
    EXPECT_TRUE(Corrupt(next));
    EXPECT_GT(next.store.committed(), newest);
    EXPECT_EQ(next.Get("old"), "v");
    for (int i = 0; i < 3; ++i) {
      const bool some = !next.Get(Cat("g", i, "/0")).empty();
      EXPECT_EQ(some, !next.Get(Cat("g", i, "/2")).empty()) << "half a transaction";
    }
    Disarm(&next);
    EXPECT_GT(Put(&next, "k"), newest);
  }
}

// A server that has been without power comes and goes.
TEST_F(CommitterLossTest, WhatWasLostIsWrittenDownOnTheConnectionThatLasts) {
  for (size_t landed = 0; landed < 3; ++landed) {
    for (const bool another : {false, true}) {
      SCOPED_TRACE(Cat(landed, " records landed before", another ? ", another one leads" : ""));
      stream_.Recreate(static_cast<int64_t>(2 * landed) + (another ? 1 : 2));
      std::unique_ptr<Member> other;
      Revision newest;
      {
        Member member(&exec_, &stream_, "a");
        Put(&member, "kept");
        const StreamSeq last = stream_.last();
        newest = Put(&member, "lost");
        member.log.Hold(MemoryLog::Leg::kRequest);
        member.log.Pass(MemoryLog::Leg::kRequest, landed);
        Break(&member, [&] { stream_.LoseTail(last); });
        EXPECT_EQ(stream_.last().value(), last.value() + landed);
        Break(&member, [&] {
          const auto refused = member.Put("k", "v");
          exec_.RunDeferred();
          EXPECT_EQ(ErrcOf(refused), Errc::kNoLeader) << "nobody waits for that";
          if (another) {
            other = std::make_unique<Member>(&exec_, &stream_, "other");
            Settle();
          }
          member.log.Release(MemoryLog::Leg::kRequest);
        });
        ASSERT_TRUE(member.fatal.has_value());
        EXPECT_EQ(stream_.last().value(), last.value() + (another ? landed + 1 : 3));
      }
      if (another) continue;
      Member next(&exec_, &stream_, "b");
      Settle();
      ASSERT_TRUE(next.committer->leading()) << next.committer->waiting_for();
      EXPECT_GT(next.store.committed(), newest.Next());
      EXPECT_EQ(next.store.compacted(), next.store.committed());
      EXPECT_EQ(next.Get("kept"), "v");
      EXPECT_EQ(next.Get("lost"), "");
      EXPECT_TRUE(Corrupt(next));
    }
  }
}

TEST_F(CommitterLossTest, ALostTailInWhosePlaceAnotherWroteIsLeftToIt) {
  Member member(&exec_, &stream_, "a");
  Put(&member, "kept");
  const StreamSeq last = stream_.last();
  for (int i = 0; i < 5; ++i) Put(&member, Cat("lost/", i));
  const StreamSeq seen = stream_.last();
  member.log.Disconnect();
  exec_.RunDeferred();
  stream_.LoseTail(last);
  Member other(&exec_, &stream_, "other");
  Settle();
  while (stream_.last() <= seen) Put(&other, "k");
  const StreamSeq end = stream_.last();
  member.log.Reconnect();
  Settle();
  ASSERT_TRUE(member.fatal.has_value()) << "its term record is not where it was";
  EXPECT_THAT(std::string(MessageOf(*member.fatal)), HasSubstr("under member other"));
  EXPECT_EQ(stream_.last(), end) << "nothing was written";
  EXPECT_TRUE(other.committer->leading());
}

TEST_F(CommitterLossTest, AStreamMadeAnewBeginsAboveWhatWasAnswered) {
  Revision newest;
  {
    Member member(&exec_, &stream_, "a");
    for (int i = 0; i < 5; ++i) newest = Put(&member, Cat("k", i));
    Break(&member, [&] { stream_.Recreate(77); });
    ASSERT_TRUE(member.fatal.has_value());
    EXPECT_THAT(std::string(MessageOf(*member.fatal)), HasSubstr("made anew"));
  }
  Member next(&exec_, &stream_, "b");
  Settle();
  ASSERT_TRUE(next.committer->leading()) << next.committer->waiting_for();
  EXPECT_TRUE(Corrupt(next));
  EXPECT_GT(next.store.committed(), newest.Next());
  EXPECT_EQ(next.store.compacted(), next.store.committed());
  EXPECT_EQ(next.Get("k1"), "");
}

TEST_F(CommitterLossTest, AStreamMadeAnewByAnotherIsLeftToIt) {
  Member member(&exec_, &stream_, "a");
  Put(&member, "k");
  member.log.Disconnect();
  exec_.RunDeferred();
  stream_.Recreate(77);
  Member other(&exec_, &stream_, "other");
  Put(&other, "k");
  const StreamSeq end = stream_.last();
  member.log.Reconnect();
  Settle();
  ASSERT_TRUE(member.fatal.has_value());
  EXPECT_EQ(stream_.last(), end);
  EXPECT_TRUE(other.committer->leading());
}

TEST_F(CommitterLossTest, ARecordThatSomebodyRemovedIsNamed) {
  Member member(&exec_, &stream_, "a");
  Put(&member, "k");
  Put(&member, "l");
  Meddle(&member);
  EXPECT_FALSE(Corrupt(member)) << "nothing is missing";
  EXPECT_EQ(member.committer->counters().missing_records, 0U);
  exec_.Advance(seconds(10));
  stream_.Delete(SeqOf(member, "k"));
  Meddle(&member);
  EXPECT_TRUE(Corrupt(member));
  EXPECT_EQ(member.committer->counters().missing_records, 1U);
  EXPECT_EQ(member.committer->counters().meddlings, 2U);
  EXPECT_EQ(member.Get("k"), "v") << "memory still has it";
  EXPECT_EQ(member.recorder.commits.size(), 2U) << "no event that was not";
}

TEST_F(CommitterLossTest, AGrantThatSomebodyRemovedIsMissingToo) {
  Member member(&exec_, &stream_, "a");
  member.committer->GrantLease(LeaseId(5), 100, [](const auto& lease) { EXPECT_TRUE(lease.ok()); });
  Settle();
  stream_.Delete(stream_.last());
  Meddle(&member);
  EXPECT_TRUE(Corrupt(member));
}

TEST_F(CommitterLossTest, AConfigurationThatLosesRecordsIsCorrupt) {
  Member member(&exec_, &stream_, "a");
  Meddle(&member, Meddling::Kind::kConfig);
  EXPECT_TRUE(Corrupt(member));
  const auto refused = member.Put("k", "v");
  Settle();
  EXPECT_EQ(ErrcOf(refused), Errc::kCorrupt);
}

TEST_F(CommitterLossTest, WhatIsHeardWhileItVoidsSomethingCountsToo) {
  Member member(&exec_, &stream_, "a");
  Put(&member, "k");
  stream_.AppendForeign({.subject = "$KV.B.intruder", .payload = "x"});
  member.log.Hold(MemoryLog::Leg::kRequest);
  member.log.Pass(MemoryLog::Leg::kRequest, 1);  // the barrier, and not the term record
  member.committer->OnForeignTerm();
  Settle();
  ASSERT_EQ(member.committer->phase(), Committer::Phase::kTakingOver);
  Meddle(&member, Meddling::Kind::kConfig);
  member.log.Release(MemoryLog::Leg::kRequest);
  Settle();
  EXPECT_TRUE(member.committer->leading());
  EXPECT_TRUE(Corrupt(member));
}

// As `nats kv purge` does it: a record of its own, and everything of the subject is gone.
TEST_F(CommitterLossTest, AForeignPurgeIsVoidedAndWhatItTookIsMissing) {
  Member member(&exec_, &stream_, "a");
  Put(&member, "k");
  const StreamSeq purge =
      stream_.AppendForeign({.subject = "$KV.B.k", .is_delete = true, .payload = ""});
  stream_.Delete(SeqOf(member, "k"));
  member.committer->OnForeignTerm();  // as the guard says it
  Settle();
  EXPECT_EQ(member.Get("k"), "v");
  EXPECT_EQ(stream_.Find(purge), nullptr) << "voided, and removed";
  EXPECT_EQ(member.committer->counters().foreign_records, 1U);
  EXPECT_EQ(member.committer->counters().missing_records, 1U);
  EXPECT_TRUE(Corrupt(member));
  EXPECT_EQ(member.recorder.commits.size(), 1U) << "no event that was not";
}

// What jetd itself removes, while it is being looked for.
TEST_F(CommitterLossTest, NothingIsMissingThatCompactionTook) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    stream_.Recreate(static_cast<int64_t>(seed));
    std::mt19937_64 random(seed);
    MemoryLog::Options options;
    options.read_batch = 3;
    options.faults.api_delay = [&random] { return milliseconds(random() % 3); };
    Member member(&exec_, &stream_, "a", options);
    Settle();
    std::vector<Member::PendingOp> ops;
    for (int i = 0; i < 300; ++i) {
      const std::string key = Cat("k", random() % 20);
      ops.push_back(random() % 4 == 0 ? member.Delete(key) : member.Put(key, "v"));
      if (random() % 20 == 0) {
        member.committer->Compact(member.store.committed(), Committer::Wait::kLogical,
                                  [](const auto&) {});
      }
      if (random() % 30 == 0) {
        member.committer->GrantLease(LeaseId(static_cast<int64_t>(1 + random() % 5)), 100,
                                     [](const auto&) {});
        member.committer->RevokeLease(LeaseId(static_cast<int64_t>(1 + random() % 5)),
                                      [](const auto&) {});
      }
      if (random() % 10 == 0) {
        member.committer->OnMeddling({.kind = Meddling::Kind::kRemoved, .what = "perhaps"});
      }
      exec_.Advance(milliseconds(random() % 400));
    }
    exec_.Advance(seconds(60));
    EXPECT_FALSE(Corrupt(member));
    EXPECT_EQ(member.committer->counters().missing_records, 0U);
    EXPECT_GT(member.committer->counters().meddlings, 5U);
    if (HasFailure()) break;
  }
}

// b takes over and removes a's term record while a reads what there was before: a reading that has
// neither record.
TEST_F(CommitterLossTest, ATermRecordRemovedWhileItIsLookedForIsNoOtherPast) {
  {
    Member first(&exec_, &stream_, "first");
    Put(&first, "k", "0");
  }
  Member a(&exec_, &stream_, "a", {.read_batch = 1});
  Settle();
  Put(&a, "k", "1");
  const StreamSeq own = stream_.last().Prev();
  ASSERT_EQ(stream_.records().at(own)->subject, "$KV.B._jetd.term");
  a.log.Disconnect();
  exec_.RunDeferred();
  a.log.Hold(MemoryLog::Leg::kApi);
  a.log.Pass(MemoryLog::Leg::kApi, 2);  // the tail, and the first record of all
  a.log.Reconnect();
  Settle();
  ASSERT_EQ(a.log.waiting(MemoryLog::Leg::kApi), 1U);
  Member b(&exec_, &stream_, "b");
  Settle();
  Put(&b, "k", "2");
  b.committer->Compact(b.store.committed(), Committer::Wait::kPhysical, [](const auto&) {});
  exec_.Advance(seconds(2));
  ASSERT_FALSE(stream_.records().contains(own));
  a.log.Release(MemoryLog::Leg::kApi);
  Settle();
  EXPECT_FALSE(a.fatal.has_value()) << *a.fatal;
  EXPECT_EQ(a.committer->phase(), Committer::Phase::kSuperseded);
}

// A stray record takes the place of the first of its last words.
TEST_F(CommitterLossTest, LastWordsAreSaidBehindAStrayRecord) {
  Revision newest;
  {
    Member member(&exec_, &stream_, "a");
    Put(&member, "kept");
    const StreamSeq last = stream_.last();
    newest = Put(&member, "lost");
    member.log.Disconnect();
    exec_.RunDeferred();
    stream_.LoseTail(last);
    member.log.Hold(MemoryLog::Leg::kRequest);
    member.log.Reconnect();
    Settle();
    ASSERT_EQ(member.log.waiting(MemoryLog::Leg::kRequest), 3U);
    stream_.AppendForeign({.subject = "$KV.B.intruder", .payload = "x"});
    member.log.Release(MemoryLog::Leg::kRequest);
    Settle();
    ASSERT_TRUE(member.fatal.has_value());
  }
  Member next(&exec_, &stream_, "b");
  Settle();
  ASSERT_TRUE(next.committer->leading()) << next.committer->waiting_for();
  EXPECT_GT(next.store.committed(), newest);
  EXPECT_TRUE(Corrupt(next));
}

// 3 and 4 are the beginning of a transaction whose writer died, 5 and 6 are foreign. The term
// record at 7, which names them all, is lost with what came behind it. Where they were removed
// before, that is forgotten.
TEST_F(CommitterLossTest, WhatALostTermRecordVoidedIsVoidedAgain) {
  for (uint64_t left = 2; left <= 7; ++left) {
    SCOPED_TRACE(left);
    MemoryStream stream({.remember_deleted = true});
    {
      Member first(&exec_, &stream, "first");
      Put(&first, "old");
      first.log.Hold(MemoryLog::Leg::kRequest);
      first.PutMany("half", 3, "h");
      exec_.RunDeferred();
      first.log.Pass(MemoryLog::Leg::kRequest, 2);
      exec_.RunDeferred();
    }
    ASSERT_EQ(stream.last(), StreamSeq(4));
    for (int i = 0; i < 2; ++i) stream.AppendForeign({.subject = "$KV.B.intruder", .payload = "x"});
    Revision newest;
    {
      Member member(&exec_, &stream, "a", {.puts_off_deletions = left % 2 == 0});
      Settle();
      newest = Put(&member, "k");
      Break(&member, [&] { stream.LoseTail(StreamSeq(left)); });
      ASSERT_TRUE(member.fatal.has_value());
    }
    stream.ReviveDeleted([](const auto&) { return true; });
    Member next(&exec_, &stream, "b");
    Settle();
    ASSERT_TRUE(next.committer->leading()) << next.committer->waiting_for();
    EXPECT_EQ(next.Get("old"), "v");
    EXPECT_EQ(next.Get("half/0"), "");
    EXPECT_GT(next.store.committed(), newest);
    EXPECT_TRUE(Corrupt(next));
  }
}

// b's term record lands behind what a has read to go on.
TEST_F(CommitterLossTest, WhoWasSupersededWhileItReadTheTailLearnsOfIt) {
  {
    Member first(&exec_, &stream_, "first");
    Put(&first, "k", "0");
  }
  Member a(&exec_, &stream_, "a", {.read_batch = 1});
  Settle();
  a.log.Disconnect();
  exec_.RunDeferred();
  a.log.Hold(MemoryLog::Leg::kApi);
  a.log.Pass(MemoryLog::Leg::kApi, 2);  // the tail, and the first record of all
  a.log.Reconnect();
  Settle();
  Member b(&exec_, &stream_, "b");
  Settle();
  ASSERT_TRUE(b.committer->leading());
  a.log.Release(MemoryLog::Leg::kApi);
  Settle();
  EXPECT_EQ(a.committer->phase(), Committer::Phase::kSuperseded);
}

}  // namespace
}  // namespace jetd::revision
