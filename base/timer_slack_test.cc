// SPDX-License-Identifier: Apache-2.0
#include "base/timer_slack.h"

#include <sys/prctl.h>

#include <chrono>
#include <thread>

#include "gtest/gtest.h"

namespace jetd {
namespace {

using std::chrono::nanoseconds;

int SlackOfANewThread() {
  int slack = 0;
  std::thread([&slack] { slack = prctl(PR_GET_TIMERSLACK); }).join();
  return slack;
}

TEST(TimerSlackTest, IsOfThreadsMadeMeanwhile) {
  const int before = SlackOfANewThread();
  ASSERT_NE(before, 7'000'000);
  {
    const TimerSlack slack(nanoseconds(7'000'000));
    EXPECT_EQ(SlackOfANewThread(), 7'000'000);
  }
  EXPECT_EQ(SlackOfANewThread(), before);
}

TEST(TimerSlackTest, StaysWithAThreadThatOutlivesIt) {
  int slack_later = 0;
  std::thread made;
  {
    const TimerSlack slack(nanoseconds(7'000'000));
    made = std::thread([&slack_later] {
      std::thread([&slack_later] { slack_later = prctl(PR_GET_TIMERSLACK); }).join();
    });
  }
  made.join();
  EXPECT_EQ(slack_later, 7'000'000);
}

}  // namespace
}  // namespace jetd
