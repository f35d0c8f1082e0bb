// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_HISTORY_RUN_H_
#define JETD_CONFORMANCE_HISTORY_HISTORY_RUN_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "conformance/history/revision_check.h"
#include "conformance/history/violations.h"
#include "conformance/history/world.h"

namespace jetd::conformance::history {

struct HistoryOptions {
  size_t operations = 100'000;
  // Between two quiet moments; the history is judged there, and then forgotten.
  size_t window = 50'000;
  size_t clients = 64;
  // Of a client, after an error.
  std::chrono::milliseconds pause{10};
  size_t groups = 24;
  size_t group_size = 4;
  uint64_t seed = 1;
  // A server that answers nothing for so long hangs.
  std::chrono::seconds patience{60};
};

struct HistoryReport {
  size_t operations = 0;
  RevisionCheck::Counts counts;
  size_t transactions = 0;         // of the store
  size_t stream_transactions = 0;  // of them, read from the stream
  size_t watch_events = 0;         // compared
  size_t watch_streams = 0;
  size_t progress_answers = 0;
  size_t searched = 0;   // places that the search without revisions has looked at
  size_t undecided = 0;  // histories that were too hard for it
  std::map<std::string, size_t> faults;
  std::map<std::string, size_t> errors;  // of operations that were not answered
  double seconds = 0;
  Violations violations;
};

// Clients, watches and faults, window after window, each judged in between: until all operations
// are done or something is wrong. What answers and watches are held against is what the world reads
// from the stream, otherwise what a watch from the past tells. `world` is started here. `progress`
// is told a line for each window. An error means that the run itself could not be done.
[[nodiscard]] absl::StatusOr<HistoryReport> RunHistory(
    const HistoryOptions& options, World& world,
    const std::function<void(const std::string&)>& progress);

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_HISTORY_RUN_H_
