// SPDX-License-Identifier: Apache-2.0
#include "revision/repeated_warning.h"

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fake_executor.h"
#include "gtest/gtest.h"

namespace jetd::revision {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Lines = std::vector<std::string>;

class RepeatedWarningTest : public ::testing::Test {
 protected:
  Lines Said() { return std::exchange(lines_, {}); }

  FakeExecutor exec_;
  Lines lines_;
  RepeatedWarning warning_{&exec_, [this](const std::string& line) { lines_.push_back(line); }};
  const absl::Status full_ = MakeError(Errc::kNoSpace, "no room");
};

TEST_F(RepeatedWarningTest, OneThatDoesNotComeAgainIsSaidOnce) {
  warning_.Say(full_, "at 7");
  EXPECT_EQ(Said(), Lines{"at 7: no room"});
  exec_.Advance(seconds(60));
  EXPECT_EQ(Said(), Lines{});
  warning_.Say(full_, "at 8");
  EXPECT_EQ(Said(), Lines{"at 8: no room"});
}

TEST_F(RepeatedWarningTest, OneThatComesAgainIsCountedAndSaidToBeOver) {
  for (int i = 0; i < 250; ++i) {
    warning_.Say(full_, "at " + std::to_string(i));
    exec_.Advance(milliseconds(100));
  }
  EXPECT_EQ(Said(), (Lines{"at 0: no room", "at 99: no room (99 more within 10 s)",
                           "at 199: no room (100 more within 10 s)"}));
  exec_.Advance(seconds(60));
  EXPECT_EQ(Said(),
            (Lines{"at 249: no room (50 more within 10 s)", "no more for 10 s: at 249: no room"}));
}

TEST_F(RepeatedWarningTest, AnotherCauseIsSaidAtOnce) {
  warning_.Say(full_, "at 7");
  warning_.Say(full_, "at 7");
  warning_.Say(MakeError(Errc::kUnavailable, "somebody wrote"), "at 7");
  EXPECT_EQ(Said(),
            (Lines{"at 7: no room", "at 7: no room (1 more within 10 s)", "at 7: somebody wrote"}));
  exec_.Advance(seconds(60));
  EXPECT_EQ(Said(), Lines{});
}

}  // namespace
}  // namespace jetd::revision
