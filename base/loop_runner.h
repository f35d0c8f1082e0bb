// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_LOOP_RUNNER_H_
#define JETD_BASE_LOOP_RUNNER_H_

#include <chrono>
#include <functional>

#include "base/loop.h"

namespace jetd {

// For tests: a loop, real time, and one thread, which runs the loop until something is so. A base
// class of a fixture.
class LoopRunner {
 public:
  LoopRunner() {
    loop_.AddRoundHook([this] {
      if (done_ && done_()) loop_.Stop();
    });
  }
  LoopRunner(const LoopRunner&) = delete;
  LoopRunner& operator=(const LoopRunner&) = delete;

  // Looks after each round of the loop. False if it is not so after a long time.
  bool RunUntil(const std::function<bool()>& done) {
    constexpr std::chrono::seconds kFarTooLong{90};
    bool in_time = true;
    const TimerId timer = loop_.RunAfter(kFarTooLong, [&] {
      in_time = false;
      loop_.Stop();
    });
    done_ = done;
    loop_.Run();
    done_ = nullptr;
    loop_.Cancel(timer);
    return in_time;
  }
  void RunFor(std::chrono::milliseconds time) {
    bool over = false;
    loop_.RunAfter(time, [&] { over = true; });
    (void)RunUntil([&] { return over; });
  }

 protected:
  ~LoopRunner() = default;

  Loop loop_;

 private:
  std::function<bool()> done_;
};

}  // namespace jetd

#endif  // JETD_BASE_LOOP_RUNNER_H_
