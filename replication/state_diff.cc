// SPDX-License-Identifier: Apache-2.0
#include "replication/state_diff.h"

namespace jetd::replication {

std::vector<StateChange> DiffStates(const State& from, const State& to) {
  std::vector<StateChange> changes;
  auto before = from.keys.begin();
  auto after = to.keys.begin();
  while (before != from.keys.end() || after != to.keys.end()) {
    if (after == to.keys.end() || (before != from.keys.end() && before->first < after->first)) {
      changes.push_back(
          {.kind = StateChange::Kind::kDeleted, .key = before->first, .from = &before->second});
      ++before;
    } else if (before == from.keys.end() || after->first < before->first) {
      changes.push_back(
          {.kind = StateChange::Kind::kAdded, .key = after->first, .to = &after->second});
      ++after;
    } else {
      if (!(before->second == after->second)) {
        changes.push_back({.kind = StateChange::Kind::kChanged,
                           .key = after->first,
                           .from = &before->second,
                           .to = &after->second});
      }
      ++before;
      ++after;
    }
  }
  return changes;
}

}  // namespace jetd::replication
