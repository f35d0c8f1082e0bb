// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_SUITE_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_SUITE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/differential/lockstep.h"
#include "etcdclient/testing/server_process.h"

namespace jetd::conformance::differential {

struct SuiteOptions {
  std::string etcd_program;
  std::string server_program;
  // kEtcd: the suite against itself, with etcd on both sides.
  etcdclient::ServerKind server_kind = etcdclient::ServerKind::kJetd;
  uint64_t first_seed = 1;
  int64_t seeds = 10;
  int64_t requests = 2000;  // a seed
  int jobs = 2;             // seeds at a time
  std::string mutant;
  bool verbose = false;
  std::string temp_dir;  // for the servers' data; empty: the system's
  std::vector<std::string> server_flags;
  // Stop at the first finding.
  bool first_only = false;
  // After each seed, one at a time.
  std::function<void(uint64_t seed, const RunResult&)> on_seed;
};

struct SuiteResult {
  int64_t requests = 0;
  int64_t changed = 0;
  int64_t seeds = 0;
  std::vector<Finding> findings;
  Coverage coverage;
};

// Runs every seed on two fresh servers of its own. Blocks until all are done. An error means that
// the suite could not run, not that it found something.
[[nodiscard]] absl::StatusOr<SuiteResult> RunSuite(const SuiteOptions& options);

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_SUITE_H_
