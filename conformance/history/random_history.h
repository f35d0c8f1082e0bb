// SPDX-License-Identifier: Apache-2.0
//
// For tests of the checkers: small histories made by a perfect server, and judges that try every
// order there is. Any thread.
#ifndef JETD_CONFORMANCE_HISTORY_RANDOM_HISTORY_H_
#define JETD_CONFORMANCE_HISTORY_RANDOM_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <random>

#include "conformance/history/revision_check.h"

namespace jetd::conformance::history {

using Window = RevisionCheck::Window;

struct RandomHistoryOptions {
  size_t keys = 3;
  size_t operations = 6;
  // Of 10: how many get no answer. Half of those happen.
  uint64_t unknown = 2;
  // How far from the moment at which it happens an operation begins and ends, at most. Moments are
  // 10 apart.
  int64_t spread = 30;
};

// A history as a server without a fault makes it, from revision 1 on.
[[nodiscard]] Window MakeHistory(const RandomHistoryOptions& options, std::mt19937_64& random);

// Makes one thing in it different, which may or may not be a violation.
void Disturb(Window& window, std::mt19937_64& random);

// Whether some order of the operations explains all answers, revisions included, and makes exactly
// the transactions of `truth`; by trying them all. For linearizable operations only.
[[nodiscard]] bool SomeOrderMakesTruth(const Window& window, size_t keys);
// The same by values alone: neither revisions nor `truth` are looked at.
[[nodiscard]] bool SomeOrderExplainsValues(const Window& window, size_t keys);

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_RANDOM_HISTORY_H_
