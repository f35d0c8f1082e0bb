// SPDX-License-Identifier: Apache-2.0
//
// Executor: the engine's view of time and of "later". The real one is `Loop`; tests and the
// simulator use `FakeExecutor`, which runs the same code on a clock that only they move.
#ifndef JETD_BASE_EXECUTOR_H_
#define JETD_BASE_EXECUTOR_H_

#include <chrono>
#include <cstdint>
#include <functional>

namespace jetd {

// Monotonic time since an arbitrary start. Not wall time: never stored, never sent.
using MonoTime = std::chrono::nanoseconds;

// Names a timer. 0 is no timer.
using TimerId = uint64_t;

// Thread rules: every method is called on the engine thread only, and every function given to it
// runs there, one at a time, never from inside the call that took it.
class Executor {
 public:
  virtual ~Executor() = default;

  [[nodiscard]] virtual MonoTime Now() const = 0;
  // Milliseconds since 1970, for what is stored or shown to people. May jump.
  [[nodiscard]] virtual int64_t WallNowMs() const = 0;

  // Runs `fn` after the current function returned, before the engine sleeps. In order of calls.
  virtual void Defer(std::function<void()> fn) = 0;

  // Runs `fn` once, at `when` or later; at once (but deferred) if `when` is past.
  virtual TimerId RunAt(MonoTime when, std::function<void()> fn) = 0;
  TimerId RunAfter(std::chrono::nanoseconds delay, std::function<void()> fn) {
    return RunAt(Now() + delay, std::move(fn));
  }
  // After this `fn` of the timer does not run. False: it ran already or was never there.
  virtual bool Cancel(TimerId timer) = 0;
};

}  // namespace jetd

#endif  // JETD_BASE_EXECUTOR_H_
