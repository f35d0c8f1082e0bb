// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_INVARIANTS_H_
#define JETD_REVISION_INVARIANTS_H_

#include "absl/status/status.h"
#include "revision/store.h"

namespace jetd::revision {

// Walks the whole store, O(n log n), and checks what store.h promises (I1 to I3), that every list
// and link agrees with every other, and that the figures add up. Internal error with the first
// difference found. For tests, and for the operator's own check; between transactions only.
[[nodiscard]] absl::Status CheckInvariants(const Store& store);

}  // namespace jetd::revision

#endif  // JETD_REVISION_INVARIANTS_H_
