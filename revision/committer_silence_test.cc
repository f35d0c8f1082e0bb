// SPDX-License-Identifier: Apache-2.0
// A nats-server that keeps its connection and says nothing.
#include <chrono>
#include <optional>

#include "base/error.h"
#include "base/fake_executor.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Leg = MemoryLog::Leg;

class CommitterSilenceTest : public testing::Test {
 protected:
  void Settle() {
    exec_.RunDeferred();
    exec_.Advance(milliseconds(300));
  }
  static Errc ErrcOf(const Member::PendingOp& op) {
    return op->answer.has_value() ? GetErrc(op->answer->status()) : Errc::kNone;
  }
  static bool Ok(const Member::PendingOp& op) { return op->answer.has_value() && op->answer->ok(); }

  FakeExecutor exec_;
  MemoryStream stream_;
};

TEST_F(CommitterSilenceTest, AnswersComeInFiveSeconds) {
  Member member(&exec_, &stream_, "a");
  Settle();
  EXPECT_TRUE(member.committer->serving());
  member.log.Hold(Leg::kAnswer);
  auto put = member.Put("k", "sent");
  exec_.RunDeferred();
  std::optional<absl::Status> read;
  const RangeOp op{.keys = {"k", {}}};
  member.committer->Range(&op, [&](const auto& result) { read = result.status(); });
  exec_.RunDeferred();
  exec_.Advance(milliseconds(4'900));
  EXPECT_FALSE(put->answer || read);
  exec_.Advance(milliseconds(400));
  EXPECT_EQ(ErrcOf(put), Errc::kTimeout) << "it may have happened";
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(GetErrc(*read), Errc::kNoLeader);
  EXPECT_FALSE(member.committer->serving());
  EXPECT_TRUE(member.committer->leading());
  EXPECT_NE(member.committer->waiting_for(), "");
  auto later = member.Put("k", "later");
  exec_.RunDeferred();
  EXPECT_EQ(ErrcOf(later), Errc::kNoLeader) << "at once by now";

  member.log.Release(Leg::kAnswer);
  Settle();
  EXPECT_TRUE(member.committer->serving());
  EXPECT_EQ(member.committer->waiting_for(), "");
  EXPECT_EQ(member.Get("k"), "sent");
  auto again = member.Put("k", "again");
  Settle();
  EXPECT_TRUE(Ok(again));
}

// Nothing was in flight but the barrier of a read: somebody has to go on asking.
TEST_F(CommitterSilenceTest, GoesOnWhenOnlyAReadWaited) {
  Member member(&exec_, &stream_, "a");
  Settle();
  member.log.Hold(Leg::kAnswer);
  std::optional<absl::Status> read;
  const RangeOp op{.keys = {"k", {}}};
  member.committer->Range(&op, [&](const auto& result) { read = result.status(); });
  Settle();
  exec_.Advance(seconds(6));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(GetErrc(*read), Errc::kNoLeader);
  exec_.Advance(seconds(20));
  EXPECT_FALSE(member.committer->serving());
  member.log.Release(Leg::kAnswer);
  Settle();
  EXPECT_TRUE(member.committer->serving());
  EXPECT_EQ(member.Get("k"), "");
}

TEST_F(CommitterSilenceTest, AConnectionThatIsGivenUpEndsIt) {
  Member member(&exec_, &stream_, "a");
  Settle();
  member.log.Hold(Leg::kRequest);
  auto put = member.Put("k", "sent");
  Settle();
  exec_.Advance(seconds(6));
  EXPECT_EQ(ErrcOf(put), Errc::kTimeout);
  member.log.Disconnect();
  Settle();
  member.log.Release(Leg::kRequest);
  EXPECT_FALSE(member.committer->serving());
  member.log.Reconnect();
  Settle();
  EXPECT_TRUE(member.committer->serving());
  EXPECT_EQ(member.Get("k"), "sent") << "what may have happened is settled: it happens";
}

// There a read's barrier is a record, and no other answer proves that anybody but one is there.
TEST_F(CommitterSilenceTest, OnAReplicatedStreamARecordHasToLand) {
  Member member(&exec_, &stream_, "a", {.replicas = 3});
  Settle();
  member.log.Hold(Leg::kAnswer);
  std::optional<absl::Status> read;
  const RangeOp op{.keys = {"k", {}}};
  member.committer->Range(&op, [&](const auto& result) { read = result.status(); });
  Settle();
  exec_.Advance(seconds(6));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(GetErrc(*read), Errc::kNoLeader);
  EXPECT_FALSE(member.committer->serving());
  member.log.Release(Leg::kAnswer);
  Settle();
  EXPECT_TRUE(member.committer->serving());
}

// Slow is not silent, and an idle member has no timer of this.
TEST_F(CommitterSilenceTest, AnswersThatComeOneByOneAreNone) {
  Member member(&exec_, &stream_, "a");
  Settle();
  const size_t timers = exec_.timers();
  member.log.Hold(Leg::kAnswer);
  std::vector<Member::PendingOp> puts;
  for (int i = 0; i < 5; ++i) puts.push_back(member.Put("k", "v"));
  exec_.RunDeferred();
  for (const auto& put : puts) {
    exec_.Advance(seconds(4));
    EXPECT_FALSE(put->answer.has_value());
    member.log.Pass(Leg::kAnswer, 1);
    Settle();
    EXPECT_TRUE(Ok(put));
  }
  member.log.Release(Leg::kAnswer);
  Settle();
  EXPECT_TRUE(member.committer->serving());
  EXPECT_EQ(exec_.timers(), timers);
}

}  // namespace
}  // namespace jetd::revision
