// SPDX-License-Identifier: Apache-2.0
#include "base/fake_executor.h"

#include <vector>

#include "gtest/gtest.h"

namespace jetd {
namespace {

using std::chrono::seconds;

TEST(FakeExecutorTest, TimersRunInOrderOfTimeThenOfCreation) {
  FakeExecutor exec;
  std::vector<int> ran;
  exec.RunAfter(seconds(2), [&] { ran.push_back(3); });
  exec.RunAfter(seconds(1), [&] { ran.push_back(1); });
  exec.RunAfter(seconds(1), [&] { ran.push_back(2); });
  exec.Advance(seconds(1));
  EXPECT_EQ(ran, (std::vector<int>{1, 2}));
  exec.Advance(seconds(1));
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
}

TEST(FakeExecutorTest, CancelledTimerDoesNotRun) {
  FakeExecutor exec;
  bool ran = false;
  const TimerId timer = exec.RunAfter(seconds(1), [&] { ran = true; });
  EXPECT_TRUE(exec.Cancel(timer));
  EXPECT_FALSE(exec.Cancel(timer));
  exec.Advance(seconds(5));
  EXPECT_FALSE(ran);
}

TEST(FakeExecutorTest, DeferredRunsAfterTheCallInOrder) {
  FakeExecutor exec;
  std::vector<int> ran;
  exec.Defer([&] {
    ran.push_back(1);
    exec.Defer([&] { ran.push_back(3); });
  });
  exec.Defer([&] { ran.push_back(2); });
  EXPECT_TRUE(ran.empty());
  exec.RunDeferred();
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
}

TEST(FakeExecutorTest, ATimerSeesItsOwnTime) {
  FakeExecutor exec;
  const MonoTime start = exec.Now();
  MonoTime seen{};
  exec.RunAfter(seconds(3), [&] { seen = exec.Now(); });
  exec.Advance(seconds(10));
  EXPECT_EQ(seen - start, seconds(3));
  EXPECT_EQ(exec.Now() - start, seconds(10));
}

}  // namespace
}  // namespace jetd
