// SPDX-License-Identifier: Apache-2.0
//
// A stream without room for a term record: nobody can write, and reads go on.
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "gtest/gtest.h"
#include "revision/committer.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using Leg = MemoryLog::Leg;
using std::chrono::milliseconds;
using std::chrono::seconds;

class CommitterRoomTest : public ::testing::Test {
 protected:
  using Answer = std::shared_ptr<std::optional<absl::Status>>;

  void SetUp() override { log::Init({.level = log::Level::kError}); }
  void Settle() {
    exec_.RunDeferred();
    exec_.Advance(milliseconds(200));
  }
  static Answer Read(Member* member) {
    static const RangeOp kRead{.keys = {"k", {}}};
    auto answer = std::make_shared<Answer::element_type>();
    member->committer->Range(&kRead, [answer](const auto& result) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = result.status();
    });
    return answer;
  }
  Errc Put(Member* member) {
    const auto put = member->Put("k", "w");
    Settle();
    EXPECT_TRUE(put->answer.has_value());
    return put->answer ? GetErrc(put->answer->status()) : Errc::kTimeout;
  }
  // Leads, with k at "v"; then a copy of a write of "late" is on its way on a connection that is
  // gone, and there is no room to seal its fate.
  std::unique_ptr<Member> WithoutRoom(MemoryLog::Options options = {}) {
    options.faults.fate = [](StreamSeq) { return jetstream::AppendFate::kLate; };
    auto member = std::make_unique<Member>(&exec_, &stream_, "a", options);
    member->Put("k", "v");
    Settle();
    member->log.Hold(Leg::kRequest);
    late_ = member->Put("k", "late");
    Settle();
    member->log.Disconnect();
    member->log.Release(Leg::kRequest);
    Settle();
    stream_.set_max_messages(stream_.State().messages);
    member->log.Reconnect();
    Settle();
    EXPECT_FALSE(member->committer->leading());
    EXPECT_EQ(member->committer->waiting_for(), "room in the stream");
    return member;
  }

  FakeExecutor exec_;
  MemoryStream stream_;
  Member::PendingOp late_;
};

TEST_F(CommitterRoomTest, ReadsGoOnAndWritesAreRefused) {
  auto member = WithoutRoom();
  for (int second = 0; second < 10; ++second) {
    EXPECT_EQ(member->Get("k"), "v") << second;
    EXPECT_EQ(Put(member.get()), Errc::kNoSpace) << second;
    exec_.Advance(milliseconds(977));
  }
  ASSERT_TRUE(late_->answer.has_value());
  EXPECT_EQ(GetErrc(late_->answer->status()), Errc::kTimeout) << "it may yet land";
  stream_.set_max_messages(MemoryStream::kNoLimit);
  exec_.Advance(seconds(2));
  EXPECT_TRUE(member->committer->leading());
  EXPECT_EQ(Put(member.get()), Errc::kNone);
  EXPECT_EQ(member->Get("k"), "w");
}

// Whatever moment of the retries the read comes at.
TEST_F(CommitterRoomTest, AReadIsAnsweredSoon) {
  auto member = WithoutRoom();
  for (int i = 0; i < 300; ++i) {
    const Answer answer = Read(member.get());
    exec_.Advance(milliseconds(100));
    ASSERT_TRUE(answer->has_value()) << i;
    EXPECT_TRUE((*answer)->ok()) << i << ": " << **answer;
    exec_.Advance(milliseconds(i));
  }
}

// Somebody else may lead there: nothing is read before the tail is. What landed is to be voided
// then, by this member, or counts if another one takes over first; its client does not know.
TEST_F(CommitterRoomTest, ALongerStreamIsReadFirst) {
  auto member = WithoutRoom();
  stream_.set_max_messages(stream_.State().messages + 1);
  ASSERT_TRUE(stream_.LandLate(1));
  const Answer read = Read(member.get());
  exec_.Advance(milliseconds(500));
  EXPECT_FALSE(read->has_value());
  exec_.Advance(seconds(6));
  ASSERT_TRUE(read->has_value());
  EXPECT_TRUE((*read)->ok());
  EXPECT_EQ(member->Get("k"), "v");
  EXPECT_EQ(GetErrc(late_->answer->status()), Errc::kTimeout);
  stream_.set_max_messages(MemoryStream::kNoLimit);
  exec_.Advance(seconds(2));
  EXPECT_TRUE(member->committer->leading());
  EXPECT_EQ(member->Get("k"), "v");
}

TEST_F(CommitterRoomTest, NothingIsReadOnceAnotherLeads) {
  auto member = WithoutRoom();
  stream_.set_max_messages(MemoryStream::kNoLimit);
  Member next(&exec_, &stream_, "next");
  exec_.RunDeferred();
  ASSERT_TRUE(next.committer->leading());
  next.Put("k", "new");
  exec_.RunDeferred();
  const Answer read = Read(member.get());
  exec_.Advance(seconds(2));
  EXPECT_EQ(member->committer->phase(), Committer::Phase::kSuperseded);
  ASSERT_TRUE(read->has_value());
  EXPECT_EQ(GetErrc(**read), Errc::kNoLeader);
}

