// SPDX-License-Identifier: Apache-2.0
#include "rpc/timer_wheel.h"

#include <chrono>
#include <memory>
#include <random>
#include <vector>

#include "base/fake_executor.h"
#include "gtest/gtest.h"

namespace jetd::rpc {
namespace {

using namespace std::chrono_literals;

class TimerWheelTest : public ::testing::Test {
 protected:
  // Notes when it fires.
  struct Alarm {
    explicit Alarm(FakeExecutor* e)
        : executor(e), timer([](void* self) { static_cast<Alarm*>(self)->Fire(); }, this) {}
    void Fire() {
      ++fired;
      at = executor->Now();
    }
    FakeExecutor* const executor;
    int fired = 0;
    MonoTime at{};
    TimerWheel::Timer timer;
  };

  FakeExecutor executor_;
  TimerWheel wheel_{&executor_};
};

TEST_F(TimerWheelTest, NeverEarlyAndLittleLate) {
  // From below a tick to beyond all levels, at moments of all kinds.
  for (const std::chrono::nanoseconds delay :
       {0ns, 1ns, 31'999'999ns, 32'000'000ns, 1'000'000'000ns, 8'192'000'000ns, 8'192'000'001ns}) {
    for (const std::chrono::nanoseconds more :
         {std::chrono::nanoseconds(0s), std::chrono::nanoseconds(35min),
          std::chrono::nanoseconds(2h), std::chrono::nanoseconds(200h)}) {
      Alarm alarm(&executor_);
      const MonoTime due = executor_.Now() + delay + more;
      wheel_.Set(&alarm.timer, due);
      executor_.Advance(delay + more + 2 * TimerWheel::kTick);
      ASSERT_EQ(alarm.fired, 1) << delay.count() << " " << more.count();
      EXPECT_GE(alarm.at, due);
      EXPECT_LE(alarm.at, due + 2 * TimerWheel::kTick);
    }
  }
}

TEST_F(TimerWheelTest, WhatIsCancelledDoesNotFire) {
  Alarm kept(&executor_);
  {
    Alarm gone(&executor_);
    wheel_.Set(&gone.timer, executor_.Now() + 1s);
    wheel_.Set(&kept.timer, executor_.Now() + 1s);
    EXPECT_TRUE(gone.timer.set());
  }
  Alarm cancelled(&executor_);
  wheel_.Set(&cancelled.timer, executor_.Now() + 1s);
  cancelled.timer.Cancel();
  EXPECT_FALSE(cancelled.timer.set());
  executor_.Advance(2s);
  EXPECT_EQ(kept.fired, 1);
  EXPECT_EQ(cancelled.fired, 0);
}

TEST_F(TimerWheelTest, SetAnewCountsOnce) {
  Alarm alarm(&executor_);
  for (int i = 0; i < 100; ++i) {
    wheel_.Set(&alarm.timer, executor_.Now() + 1s);
    executor_.Advance(500ms);
    EXPECT_EQ(alarm.fired, 0);
  }
  executor_.Advance(1s);
  EXPECT_EQ(alarm.fired, 1);
}

TEST_F(TimerWheelTest, AnEmptyWheelHasNoTimer) {
  EXPECT_EQ(executor_.timers(), 0U);
  for (int i = 0; i < 1'000; ++i) {
    Alarm alarm(&executor_);
    wheel_.Set(&alarm.timer, executor_.Now() + 60s);
    EXPECT_LE(executor_.timers(), 1U);
  }
  executor_.Advance(61s);
  EXPECT_EQ(executor_.timers(), 0U);
}

TEST_F(TimerWheelTest, AFarTimerDoesNotWakeOften) {
  Alarm alarm(&executor_);
  wheel_.Set(&alarm.timer, executor_.Now() + 2h);
  int wakes = 0;
  while (alarm.fired == 0) {
    ++wakes;
    ASSERT_EQ(executor_.timers(), 1U);
    // To the next one, whenever that is.
    executor_.Stall(1h);
    executor_.Advance(0ns);
  }
  EXPECT_LE(wakes, 4);
}

// Against the plain way, with timers that are set and cancelled at random.
TEST_F(TimerWheelTest, AgainstAModel) {
  constexpr int kAlarms = 300;
  constexpr uint32_t kSeed = 7;
  std::mt19937 random(kSeed);
  std::vector<std::unique_ptr<Alarm>> alarms;
  std::vector<MonoTime> due(kAlarms, MonoTime::max());
  for (int i = 0; i < kAlarms; ++i) alarms.push_back(std::make_unique<Alarm>(&executor_));
  for (int step = 0; step < 5'000; ++step) {
    const auto i = random() % kAlarms;
    if (random() % 4 == 0) {
      alarms[i]->timer.Cancel();
      due[i] = MonoTime::max();
    } else {
      due[i] = executor_.Now() + std::chrono::milliseconds(random() % (1U << (random() % 24)));
      wheel_.Set(&alarms[i]->timer, due[i]);
    }
    executor_.Advance(std::chrono::milliseconds(random() % (random() % 50 == 0 ? 100'000 : 50)));
    for (int k = 0; k < kAlarms; ++k) {
      Alarm& alarm = *alarms[k];
      if (alarm.fired > 0) {
        ASSERT_GE(alarm.at, due[k]);
        alarm.fired = 0;
        due[k] = MonoTime::max();
      }
      ASSERT_TRUE(due[k] == MonoTime::max() || due[k] + 2 * TimerWheel::kTick > executor_.Now())
          << k << " is late at step " << step;
    }
  }
}

}  // namespace
}  // namespace jetd::rpc
