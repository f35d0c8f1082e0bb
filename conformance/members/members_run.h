// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MEMBERS_MEMBERS_RUN_H_
#define JETD_CONFORMANCE_MEMBERS_MEMBERS_RUN_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/histogram.h"
#include "conformance/faults/lease_keeper.h"
#include "conformance/history/violations.h"
#include "conformance/members/beat.h"
#include "conformance/members/cluster.h"
#include "conformance/members/move_tally.h"

namespace jetd::conformance {

struct MembersOptions {
  Cluster::Options cluster;
  size_t changes = 12;  // of the leader
  // In all, through all members; none: take-overs are measured without anything else going on.
  size_t reads = 100'000;
  size_t reads_in_flight = 64;  // through each member
  size_t keys = 1'000;          // in the store before anything begins
  // Which changes: kill, stop, freeze, move.
  std::vector<std::string> kinds{"kill", "stop", "freeze", "move"};
  // So many times jetd is killed and one with an empty folder started, instead of all that.
  size_t cold_moves = 0;
  // Of the moves that are asked for, so many may fail; a few may in any case.
  size_t failed_moves_percent = 10;
  // One reader reads another store: to test the test.
  bool impostor = false;
  uint64_t seed = 1;
};

struct MembersReport {
  // By kind: how long nobody could write.
  std::map<std::string, bench::Histogram> outages;
  MoveTally moves;
  size_t reads = 0, stale = 0;
  std::vector<size_t> reads_of;  // by member
  size_t register_writes = 0;
  Beat::Counts beats;
  size_t watchers = 0, watch_events = 0, watch_streams = 0;
  LeaseKeeper::Counts leases;
  std::map<std::string, size_t> errors;
  double seconds = 0;
  history::Violations violations;
};

// An error means that the run could not be done. `progress` is told a line now and then.
[[nodiscard]] absl::StatusOr<MembersReport> RunMembers(
    const MembersOptions& options, const std::function<void(const std::string&)>& progress);

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MEMBERS_MEMBERS_RUN_H_
