// SPDX-License-Identifier: Apache-2.0
//
// Taking over from a leader that left the stream, or its followers, in an unusual state.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "jetstream/record.h"
#include "revision/committer.h"
#include "revision/committer_harness.h"
#include "revision/invariants.h"

namespace jetd::revision {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryPost;
using jetstream::MemoryStream;
using Leg = MemoryLog::Leg;
using std::chrono::milliseconds;
using std::chrono::seconds;

class CommitterSuccessionTest : public ::testing::Test {
 protected:
  std::unique_ptr<Member> Start(const std::string& name) {
    auto member = std::make_unique<Member>(&exec_, &stream_, name, MemoryLog::Options(),
                                           std::nullopt, "", std::nullopt, &post_);
    Settle();
    return member;
  }
  void Settle(milliseconds time = milliseconds(300)) {
    exec_.RunDeferred();
    exec_.Advance(time);
  }
  static void Disconnect(Member* member) {
    member->log.Disconnect();
    member->messenger->Disconnect();
  }

  FakeExecutor exec_;
  MemoryStream stream_;
  MemoryPost post_;
};

// b is connected all the time, and what a writes before it ends fills the gap that b does not see.
TEST_F(CommitterSuccessionTest, AStreamThatWentBackUnseenIsReadAnew) {
  auto a = Start("a");
  auto b = Start("b");
  for (int i = 1; i <= 5; ++i) a->Put("k", std::to_string(i));
  Settle();
  EXPECT_EQ(b->Get("k"), "5");
  const StreamSeq last = stream_.last();
  const Revision newest = b->store.committed();
  stream_.LoseTail(StreamSeq(last.value() - 3));
  a->Put("k", "6");
  Settle(milliseconds(20));
  ASSERT_TRUE(a->fatal.has_value());
  EXPECT_EQ(stream_.last(), last) << "its last words";
  Settle(seconds(3));
  ASSERT_TRUE(b->committer->leading()) << b->committer->waiting_for();
  EXPECT_GT(b->store.committed(), newest.Next()) << "no revision comes twice";
  EXPECT_EQ(b->store.compacted(), b->store.committed());
  EXPECT_EQ(b->Get("k"), "2");
  EXPECT_TRUE(b->committer->alarms().Has(jetstream::AlarmType::kCorrupt));
}

// b has shown revisions 3 .. 5. c knows nothing of these, gives 3 .. 7 out, and is gone when b is
// back: by their numbers alone nothing is missing.
TEST_F(CommitterSuccessionTest, ALossIsWrittenDownWhereItsNumbersWereGivenOutAgain) {
  auto a = Start("a");
  auto b = Start("b");
  for (int i = 2; i <= 5; ++i) a->Put("k", std::to_string(i));
  Settle();
  ASSERT_EQ(b->store.committed(), Revision(5));
  Disconnect(a.get());
  Disconnect(b.get());
  Settle();
  stream_.LoseTail(StreamSeq(2));
  a.reset();
  auto c = Start("c");
  for (int i = 3; i <= 7; ++i) c->Put("k", "other");
  Settle();
  const Revision given = c->store.committed();
  ASSERT_EQ(given, Revision(7));
  c.reset();
  b->messenger->Reconnect();
  b->log.Reconnect();
  Settle(seconds(4));
  EXPECT_TRUE(b->fatal.has_value());
  b.reset();
  auto d = Start("d");
  ASSERT_TRUE(d->committer->leading()) << d->committer->waiting_for();
  EXPECT_GT(d->store.compacted(), given) << "older watches are told so, of both pasts";
  EXPECT_TRUE(d->committer->alarms().Has(jetstream::AlarmType::kCorrupt));
  EXPECT_EQ(d->Get("k"), "other");
}

TEST_F(CommitterSuccessionTest, AReadWhoseQuestionWasLostIsAskedAgain) {
  auto a = Start("a");
  auto b = Start("b");
  auto c = Start("c");
  a->messenger->Freeze();
  auto answer = std::make_shared<std::optional<absl::StatusOr<RangeResult>>>();
  const RangeOp op{.keys = {"k", {}}};
  b->committer->Range(&op, [answer](auto result) { *answer = std::move(result); });
  // So long that nobody waits with it any more but the one who asks.
  Settle(milliseconds(400));
  EXPECT_FALSE(answer->has_value());
  b->log.Hold(Leg::kApi);
  Disconnect(a.get());
  Settle(milliseconds(500));
  ASSERT_TRUE(c->committer->leading());
  b->log.Release(Leg::kApi);
  Settle(seconds(2));
  ASSERT_EQ(b->committer->phase(), Committer::Phase::kFollowing);
  ASSERT_TRUE(answer->has_value());
  EXPECT_TRUE((*answer)->ok()) << (*answer)->status();
}

// What a leader wrote is in the stream, and some of it is removed already, when another one reads
// it to take over.
TEST_F(CommitterSuccessionTest, AGapInWhatASuccessorReadsIsReadAnew) {
  auto a = Start("a");
  auto b = Start("b");
  a->Put("k", "1");
  Settle();
  b->log.Hold(Leg::kApi);
  for (int i = 2; i < 6; ++i) a->Put("k", std::to_string(i));
  a->Put("l", "1");
  Settle();
  a->committer->Compact(Revision(5), Committer::Wait::kPhysical, [](auto) {});
  Settle(seconds(1));
  ASSERT_LT(stream_.State().messages, stream_.last().value());
  Disconnect(a.get());
  Settle(milliseconds(500));
  b->log.Release(Leg::kApi);
  Settle(seconds(2));
  ASSERT_FALSE(b->fatal.has_value()) << *b->fatal;
  ASSERT_TRUE(b->committer->leading()) << b->committer->waiting_for();
  EXPECT_EQ(b->Get("k"), "5");
  EXPECT_EQ(b->Get("l"), "1");
  EXPECT_EQ(b->store.compacted(), Revision(5));
  EXPECT_TRUE(CheckInvariants(b->store).ok());
}

// What b is to wait for was removed before b has read it: it has passed its place, and shows less.
TEST_F(CommitterSuccessionTest, AReadDoesNotPassWhatWasRemoved) {
  auto a = Start("a");
  auto b = Start("b");
  a->Put("k", "1");
  Settle();
  b->log.Hold(Leg::kApi);
  for (int i = 2; i < 6; ++i) a->Put("k", std::to_string(i));
  Settle();
  std::string value;
  const RangeOp op{.keys = {"k", {}}};
  b->committer->Range(&op, [&value](const absl::StatusOr<RangeResult>& result) {
    value = result.ok() ? std::string(result->kvs.at(0)->value()) : result.status().ToString();
  });
  Settle(milliseconds(50));
  b->messenger->Freeze();
  a->Put("k", "6");
  a->Put("l", "1");
  Settle(milliseconds(100));
  a->committer->Compact(a->store.committed(), Committer::Wait::kPhysical, [](auto) {});
  Settle(milliseconds(500));
  b->log.Release(Leg::kApi);
  Settle(milliseconds(100));
  EXPECT_NE(value, "1") << "a stale read";
  b->messenger->Thaw();
  Settle(seconds(2));
  EXPECT_EQ(value, "6");
}

// b has read lists of what lives that a has replaced and removed since.
TEST_F(CommitterSuccessionTest, WhatTheLeaderBeforeRemovedIsNotMissing) {
  auto a = Start("a");
  auto b = Start("b");
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 8; ++i) {
      const std::string key = std::to_string(round) + "/" + std::to_string(i);
      a->Put(key, "v");
      if (i > 2) a->Delete(key);
    }
    Settle();
    a->committer->Compact(a->store.committed(), Committer::Wait::kPhysical, [](auto) {});
    Settle(seconds(2));
  }
  Disconnect(a.get());
  Settle(seconds(1));
  ASSERT_TRUE(b->committer->leading());
  stream_.AppendForeign({.subject = "$KV.B.intruder", .payload = "x"});
  auto put = b->Put("k", "v");
  Settle(seconds(15));
  ASSERT_TRUE(put->answer.has_value());
  EXPECT_TRUE(put->answer->ok()) << put->answer->status();
  EXPECT_TRUE(b->committer->alarms().all().empty());
  EXPECT_EQ(b->committer->counters().missing_records, 0U);
}

}  // namespace
}  // namespace jetd::revision
