// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_LEADER_GUARD_H_
#define JETD_ETCDAPI_LEADER_GUARD_H_

#include <chrono>
#include <functional>
#include <utility>

#include "base/executor.h"

namespace jetd::etcdapi {

// LeaderGuard decides whether clients that asked for a leader have one. A short loss (NATS connects
// anew) does not count: opening streams again costs clients more than waiting. After kPatience they
// are told, as etcd does after three election timeouts.
//
// Thread rules: engine thread only. It has a timer only while this member does not lead.
class LeaderGuard {
 public:
  static constexpr std::chrono::seconds kPatience{3};

  // `leading` says whether this member leads now; `on_change` is told when
  // has_leader becomes true, and when the patience is over.
  LeaderGuard(Executor* executor, std::function<bool()> leading,
              std::function<void(bool has_leader)> on_change)
      : executor_(executor), leading_(std::move(leading)), on_change_(std::move(on_change)) {}
  ~LeaderGuard() { executor_->Cancel(timer_); }
  LeaderGuard(const LeaderGuard&) = delete;
  LeaderGuard& operator=(const LeaderGuard&) = delete;

  // To be called often, after every round of the engine: nothing changes but in a round.
  void Look();
  [[nodiscard]] bool has_leader() const { return has_leader_; }

 private:
  Executor* const executor_;
  const std::function<bool()> leading_;
  const std::function<void(bool)> on_change_;
  bool has_leader_ = false;  // until it led for the first time
  TimerId timer_ = 0;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_LEADER_GUARD_H_
