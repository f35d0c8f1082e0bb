// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_FAULTS_OUTAGE_PROBE_H_
#define JETD_CONFORMANCE_FAULTS_OUTAGE_PROBE_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include "conformance/history/violations.h"

namespace jetd::conformance {

// Asks a member that cannot reach its nats-server, and holds it to what it promises: it answers
// Unavailable within limits::kUnavailableAfter or the caller's deadline if that is shorter, later
// calls at once; it never says that something was done or that a read is of now; its health and its
// log say what is missing.
//
// What it writes are leases, which add no revision. One thread; every call blocks.
class OutageProbe {
 public:
  struct Options {
    std::string endpoint;  // the member's own
    std::string log_path;  // what it writes
    // What a busy machine may add to every limit.
    std::chrono::milliseconds slack{2'000};
  };
  struct Counts {
    size_t outages = 0;  // long enough to be judged
    size_t calls = 0;
    std::chrono::milliseconds slowest_first{0};  // of the calls that waited from the start on
    std::chrono::milliseconds slowest_later{0};
    size_t recoveries = 0;
    std::chrono::milliseconds slowest_recovery{0};
  };

  explicit OutageProbe(Options options) : options_(std::move(options)) {}

  // The outage has begun and lasts so long; returns when that is over.
  void Watch(std::chrono::milliseconds time);
  // The outage is over: until a write and a linearizable read are answered; an alarm that keeps
  // writes away is disarmed. More than `patience` is a violation.
  void AwaitRecovery(std::chrono::milliseconds patience);

  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] history::Violations TakeViolations() { return std::exchange(violations_, {}); }

 private:
  class Calls;

  void CheckFirst(Calls& calls, std::chrono::steady_clock::time_point start,
                  std::chrono::steady_clock::time_point end);
  void CheckLater(Calls& calls);
  void CheckHealth(std::chrono::steady_clock::time_point deadline);
  void CheckLog(size_t from_byte);

  const Options options_;
  Counts counts_;
  history::Violations violations_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_FAULTS_OUTAGE_PROBE_H_
