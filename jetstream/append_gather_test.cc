// SPDX-License-Identifier: Apache-2.0
#include "jetstream/append_gather.h"

#include "base/fake_executor.h"
#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

class AppendGatherTest : public testing::Test {
 protected:
  FakeExecutor executor_;
  int sent_ = 0;
  AppendGather gather_{&executor_, [this] { ++sent_; }};
};

TEST_F(AppendGatherTest, NothingWaitsWithoutASync) {
  gather_.OnAppend(100);
  gather_.EndRound(1);
  EXPECT_EQ(sent_, 1);
}

TEST_F(AppendGatherTest, NothingWaitsWithoutCompany) {
  gather_.OnSyncStarted(AppendGather::kCompany - 1);
  gather_.OnAppend(100);
  gather_.EndRound(1);
  EXPECT_EQ(sent_, 1);
}

TEST_F(AppendGatherTest, AppendsWaitForTheSync) {
  gather_.OnSyncStarted(AppendGather::kCompany);
  gather_.OnAppend(100);
  gather_.EndRound(1);
  gather_.OnAppend(100);
  gather_.EndRound(2);
  EXPECT_EQ(sent_, 0);
  gather_.OnSyncDone();
  EXPECT_EQ(sent_, 1);
  gather_.OnAppend(100);
  gather_.EndRound(1);
  EXPECT_EQ(sent_, 2);
}

TEST_F(AppendGatherTest, AFullGroupGoes) {
  gather_.OnSyncStarted(AppendGather::kCompany);
  for (size_t i = 1; i < AppendGather::kMaxRecords; ++i) {
    gather_.OnAppend(1);
    gather_.EndRound(i);
    EXPECT_EQ(sent_, 0);
  }
  gather_.OnAppend(1);
  gather_.EndRound(AppendGather::kMaxRecords);
  EXPECT_EQ(sent_, 1);
  gather_.OnAppend(1);
  gather_.EndRound(1);
  EXPECT_EQ(sent_, 1);
  gather_.OnAppend(AppendGather::kMaxBytes);
  gather_.EndRound(2);
  EXPECT_EQ(sent_, 2);
}

TEST_F(AppendGatherTest, NothingElseWaits) {
  gather_.OnSyncStarted(AppendGather::kCompany);
  gather_.EndRound(1);
  EXPECT_EQ(sent_, 1);
  gather_.OnAppend(1);
  gather_.EndRound(2);
  EXPECT_EQ(sent_, 2);
  // Somebody flushed without us.
  gather_.OnAppend(1);
  gather_.EndRound(0);
  EXPECT_EQ(sent_, 3);
}

TEST_F(AppendGatherTest, ALongSyncIsNotWaitedFor) {
  gather_.OnSyncStarted(AppendGather::kCompany);
  gather_.OnAppend(1);
  gather_.EndRound(1);
  executor_.Advance(AppendGather::kMaxWait - std::chrono::milliseconds(1));
  EXPECT_EQ(sent_, 0);
  executor_.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(sent_, 1);
}

TEST_F(AppendGatherTest, ItsTimerGoesWithIt) {
  {
    AppendGather gather(&executor_, [this] { ++sent_; });
    gather.OnSyncStarted(AppendGather::kCompany);
    gather.OnAppend(1);
    gather.EndRound(1);
  }
  executor_.Advance(2 * AppendGather::kMaxWait);
  EXPECT_EQ(sent_, 0);
}

}  // namespace
}  // namespace jetd::jetstream
