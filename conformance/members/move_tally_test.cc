// SPDX-License-Identifier: Apache-2.0
#include "conformance/members/move_tally.h"

#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

MoveTally Tally(int made, int failed) {
  MoveTally tally;
  for (int i = 0; i < made; ++i) tally.AddMade();
  for (int i = 0; i < failed; ++i) tally.AddFailed();
  return tally;
}

TEST(MoveTallyTest, AFewMayFailAndThenThatShare) {
  EXPECT_FALSE(Tally(0, 0).TooManyFailed(10));
  EXPECT_FALSE(Tally(50, 0).TooManyFailed(10));
  EXPECT_FALSE(Tally(1, 3).TooManyFailed(10));
  EXPECT_TRUE(Tally(1, 4).TooManyFailed(10));
  EXPECT_FALSE(Tally(63, 7).TooManyFailed(10));
  EXPECT_TRUE(Tally(62, 8).TooManyFailed(10));
  EXPECT_TRUE(Tally(50, 20).TooManyFailed(10));
  EXPECT_FALSE(Tally(50, 20).TooManyFailed(30));
  EXPECT_TRUE(Tally(0, 4).TooManyFailed(99));
  EXPECT_FALSE(Tally(0, 4).TooManyFailed(100));
}

TEST(MoveTallyTest, SaysTheShare) {
  EXPECT_EQ(Tally(0, 0).Text(), "0 of 0 moves failed (0 %)");
  EXPECT_EQ(Tally(50, 20).Text(), "20 of 70 moves failed (28 %)");
}

}  // namespace
}  // namespace jetd::conformance
