// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_PING_POLICY_H_
#define JETD_RPC_PING_POLICY_H_

#include <chrono>
#include <optional>

#include "base/executor.h"

namespace jetd::rpc {

// PingPolicy says when a client of one connection pings too often, by grpc-go's rules with etcd's
// settings: pings closer than a minimum are strikes, without a call open any within two hours are;
// sending anything forgives, the third strike is too much. One thread.
class PingPolicy {
 public:
  explicit PingPolicy(std::chrono::milliseconds min_time) : min_time_(min_time) {}

  // Headers or data were sent: the client may want to know whether they arrive.
  void Sent() { forgives_ = true; }
  // False: one too many.
  [[nodiscard]] bool Pinged(MonoTime now, bool has_calls) {
    const std::optional<MonoTime> before = last_;
    last_ = now;
    if (forgives_) {
      forgives_ = false;
      strikes_ = 0;
      return true;
    }
    const MonoTime least = has_calls ? MonoTime(min_time_) : MonoTime(kWithoutCalls);
    if (before.has_value() && *before + least > now) ++strikes_;
    return strikes_ <= kMaxStrikes;
  }

 private:
  static constexpr int kMaxStrikes = 2;
  static constexpr std::chrono::hours kWithoutCalls{2};

  const std::chrono::milliseconds min_time_;
  std::optional<MonoTime> last_;
  int strikes_ = 0;
  bool forgives_ = false;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_PING_POLICY_H_
