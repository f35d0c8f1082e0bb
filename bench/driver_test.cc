// SPDX-License-Identifier: Apache-2.0
#include "bench/driver.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Has no calls: workers here answer themselves, whenever it is run.
class Nobody : public etcdclient::Caller {
 public:
  explicit Nobody(std::function<void()> turn) : turn_(std::move(turn)) {}
  bool RunOnce(steady_clock::time_point) override {
    std::this_thread::yield();
    turn_();
    return false;
  }

 private:
  const std::function<void()> turn_;
};

// A client whose answers come when the test lets them.
class Waiting : public Worker {
 public:
  bool Start(int64_t) override {
    ++started;
    under_way = true;
    return true;
  }
  std::optional<Outcome> Finish(const absl::Status&) override { return Outcome{}; }
  void Cancel() override {}
  void Answer() {
    if (under_way.exchange(false)) Answered(absl::OkStatus());
  }

  std::atomic<int> started = 0;
  std::atomic<bool> under_way = false;
};

// Where a phase is: told by the driver itself, so that no clock is needed here.
struct Progress {
  bool measured = false, over = false;
};

DriverResult Drive(const PhaseSpec& spec, const std::function<bool(const Progress&)>& answers) {
  std::vector<std::unique_ptr<Worker>> workers;
  workers.push_back(std::make_unique<Waiting>());
  auto* const worker = static_cast<Waiting*>(workers.front().get());
  Progress progress;
  Nobody caller([&] {
    if (answers(progress)) worker->Answer();
  });
  return Driver(&caller, spec,
                {.on_begin = [&] { progress.measured = true; },
                 .on_end = [&] { progress.over = true; }})
      .Run(workers);
}

TEST(DriverTest, AnOpenLoopTellsHowLongAStalledServerLetsItsClientsWait) {
  PhaseSpec spec;
  spec.clients = 1;
  spec.rate = 200;
  spec.seconds = 0.5;
  spec.warmup_seconds = 0;
  // Nothing is answered before the phase is over, and some time more.
  std::optional<steady_clock::time_point> end;
  const DriverResult result = Drive(spec, [&](const Progress& progress) {
    if (!progress.over) return false;
    if (!end.has_value()) end = steady_clock::now() + milliseconds(100);
    return steady_clock::now() >= *end;
  });
  EXPECT_EQ(result.ops, 0);
  // The one under way, and those that were due behind it, of which half waited a quarter second.
  EXPECT_EQ(result.latency.count(), 100U);
  EXPECT_GE(result.latency.Quantile(0.5), 200'000'000);
  EXPECT_GE(result.latency.Quantile(1), 550'000'000);
}

TEST(DriverTest, AClosedLoopCountsWhatEndsInItsTime) {
  PhaseSpec spec;
  spec.clients = 1;
  spec.ops = 20;
  spec.warmup_seconds = 0;
  const DriverResult result = Drive(spec, [](const Progress&) { return true; });
  EXPECT_EQ(result.ops, 20);
  EXPECT_EQ(result.latency.count(), 20U);
  EXPECT_EQ(result.errors, 0);
}

TEST(DriverTest, WhatEndsInTheWarmUpIsNotMeasured) {
  PhaseSpec spec;
  spec.clients = 1;
  spec.seconds = 0.1;
  spec.warmup_seconds = 0.3;
  int early = 0;
  DriverResult result;
  // Once more where the machine stood still for all of the warm-up.
  for (int tries = 0; early == 0 && tries < 3; ++tries) {
    result = Drive(spec, [&](const Progress& progress) {
      // In the warm-up only, and when all is over.
      early += progress.measured ? 0 : 1;
      return !progress.measured || progress.over;
    });
  }
  EXPECT_GT(early, 0);
  EXPECT_EQ(result.ops, 0);
  EXPECT_EQ(result.latency.count(), 0U);
}

}  // namespace
}  // namespace jetd::bench
