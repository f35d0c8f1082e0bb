// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_BYTE_BUDGET_H_
#define JETD_RPC_BYTE_BUDGET_H_

#include <algorithm>
#include <cstddef>

namespace jetd::rpc {

// ByteBudget bounds what all clients together can make a server hold for them. One thread.
class ByteBudget {
 public:
  explicit ByteBudget(size_t limit_bytes) : limit_(limit_bytes) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  [[nodiscard]] size_t limit() const { return limit_; }
  [[nodiscard]] size_t used() const { return used_; }
  [[nodiscard]] size_t left() const { return limit_ - std::min(limit_, used_); }

 private:
  friend class ByteShare;

  const size_t limit_;
  size_t used_ = 0;  // above the limit by what is sure to each share
};

// ByteShare is one client's part of a budget: no more than half of what is left, so that those who
// come later find something too, however many take all they can; and whatever is left, a little
// that is sure.
//
//   a budget of 900:  the first takes 300 and no more (600 left), the second 200 (400 left), the
//   third 133, … the tenth 27; each may have what is sure, and takes at most `most`
//
// One thread; the budget outlives it.
class ByteShare {
 public:
  ByteShare(ByteBudget* all, size_t sure, size_t most) : all_(all), sure_(sure), most_(most) {}
  ByteShare(const ByteShare&) = delete;
  ByteShare& operator=(const ByteShare&) = delete;

  // Whether so many more may be had.
  [[nodiscard]] bool Fits(size_t bytes) const {
    const size_t wanted = used_ + bytes;
    return wanted <= std::max(sure_, std::min(most_, all_->left() / 2));
  }
  // False, and nothing is taken, where that does not fit.
  [[nodiscard]] bool Take(size_t bytes) {
    if (!Fits(bytes)) return false;
    Add(bytes);
    return true;
  }
  // Whether it fits or not.
  void Add(size_t bytes) {
    used_ += bytes;
    all_->used_ += bytes;
  }
  void Give(size_t bytes) {
    used_ -= bytes;
    all_->used_ -= bytes;
  }
  [[nodiscard]] size_t used() const { return used_; }

 private:
  ByteBudget* const all_;
  const size_t sure_;
  const size_t most_;
  size_t used_ = 0;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_BYTE_BUDGET_H_
