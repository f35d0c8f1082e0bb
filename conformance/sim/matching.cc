// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/matching.h"

#include <vector>

namespace jetd::conformance::sim {
namespace {

class Matching {
 public:
  Matching(size_t rights, const std::function<bool(size_t, size_t)>& fits)
      : fits_(fits), left_of_(rights), tried_(rights) {}

  // Makes room by moving others, each right at most once.
  bool Match(size_t left) {
    tried_.assign(tried_.size(), false);
    return Place(left);
  }

 private:
  bool Place(size_t left) {
    for (size_t right = 0; right < left_of_.size(); ++right) {
      if (tried_[right] || !fits_(left, right)) continue;
      tried_[right] = true;
      if (!left_of_[right].has_value() || Place(*left_of_[right])) {
        left_of_[right] = left;
        return true;
      }
    }
    return false;
  }

  const std::function<bool(size_t, size_t)>& fits_;
  std::vector<std::optional<size_t>> left_of_;
  std::vector<bool> tried_;
};

}  // namespace

std::optional<size_t> FindUnmatched(size_t lefts, size_t rights,
                                    const std::function<bool(size_t, size_t)>& fits) {
  Matching matching(rights, fits);
  for (size_t left = 0; left < lefts; ++left) {
    if (!matching.Match(left)) return left;
  }
  return std::nullopt;
}

}  // namespace jetd::conformance::sim
