// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_COMPLAINTS_H_
#define JETD_RPC_COMPLAINTS_H_

#include <optional>

#include "base/executor.h"
#include "rpc/bounds.h"

namespace jetd::rpc {

// What strangers can bring about again and again is told once in a while: a line of the log is
// written where `Due` says so. One thread at a time.
class Complaints {
 public:
  explicit Complaints(MonoTime at_most_each = kAcceptComplaints) : at_most_each_(at_most_each) {}

  // True if the last one that was due is so long ago, or there was none.
  [[nodiscard]] bool Due(MonoTime now) {
    if (last_.has_value() && now - *last_ < at_most_each_) return false;
    last_ = now;
    return true;
  }

 private:
  const MonoTime at_most_each_;
  std::optional<MonoTime> last_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_COMPLAINTS_H_
