// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_GROUP_CHECK_H_
#define JETD_CONFORMANCE_HISTORY_GROUP_CHECK_H_

#include <cstddef>
#include <vector>

#include "conformance/history/linear_search.h"
#include "conformance/history/model.h"
#include "conformance/history/operation.h"
#include "conformance/history/violations.h"

namespace jetd::conformance::history {

// An operation as the keys first..last see it; nothing if it does not concern them or makes no
// claim of being linearizable. What it says of other keys is left out, which can hide a violation
// but never make one. An operation of unknown fate whose guards are on other keys may have done
// either of two things: two results.
[[nodiscard]] std::vector<GroupOp> OnGroup(const Operation& operation, KeyId first, KeyId last);

// Linearizability without trust in revisions: the keys are cut into groups of `group_size`, each
// group's history is searched by LinearSearch. One thread.
class GroupCheck {
 public:
  GroupCheck(size_t keys, size_t group_size, size_t budget);

  // A window as RevisionCheck has it. `landed`: of the operations of unknown fate, of this window
  // or earlier ones, those that may have happened in this window. `end`: what the store is said to
  // hold after it, for going on after a violation.
  void Check(const std::vector<Operation>& operations, const std::vector<Operation>& landed,
             const State& end);

  [[nodiscard]] const Violations& violations() const { return violations_; }
  // Histories of a group in a window that were too hard to judge.
  [[nodiscard]] size_t undecided() const { return undecided_; }
  [[nodiscard]] size_t visited() const;

 private:
  using Sources = std::vector<const Operation*>;

  [[nodiscard]] std::vector<Sources> Sort(const std::vector<Operation>& operations) const;
  void CheckGroup(size_t group, const Sources& answered, const Sources& landed, const State& end);

  const size_t group_size_;
  std::vector<LinearSearch> searches_;
  Violations violations_;
  size_t undecided_ = 0;
};

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_GROUP_CHECK_H_
