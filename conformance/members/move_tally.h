// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MEMBERS_MOVE_TALLY_H_
#define JETD_CONFORMANCE_MEMBERS_MOVE_TALLY_H_

#include <cstddef>
#include <string>

#include "base/strings.h"

namespace jetd::conformance {

// How many of the moves of the leader that were asked for were made. On a machine that is busy with
// something else a successor may be late now and then; then the leader goes on and says so. A
// MoveLeader that fails more often than that is wrong. A plain value.
class MoveTally {
 public:
  // May fail whatever the share is.
  static constexpr size_t kFew = 3;

  void AddMade() { ++made_; }
  void AddFailed() { ++failed_; }

  [[nodiscard]] size_t asked() const { return made_ + failed_; }
  [[nodiscard]] bool TooManyFailed(size_t percent) const {
    return failed_ > kFew && failed_ * 100 > asked() * percent;
  }
  [[nodiscard]] std::string Text() const {
    return Cat(failed_, " of ", asked(), " moves failed (",
               asked() == 0 ? 0 : 100 * failed_ / asked(), " %)");
  }

 private:
  size_t made_ = 0, failed_ = 0;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MEMBERS_MOVE_TALLY_H_
