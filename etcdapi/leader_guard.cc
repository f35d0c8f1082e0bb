// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/leader_guard.h"

namespace jetd::etcdapi {

void LeaderGuard::Look() {
  if (leading_()) {
    if (timer_ != 0) executor_->Cancel(std::exchange(timer_, 0));
    if (!std::exchange(has_leader_, true)) on_change_(true);
    return;
  }
  if (!has_leader_ || timer_ != 0) return;
  timer_ = executor_->RunAfter(kPatience, [this] {
    timer_ = 0;
    has_leader_ = false;
    on_change_(false);
  });
}

}  // namespace jetd::etcdapi
