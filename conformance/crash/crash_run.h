// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_CRASH_CRASH_RUN_H_
#define JETD_CONFORMANCE_CRASH_CRASH_RUN_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/crash/op_log.h"
#include "etcdclient/testing/server_process.h"

namespace jetd::conformance {

struct CrashOptions {
  etcdclient::ServerProcess::Options server;
  int writers = 64;
  int watchers = 6;
  // SIGKILLs of the server and of its nats-server (none for etcd).
  int server_kills = 50;
  int nats_kills = 50;
  // Ends in order (SIGTERM), each followed by a start on the same data.
  int clean_stops = 0;
  uint64_t seed = 1;
  // Answered writes between a kill and the next, at least; up to four times as many.
  size_t writes_between = 50;
  // Compact all the while too, behind the slowest watcher.
  bool compact = false;
  // A server that answers nothing for so long hangs.
  std::chrono::seconds patience{60};
};

struct CrashReport {
  OpCounts ops;
  size_t reads = 0;
  size_t events = 0;  // of the history
  size_t watch_streams = 0;
  size_t progress_answers = 0;
  int server_kills = 0;
  int nats_kills = 0;
  int clean_stops = 0;
  int checkpoints = 0;  // that clean stops left
  size_t compactions = 0;
  int64_t revision = 0;                 // at the end
  std::string data_dir;                 // of the server; its log is beside it
  std::vector<std::string> violations;  // empty: all is well
  // How writes that were not answered with success ended, and how often.
  std::vector<std::pair<std::string, size_t>> errors;
};

// Writers write without a pause while the server and its nats-server are killed again and again, at
// random moments, start-up and recovery among them; watchers watch all the while. Then everything
// that was sent and answered is held against what the server has. An error means that the run
// itself could not be done (no such program, say).
[[nodiscard]] absl::StatusOr<CrashReport> RunCrash(const CrashOptions& options);

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_CRASH_CRASH_RUN_H_
