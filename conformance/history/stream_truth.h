// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_STREAM_TRUTH_H_
#define JETD_CONFORMANCE_HISTORY_STREAM_TRUTH_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/history/key_space.h"
#include "conformance/history/operation.h"
#include "replication/stream_dump.h"

namespace jetd::conformance::history {

// The transactions first..last of a run, from the stream itself: what counts there, whatever the
// server says. An error if the stream cannot be read, breaks its rules, or holds a key that is not
// of the run.
[[nodiscard]] absl::StatusOr<std::vector<Transaction>> ReadStream(
    const replication::StreamSource& source, const KeySpace& keys, int64_t first, int64_t last);

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_STREAM_TRUTH_H_
