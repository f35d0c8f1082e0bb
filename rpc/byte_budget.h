// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_BYTE_BUDGET_H_
#define JETD_RPC_BYTE_BUDGET_H_

#include <cstddef>

namespace jetd::rpc {

// ByteBudget bounds what clients can make a server hold for them. One thread.
class ByteBudget {
 public:
  explicit ByteBudget(size_t limit_bytes) : limit_(limit_bytes) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  // False, and nothing is taken, where that would be beyond the limit.
  [[nodiscard]] bool Take(size_t bytes) {
    if (bytes > limit_ - used_) return false;
    used_ += bytes;
    return true;
  }
  void Give(size_t bytes) { used_ -= bytes; }
  [[nodiscard]] size_t used() const { return used_; }

 private:
  const size_t limit_;
  size_t used_ = 0;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_BYTE_BUDGET_H_
