// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_PAST_STATE_H_
#define JETD_REPLICATION_PAST_STATE_H_

#include "replication/bucket_state.h"
#include "replication/state_at.h"

namespace jetd::replication {

// A state that was read from a stream, to be restored. It knows no order within a revision; Mend
// gives one.
[[nodiscard]] BucketState BucketStateOf(State state);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_PAST_STATE_H_
