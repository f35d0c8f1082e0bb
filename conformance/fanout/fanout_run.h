// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_FANOUT_FANOUT_RUN_H_
#define JETD_CONFORMANCE_FANOUT_FANOUT_RUN_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/fanout/paced_writer.h"
#include "etcdclient/testing/server_process.h"

namespace jetd::conformance {

struct FanoutOptions {
  etcdclient::ServerProcess::Options server;
  int connections = 500;
  int watches = 10;  // a connection
  // Watches are spread over the groups, writes too: an event goes to
  // connections x watches / groups of them.
  PacedWriter::Options load{.groups = 1000};
  std::chrono::seconds time{20};
  // One more connection watches everything and reads nothing until the load is over.
  bool slow_client = false;
  // How long nothing may happen before it counts as lost.
  std::chrono::seconds patience{60};
};

struct FanoutReport {
  size_t writes = 0;
  double writes_per_second = 0;
  size_t events = 0;  // delivered
  // From the sending of a write to the event, milliseconds.
  double age_p50_ms = 0, age_p99_ms = 0, age_max_ms = 0;
  // Of the server, its children not counted, when the load is over and nothing has been closed.
  size_t resident_bytes = 0;
  std::vector<std::string> violations;
};

// Starts a server, opens the watches, writes, and checks that every watch saw each event of its
// group once, in order; the slow client too, once it reads.
[[nodiscard]] absl::StatusOr<FanoutReport> RunFanout(const FanoutOptions& options);

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_FANOUT_FANOUT_RUN_H_
