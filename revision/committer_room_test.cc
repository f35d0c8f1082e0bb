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
  std::unique_ptr<Member> WithoutRoom(int replicas = 1) {
    MemoryLog::Options options;
    options.replicas = replicas;
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

// What landed is nobody's to read until a term record says whether it counts.
TEST_F(CommitterRoomTest, NothingIsReadOnceTheStreamIsLonger) {
  auto member = WithoutRoom();
  stream_.set_max_messages(stream_.State().messages + 1);
  ASSERT_TRUE(stream_.LandLate(1));
  const Answer read = Read(member.get());
  exec_.Advance(milliseconds(500));
  EXPECT_FALSE(read->has_value());
  stream_.set_max_messages(MemoryStream::kNoLimit);
  exec_.Advance(seconds(2));
  EXPECT_TRUE(member->committer->leading());
  ASSERT_TRUE(read->has_value());
  EXPECT_TRUE((*read)->ok());
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

// There a read needs a record, so there is no room for it either.
TEST_F(CommitterRoomTest, OnSeveralReplicasReadersAreToldAtOnce) {
  auto member = WithoutRoom(/*replicas=*/3);
  const Answer read = Read(member.get());
  exec_.Advance(seconds(2));
  ASSERT_TRUE(read->has_value());
  EXPECT_EQ(GetErrc(**read), Errc::kNoSpace);
}

}  // namespace
}  // namespace jetd::revision
