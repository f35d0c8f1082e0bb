// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MIRRORS_POINTS_RUN_H_
#define JETD_CONFORMANCE_MIRRORS_POINTS_RUN_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "conformance/history/violations.h"

namespace jetd::conformance {

// A random history of a jetd with a mirror in another domain, while the link between the domains is
// cut, and jetd and both nats-servers are killed; then random moments of it, read from the origin
// and from the mirror, and restored into new buckets, each compared with what the only client knows
// (client_log.h).
struct PointsOptions {
  std::string jetd{};  // the program
  size_t steps = 2'000;
  size_t compactions = 3;
  size_t faults = 4;
  // Of the mirror's nats-server, on a disk that forgets what was not synced, while the client
  // writes. After each one the mirror must be whole again, or say what it lacks.
  size_t power_cuts = 0;
  size_t long_cuts = 0;  // of the cuts so many last longer than a leaf node's connection is missed
  size_t points = 100;
  // Of the points, so many are restored too, and of those a jetd serves so many.
  size_t restores = 10, served = 2;
  uint64_t seed = 1;
  bool doctored = false;  // the client's log is altered at one step, which must be found
};

struct PointsReport {
  size_t steps = 0, revisions = 0, leases = 0;
  size_t failed = 0, failed_and_happened = 0;  // calls
  int64_t compacted = 0;
  std::map<std::string, size_t> faults{};
  int64_t caught_up_ms = 0;  // of the mirror, from the last step on
  // Of the power cuts: after which the mirror was as before; it had lost records, and has them
  // again or lacks some that the origin had removed meanwhile, and says which; its stream was gone.
  struct PowerCuts {
    size_t unharmed = 0, copied_again = 0, with_gap = 0, gone = 0;
    uint64_t records_lost = 0, records_gone = 0;
  } power;
  size_t at_origin = 0, at_mirror = 0, not_at_mirror = 0;
  size_t not_at_origin = 0;  // they lie below the compact revision, and the origin says so
  size_t restored = 0, served = 0, keys_compared = 0;
  double write_seconds = 0, read_seconds = 0, restore_seconds = 0;
  history::Violations violations{};
};

// Blocks. NotFound: there is no nats-server.
[[nodiscard]] absl::StatusOr<PointsReport> RunPoints(
    const PointsOptions& options, const std::function<void(const std::string& line)>& say);

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MIRRORS_POINTS_RUN_H_
