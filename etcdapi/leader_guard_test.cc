// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/leader_guard.h"

#include "base/fake_executor.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using namespace std::chrono_literals;

class LeaderGuardTest : public ::testing::Test {
 protected:
  void Lead(bool leading) {
    leading_ = leading;
    guard_.Look();
  }

  FakeExecutor exec_;
  bool leading_ = false;
  int found_ = 0;
  int lost_ = 0;
  LeaderGuard guard_{&exec_, [this] { return leading_; },
                     [this](bool has_leader) { ++(has_leader ? found_ : lost_); }};
};

TEST_F(LeaderGuardTest, HasNoneBeforeTheFirst) {
  Lead(false);
  EXPECT_FALSE(guard_.has_leader());
  exec_.Advance(1min);
  EXPECT_EQ(lost_, 0);
  Lead(true);
  EXPECT_TRUE(guard_.has_leader());
  EXPECT_EQ(exec_.timers(), 0U);
}

TEST_F(LeaderGuardTest, OverlooksAShortLoss) {
  Lead(true);
  Lead(false);
  exec_.Advance(2s);
  Lead(false);
  EXPECT_TRUE(guard_.has_leader());
  Lead(true);
  exec_.Advance(1min);
  EXPECT_TRUE(guard_.has_leader());
  EXPECT_EQ(lost_, 0);
}

TEST_F(LeaderGuardTest, TellsALongOneOnce) {
  Lead(true);
  Lead(false);
  exec_.Advance(3s);
  EXPECT_FALSE(guard_.has_leader());
  EXPECT_EQ(lost_, 1);
  Lead(false);
  exec_.Advance(1min);
  EXPECT_EQ(lost_, 1);
  EXPECT_EQ(found_, 1);
  Lead(true);
  EXPECT_TRUE(guard_.has_leader());
  EXPECT_EQ(found_, 2);
}

}  // namespace
}  // namespace jetd::etcdapi
