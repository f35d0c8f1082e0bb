// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_LOCKSTEP_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_LOCKSTEP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/differential/coverage.h"
#include "conformance/differential/model.h"
#include "conformance/differential/side.h"
#include "conformance/differential/step.h"

namespace jetd::conformance::differential {

// What went differently on the two servers.
struct Finding {
  uint64_t seed = 0;
  int64_t step = 0;          // counted from 1
  std::string call;          // "Put key: ..."
  std::string what;          // in one line
  std::string etcd, server;  // the answers
};

struct RunOptions {
  uint64_t seed = 1;
  int64_t requests = 2000;
  std::string etcd_endpoint;
  std::string server_endpoint;
  // Kills both servers and starts them again on their data; called by RunLockstep's thread.
  std::function<absl::Status()> kill_servers;
  // The server under test has RangeStream.
  bool has_range_stream = true;
  std::string mutant;  // by name; empty: none
  // Prints every step to stderr.
  bool verbose = false;
};

struct RunResult {
  int64_t requests = 0;
  int64_t changed = 0;  // requests that changed the store: a revision, a lease, a compaction
  std::vector<Finding> findings;  // at most one: afterwards the stores may differ
  // So slow a machine that a lease, which was to run out while both servers are left alone, may
  // have done so before on either of them: what was found may be that alone.
  bool lease_overdue = false;
  Coverage coverage;
};

// One run: the steps of one seed, each taken by two fresh servers, their answers compared at once
// and their watch events whenever they must have come. Blocks until it is done.
[[nodiscard]] absl::StatusOr<RunResult> RunLockstep(const RunOptions& options);

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_LOCKSTEP_H_
