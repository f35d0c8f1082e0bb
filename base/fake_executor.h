// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_FAKE_EXECUTOR_H_
#define JETD_BASE_FAKE_EXECUTOR_H_

#include <deque>
#include <map>
#include <utility>

#include "base/executor.h"

namespace jetd {

// An Executor whose clock stands still until a test moves it. Single thread.
//   FakeExecutor exec;
//   exec.RunAfter(5s, f);
//   exec.Advance(5s);   // f has run
class FakeExecutor : public Executor {
 public:
  [[nodiscard]] MonoTime Now() const override { return now_; }
  [[nodiscard]] int64_t WallNowMs() const override {
    return wall_base_ms_ + std::chrono::duration_cast<std::chrono::milliseconds>(now_).count();
  }
  void Defer(std::function<void()> fn) override { deferred_.push_back(std::move(fn)); }
  TimerId RunAt(MonoTime when, std::function<void()> fn) override;
  bool Cancel(TimerId timer) override;

  // Runs what is deferred, and what that defers, until nothing is left.
  void RunDeferred();
  // Moves the clock timer by timer, running each and what it defers.
  void Advance(std::chrono::nanoseconds by);
  // Moves the clock and runs nothing, as if the thread had not been scheduled: timers are late.
  void Stall(std::chrono::nanoseconds by) { now_ += by; }
  [[nodiscard]] size_t timers() const { return timers_.size(); }
  [[nodiscard]] bool idle() const { return deferred_.empty(); }

 private:
  const int64_t wall_base_ms_ = 1'700'000'000'000;
  MonoTime now_{1'000'000'000};
  TimerId next_id_ = 1;
  std::deque<std::function<void()>> deferred_;
  std::map<std::pair<MonoTime, TimerId>, std::function<void()>> timers_;
};

}  // namespace jetd

#endif  // JETD_BASE_FAKE_EXECUTOR_H_
