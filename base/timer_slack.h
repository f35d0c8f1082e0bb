// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_TIMER_SLACK_H_
#define JETD_BASE_TIMER_SLACK_H_

#include <sys/prctl.h>

#include <chrono>

namespace jetd {

// While it lives, threads that the calling thread makes, and those that these make, may wake up to
// `slack` later than they asked, for as long as they run: the kernel lets wake-ups that lie close
// together fall together (prctl(2), PR_SET_TIMERSLACK). For libraries whose threads look at their
// timers more often than any of them matters. The calling thread itself has it meanwhile too.
// Nothing changes where the kernel does not offer it.
class TimerSlack {
 public:
  explicit TimerSlack(std::chrono::nanoseconds slack) : before_(prctl(PR_GET_TIMERSLACK)) {
    prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(slack.count()));
  }
  TimerSlack(const TimerSlack&) = delete;
  TimerSlack& operator=(const TimerSlack&) = delete;
  ~TimerSlack() {
    if (before_ > 0) prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(before_));
  }

 private:
  const int before_;
};

}  // namespace jetd

#endif  // JETD_BASE_TIMER_SLACK_H_
