// SPDX-License-Identifier: Apache-2.0
#include "base/fake_executor.h"

namespace jetd {

TimerId FakeExecutor::RunAt(MonoTime when, std::function<void()> fn) {
  const TimerId id = next_id_++;
  timers_.emplace(std::pair(when, id), std::move(fn));
  return id;
}

bool FakeExecutor::Cancel(TimerId timer) {
  for (auto it = timers_.begin(); it != timers_.end(); ++it) {
    if (it->first.second == timer) {
      timers_.erase(it);
      return true;
    }
  }
  return false;
}

void FakeExecutor::RunDeferred() {
  while (!deferred_.empty()) {
    auto fn = std::move(deferred_.front());
    deferred_.pop_front();
    fn();
  }
}

void FakeExecutor::Advance(std::chrono::nanoseconds by) {
  const MonoTime until = now_ + by;
  RunDeferred();
  while (!timers_.empty() && timers_.begin()->first.first <= until) {
    auto node = timers_.extract(timers_.begin());
    if (node.key().first > now_) now_ = node.key().first;
    node.mapped()();
    RunDeferred();
  }
  now_ = until;
}

}  // namespace jetd
