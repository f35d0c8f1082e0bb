// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_POWER_POWER_RUN_H_
#define JETD_CONFORMANCE_POWER_POWER_RUN_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/power/ledger.h"
#include "etcdclient/testing/server_process.h"

namespace jetd::conformance::power {

struct PowerOptions {
  std::string server;    // the program
  std::string temp_dir;  // empty: $TMPDIR, or /tmp
  int cuts = 1000;
  // Of them, in the start of a store that is not there yet.
  int first_cuts = 2;
  // Operations that fail with EIO instead, each followed by a cut.
  int faults = 0;
  uint64_t seed = 1;
  int writers = 16;
  // Every sync succeeds and does nothing.
  bool no_sync = false;
  bool data_before_rename = true;
  // End when an answered write was lost, or anything was wrong.
  bool until_lost = false;
  bool until_wrong = false;
  bool keep = false;
  // A server that does nothing for so long hangs.
  std::chrono::seconds patience{60};
  // Told now and then how far it is.
  std::function<void(const std::string&)> say{};
};

struct PowerReport {
  int cuts = 0;
  int faults = 0;                          // that happened
  std::map<std::string, int> moments;      // of the cuts
  std::map<std::string, int> fault_kinds;  // and what the server did
  Ledger::Counts counts;
  int64_t revision = 0;
  size_t compactions = 0;
  int64_t blocks_made = 0;
  int64_t blocks_removed = 0;
  int64_t blocks_rewritten = 0;
  int64_t checkpoints = 0;        // that were named
  int64_t checkpoint_starts = 0;  // that began at one
  int starts = 0;
  std::vector<std::string> violations;
  std::string folder;  // what is kept
};

// Clients write to a jetd whose data is on a disk that loses what was not synced, and power is cut
// again and again. After each cut, and the start behind it, every key and every event since the cut
// before is held against what was answered. An error means that the run itself could not be done;
// kNotFound that this machine cannot mount a FUSE file system.
[[nodiscard]] absl::StatusOr<PowerReport> RunPower(const PowerOptions& options);

}  // namespace jetd::conformance::power

#endif  // JETD_CONFORMANCE_POWER_POWER_RUN_H_
