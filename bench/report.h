// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_REPORT_H_
#define JETD_BENCH_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bench/driver.h"
#include "bench/histogram.h"
#include "bench/phase_spec.h"
#include "bench/process_meter.h"

namespace jetd::bench {

// All that a phase has shown.
struct PhaseReport {
  PhaseSpec spec;
  std::string text;  // the phase as it was written
  DriverResult result;
  double seconds = 0;  // measured, watches: until the last event
  // Watch: from when a write was due until a watcher had its event. Counted with the watchers.
  Histogram lag;
  // kAwait: on the steady clock, which all processes of the machine share.
  int64_t ready_at_ns = 0;
  int64_t generator_cpu_ns = 0;
  std::vector<ProcessUsage> servers;
  int64_t keys = 0;  // there at the end
};

// One line for people, and one JSON object.
[[nodiscard]] std::string TextOf(const PhaseReport& report);
[[nodiscard]] std::string JsonOf(const PhaseReport& report);

}  // namespace jetd::bench

#endif  // JETD_BENCH_REPORT_H_
