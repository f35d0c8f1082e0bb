// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"

#include "gtest/gtest.h"

namespace jetd {
namespace {

TEST(CheckDeathTest, FailureNamesPlaceConditionAndMessage) {
  const int sequence = 7;
  EXPECT_DEATH(JETD_CHECK(sequence == 8) << "predicted " << 8 << ", got " << sequence,
               "check failed at .*check_test.cc:[0-9]+: sequence == 8: predicted 8, got 7");
}

TEST(CheckTest, MessageIsEvaluatedOnFailureOnly) {
  int evaluated = 0;
  const auto describe = [&evaluated] { return ++evaluated; };
  JETD_CHECK(true) << describe();
  EXPECT_EQ(evaluated, 0);
}

TEST(CheckTest, IsOneStatementInAnUnbracedIf) {
  bool other = false;
  if (false)
    JETD_CHECK(false) << "not reached";
  else
    other = true;
  EXPECT_TRUE(other);
}

}  // namespace
}  // namespace jetd