// E lands behind what somebody else wrote, so it will be void; until that is written it may count.
TEST_F(CommitterRoomTest, WhatLiesInTheStreamIsNotRefused) {
  Member member(&exec_, &stream_, "a");
  member.Put("k", "v");
  Settle();
  member.log.Hold(Leg::kRequest);
  auto before = member.Put("k", "d");
  exec_.RunDeferred();
  auto behind = member.Put("k", "e");
  exec_.RunDeferred();
  stream_.AppendForeign({.subject = "$KV.B.foreign", .header = {}, .payload = "x"});
  stream_.set_max_messages(stream_.State().messages + 1);
  member.log.Release(Leg::kRequest);
  Settle();
  ASSERT_EQ(member.committer->waiting_for(), "room in the stream");
  EXPECT_FALSE(behind->answer.has_value());
  exec_.Advance(seconds(6));
  ASSERT_TRUE(before->answer.has_value() && behind->answer.has_value());
  EXPECT_EQ(GetErrc(behind->answer->status()), Errc::kTimeout);
}

TEST_F(CommitterRoomTest, ASilentServerIsNoticed) {
  for (const int seconds_before : {0, 10}) {
    SCOPED_TRACE(seconds_before);
    auto member = WithoutRoom();
    exec_.Advance(seconds(seconds_before));
    member->log.Hold(Leg::kRequest);
    const Answer read = Read(member.get());
    exec_.Advance(seconds(6));
    ASSERT_TRUE(read->has_value());
    EXPECT_EQ(GetErrc(**read), Errc::kNoLeader);
    const Answer later = Read(member.get());
    exec_.RunDeferred();
    ASSERT_TRUE(later->has_value()) << "at once by now";
    stream_.set_max_messages(MemoryStream::kNoLimit);
  }
}

TEST_F(CommitterRoomTest, AReadUnderWayEndsWithTheConnection) {
  auto member = WithoutRoom();
  exec_.Advance(seconds(10));
  member->log.Hold(Leg::kRequest);
  const Answer read = Read(member.get());
  exec_.Advance(milliseconds(50));
  member->log.Disconnect();
  exec_.Advance(seconds(6));
  ASSERT_TRUE(read->has_value());
  EXPECT_EQ(GetErrc(**read), Errc::kNoLeader);
}

TEST_F(CommitterRoomTest, HasALeaderAndSaysWhatItWaitsFor) {
  auto member = WithoutRoom();
  EXPECT_TRUE(member->committer->has_leader());
  EXPECT_FALSE(member->committer->leading());
  EXPECT_EQ(member->committer->waiting_for(), "room in the stream");
  member->log.Disconnect();
  exec_.RunDeferred();
  EXPECT_FALSE(member->committer->has_leader());
}

TEST_F(CommitterRoomTest, NothingIsReadWithoutTheStream) {
  auto member = WithoutRoom();
  member->log.Disconnect();
  const Answer read = Read(member.get());
  exec_.Advance(seconds(6));
  ASSERT_TRUE(read->has_value());
  EXPECT_EQ(GetErrc(**read), Errc::kNoLeader);
  member->log.Reconnect();
  Settle();
  EXPECT_EQ(member->Get("k"), "v") << "and goes on";
}

class CommitterEndTest : public CommitterRoomTest {
 protected:
  // While it tries again, and there is room by now.
  void ExpectNothingIsWritten(const Member& member, StreamSeq last) {
    stream_.set_max_messages(MemoryStream::kNoLimit);
    exec_.Advance(seconds(3));
    EXPECT_EQ(member.committer->phase(), Committer::Phase::kStopped);
    EXPECT_FALSE(member.committer->has_leader());
    EXPECT_EQ(stream_.State().last, last);
  }
};

TEST_F(CommitterEndTest, StoppedItWritesNothing) {
  auto member = WithoutRoom();
  const StreamSeq last = stream_.State().last;
  member->committer->Stop();
  ExpectNothingIsWritten(*member, last);
}

TEST_F(CommitterEndTest, BehindItsMirrorItWritesNothing) {
  auto member = WithoutRoom({.mirrored = true});
  const StreamSeq last = stream_.State().last;
  member->log.set_mirrors(
      {{.name = "m", .domain = "dr", .fit = jetstream::MirrorState::Fit::kPromoted}});
  member->committer->LookAtMirrors();
  Settle();
  ASSERT_TRUE(member->fatal.has_value());
  ExpectNothingIsWritten(*member, last);
}

// There a read needs a record, so there is no room for it either.
TEST_F(CommitterRoomTest, OnSeveralReplicasReadersAreToldAtOnce) {
  auto member = WithoutRoom({.replicas = 3});
  EXPECT_FALSE(member->committer->has_leader());
  for (int i = 0; i < 10; ++i) {
    const Answer read = Read(member.get());
    exec_.RunDeferred();
    ASSERT_TRUE(read->has_value());
    EXPECT_EQ(GetErrc(**read), Errc::kNoSpace) << i;
    EXPECT_EQ(Put(member.get()), Errc::kNoSpace) << i;
    exec_.Advance(milliseconds(1'300));
  }
}

}  // namespace
}  // namespace jetd::revision
