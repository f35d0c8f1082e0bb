// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_RUNNER_H_
#define JETD_BENCH_RUNNER_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/driver.h"
#include "bench/key_space.h"
#include "bench/kv_worker.h"
#include "bench/phase_spec.h"
#include "bench/process_meter.h"
#include "bench/report.h"
#include "bench/watcher.h"
#include "etcdclient/caller.h"
#include "etcdclient/client.h"

namespace jetd::bench {

// Runs phases one after another on one server, and keeps what it knows of the keys and leases from
// phase to phase.
//
// Thread rules: one thread.
class Runner {
 public:
  struct Options {
    std::string endpoint = "http://127.0.0.1:2379";
    std::string ca_file{}, cert_file{}, key_file{};  // of https, as etcdclient::Client has them
    // Servers to measure, with all their descendants.
    std::vector<pid_t> pids{};
    // Clients and watchers share so many.
    int connections = 10;
    std::string prefix = "/registry/pods/";
  };

  explicit Runner(Options options);
  ~Runner();

  // An error: the phase could not be run. What was answered wrong is in the report.
  [[nodiscard]] absl::StatusOr<PhaseReport> Run(const std::string& phase);

 private:
  [[nodiscard]] etcdclient::Client::Options ClientOptions() const;
  [[nodiscard]] absl::StatusOr<std::unique_ptr<etcdclient::Caller>> Connect(
      int connections, std::chrono::milliseconds keepalive) const;
  // Connections, and the keys that are there.
  [[nodiscard]] absl::Status Prepare();
  [[nodiscard]] absl::Status Await(PhaseReport* report);
  [[nodiscard]] absl::Status Compact(PhaseReport* report);
  [[nodiscard]] absl::Status RunWatch(PhaseReport* report);
  [[nodiscard]] absl::Status RunIdle(PhaseReport* report);
  void RunKeepAlive(PhaseReport* report);
  void RunPlain(PhaseReport* report);
  [[nodiscard]] std::vector<std::unique_ptr<Worker>> MakeWorkers(const PhaseSpec& spec);

  // From Begin to End is what is measured of the processes.
  void Begin();
  void End(PhaseReport* report);
  [[nodiscard]] Driver::Hooks Measuring(PhaseReport* report);

  const Options options_;
  const ValueMaker values_;
  ProcessMeter servers_;
  ProcessMeter self_;
  KeySpace keys_;
  std::vector<int64_t> leases_;
  std::unique_ptr<etcdclient::Caller> caller_;
  KvWork kv_work_;

  int64_t begin_ns_ = 0;
  std::vector<ProcessUsage> servers_before_;
  std::vector<ProcessUsage> self_before_;
};

}  // namespace jetd::bench

#endif  // JETD_BENCH_RUNNER_H_
