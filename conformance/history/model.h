// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_MODEL_H_
#define JETD_CONFORMANCE_HISTORY_MODEL_H_

#include <cstdint>
#include <vector>

#include "conformance/history/operation.h"

namespace jetd::conformance::history {

// All keys at one revision, by KeyId.
using State = std::vector<KeyState>;

struct Effect {
  bool succeeded = true;
  std::vector<ActionAnswer> answers{};
  std::vector<Change> changes{};  // none: the revision stays
};

// What etcd's contract says a request does on `state`, as one step that makes revision `revision`
// if it changes anything. Parts of a transaction see what the parts before them did.
[[nodiscard]] Effect Execute(const Request& request, const State& state, int64_t revision);

void Apply(const std::vector<Change>& changes, State& state);

// Whether there is a state in which it changes something.
[[nodiscard]] bool CanChange(const Request& request);
// Whether the answer of an answered operation says that it changed something.
[[nodiscard]] bool SaysItChanged(const Operation& operation);
// The actions that an answered operation says were taken.
[[nodiscard]] const std::vector<Action>& Taken(const Operation& operation);

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_MODEL_H_
