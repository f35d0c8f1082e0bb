// SPDX-License-Identifier: Apache-2.0
#include "jetstream/append_gather.h"

#include <algorithm>
#include <utility>

#include "base/fake_executor.h"
#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

class AppendGatherTest : public testing::Test {
 protected:
  // So many appends of one round.
  void Append(size_t count = 1, size_t bytes = 100) {
    for (size_t i = 0; i < count; ++i) gather_.OnAppend(bytes);
    unsent_ += count;
    gather_.EndRound(unsent_);
  }
  // What was sent, and pushed, since the last call.
  size_t Sent() { return std::exchange(sent_, 0); }
  size_t Pushed() { return std::exchange(pushed_, 0); }

  FakeExecutor executor_;
  size_t unsent_ = 0;
  size_t sent_ = 0;
  size_t pushed_ = 0;
  AppendGather gather_{&executor_, [this] { sent_ += std::exchange(unsent_, 0); },
                       [this] {
                         // The newest is held: it may be the one that asks.
                         const size_t now = unsent_ - 1;
                         unsent_ -= now;
                         pushed_ += now;
                         return now;
                       }};
};

TEST_F(AppendGatherTest, NothingWaitsWhereNothingIsSynced) {
  for (int i = 0; i < 3; ++i) {
    Append(AppendGather::kCompany);
    EXPECT_EQ(Sent(), AppendGather::kCompany);
  }
}

TEST_F(AppendGatherTest, NothingWaitsWithoutCompany) {
  gather_.OnSyncStarted(AppendGather::kCompany - 1);
  Append();
  EXPECT_EQ(Sent(), 1U);
  gather_.OnSyncDone();
  Append();
  EXPECT_EQ(Sent(), 1U);
}

TEST_F(AppendGatherTest, TheServerStoresWhileTheRestOfAGroupComes) {
  constexpr size_t kPush = AppendGather::kPush;
  gather_.OnSyncStarted(2 * kPush);
  Append(kPush);
  EXPECT_EQ(Pushed(), 0U);
  Append();
  EXPECT_EQ(Pushed(), kPush);
  Append(kPush - 1);
  EXPECT_EQ(Pushed(), 0U);
  Append();
  EXPECT_EQ(Pushed(), kPush);
  EXPECT_EQ(Sent(), 0U);
  // Of 4 * kPush + 1 writers 3 * kPush + 1 are wanted: what was pushed counts.
  gather_.OnSyncDone();
  Append(kPush - 1);
  EXPECT_EQ(Sent(), 0U);
  Append();
  EXPECT_EQ(Pushed() + Sent(), kPush + 1);
  // What was pushed of this group is not counted as part of the next.
  Append(2);
  EXPECT_EQ(Sent(), 0U);
  gather_.OnSyncStarted(3 * kPush + 1);
  gather_.OnSyncDone();
  executor_.Advance(AppendGather::kPause);
  EXPECT_EQ(Sent(), 2U);
}

TEST_F(AppendGatherTest, WhatIsNoAppendIsNotHeldUpByWhatWasPushed) {
  gather_.OnSyncStarted(16);
  Append(AppendGather::kPush + 1);
  EXPECT_EQ(Pushed(), AppendGather::kPush);
  ++unsent_;  // a barrier, say
  gather_.EndRound(unsent_);
  EXPECT_EQ(Sent(), 2U);
}

TEST_F(AppendGatherTest, AppendsWaitForTheSyncAndForThoseThatItAnswers) {
  gather_.OnSyncStarted(8);
  Append(4);
  EXPECT_EQ(Sent(), 0U);
  gather_.OnSyncDone();  // 12 writers: 9 are wanted
  gather_.EndRound(unsent_);
  Append(4);
  EXPECT_EQ(Sent(), 0U);
  Append();
  EXPECT_EQ(Sent(), 9U);
  // The group is on its way: the others wait until it is durable.
  Append(3);
  EXPECT_EQ(Sent(), 0U);
  gather_.OnSyncStarted(9);
  EXPECT_EQ(Sent(), 0U);
}

TEST_F(AppendGatherTest, EnoughThatWaitedGoAtOnce) {
  gather_.OnSyncStarted(4);
  Append(12);
  EXPECT_EQ(Pushed(), 11U);
  gather_.OnSyncDone();
  EXPECT_EQ(Sent(), 1U);
}

TEST_F(AppendGatherTest, APauseInVainIsLeftOutTheNextTimes) {
  const auto sync = [&] {
    gather_.OnSyncStarted(8);
    Append();
    gather_.OnSyncDone();
    const bool paused = Sent() == 0;
    executor_.Advance(AppendGather::kPause);
    EXPECT_EQ(Sent(), paused ? 1U : 0U);
    return paused;
  };
  size_t left_out = 1;
  for (int i = 0; i < 12; ++i) {
    EXPECT_TRUE(sync());
    for (size_t j = 0; j < left_out; ++j) ASSERT_FALSE(sync()) << i << " " << j;
    left_out = std::min(2 * left_out, AppendGather::kMaxLeftOut);
  }
  // One that is worth it, and it is as at the beginning.
  gather_.OnSyncStarted(8);
  Append();
  gather_.OnSyncDone();
  Append(7);
  EXPECT_EQ(Sent(), 8U);
  EXPECT_TRUE(sync());
  EXPECT_FALSE(sync());
  EXPECT_TRUE(sync());
}

TEST_F(AppendGatherTest, AFullGroupGoes) {
  gather_.OnSyncStarted(AppendGather::kCompany);
  Append(AppendGather::kMaxRecords - 1);
  EXPECT_EQ(Sent(), 0U);
  Append();
  EXPECT_EQ(Pushed() + Sent(), AppendGather::kMaxRecords);
  Append();
  EXPECT_EQ(Sent(), 0U);
  Append(1, AppendGather::kMaxBytes);
  EXPECT_EQ(Sent(), 2U);
  gather_.OnSyncStarted(4 * AppendGather::kMaxRecords);
  gather_.OnSyncDone();
  Append(AppendGather::kMaxRecords);
  EXPECT_EQ(Sent(), AppendGather::kMaxRecords);
}

TEST_F(AppendGatherTest, NothingElseWaits) {
  gather_.OnSyncStarted(AppendGather::kCompany);
  ++unsent_;
  gather_.EndRound(unsent_);
  EXPECT_EQ(Sent(), 1U);
  ++unsent_;  // with it, an append goes too
  Append();
  EXPECT_EQ(Sent(), 2U);
  gather_.OnSyncDone();
  ++unsent_;
  gather_.EndRound(unsent_);
  EXPECT_EQ(Sent(), 1U);
  Append();  // the pause is over
  EXPECT_EQ(Sent(), 1U);
}

TEST_F(AppendGatherTest, ALongSyncIsNotWaitedFor) {
  gather_.OnSyncStarted(AppendGather::kCompany);
  Append();
  executor_.Advance(AppendGather::kMaxWait - std::chrono::milliseconds(1));
  EXPECT_EQ(Sent(), 0U);
  executor_.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(Sent(), 1U);
}

TEST_F(AppendGatherTest, ItsTimerGoesWithIt) {
  {
    AppendGather gather(
        &executor_, [this] { ++sent_; }, [] { return 0; });
    gather.OnSyncStarted(AppendGather::kCompany);
    gather.OnAppend(1);
    gather.EndRound(1);
  }
  executor_.Advance(2 * AppendGather::kMaxWait);
  EXPECT_EQ(sent_, 0U);
}

}  // namespace
}  // namespace jetd::jetstream
