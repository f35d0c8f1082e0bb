// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_STATE_DIFF_H_
#define JETD_REPLICATION_STATE_DIFF_H_

#include <string_view>
#include <vector>

#include "replication/state_at.h"

namespace jetd::replication {

// What is different of one key. Points into the states that were compared.
struct StateChange {
  enum class Kind { kAdded, kChanged, kDeleted };
  Kind kind = Kind::kChanged;
  std::string_view key;
  const StateKey* from = nullptr;  // null: kAdded
  const StateKey* to = nullptr;    // null: kDeleted
  // Deleted and made again in between.
  [[nodiscard]] bool made_anew() const {
    return kind == Kind::kChanged && from->create_revision != to->create_revision;
  }
};

// All keys that were changed between the two, in order, those too that have the same value again.
// One pass over both. Pure; the states outlive what it gives.
[[nodiscard]] std::vector<StateChange> DiffStates(const State& from, const State& to);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STATE_DIFF_H_
