// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_BOUNDS_BOUNDS_RUN_H_
#define JETD_CONFORMANCE_BOUNDS_BOUNDS_RUN_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "etcdclient/testing/server_process.h"

namespace jetd::conformance {

struct BoundsOptions {
  etcdclient::ServerProcess::Options server;
  // kBurst: `count` puts at once while its nats-server is frozen, then as many linearizable reads.
  // kSlow: `count` clients watch everything and do not read while `megabytes` are written.
  // kKeys: `megabytes` of values in keys of 16 KiB, then all of them are read in pages.
  enum class Scenario { kBurst, kSlow, kKeys };
  Scenario scenario = Scenario::kBurst;
  int count = 40'000;
  int megabytes = 64;
  std::chrono::seconds patience{120};
};

struct BoundsReport {
  size_t taken = 0;    // answered with OK
  size_t refused = 0;  // "etcdserver: too many requests"
  size_t unsure = 0;   // Unavailable: it may have happened
  // The most that the server itself has held of its own, its nats-server not counted; before the
  // load; and the most with the pages of its files, which go when others need the memory.
  size_t peak_bytes = 0, before_bytes = 0, mapped_bytes = 0;
  std::vector<std::string> violations;
};

// Starts a server and asks of it more than its queues hold. Every call must be answered, nothing
// that was answered with OK may be missing, nothing refused may be there; of a burst some must be
// refused.
[[nodiscard]] absl::StatusOr<BoundsReport> RunBounds(const BoundsOptions& options);

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_BOUNDS_BOUNDS_RUN_H_
