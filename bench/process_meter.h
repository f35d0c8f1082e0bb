// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_PROCESS_METER_H_
#define JETD_BENCH_PROCESS_METER_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace jetd::bench {

// What one process has used since it started, and what memory it has now.
struct ProcessUsage {
  pid_t pid = 0;
  std::string name;
  // Of all threads, those that have ended included: the process's CPU clock, in nanoseconds.
  int64_t cpu_ns = 0;
  // Of all threads that were alive at one of the readings.
  int64_t context_switches = 0;
  // Handed to the disk's layer, as /proc/PID/io has it.
  int64_t disk_write_bytes = 0;
  int64_t pss_bytes = 0;
  int64_t anonymous_bytes = 0;
  int64_t rss_bytes = 0;
  // Largest RSS since the last ResetPeaks.
  int64_t peak_rss_bytes = 0;
};

// Reads what processes use, from /proc: those it is told of with all their descendants, found anew
// at every reading. A process that ended between two readings is missing from the second.
//
// Thread rules: one thread at a time.
class ProcessMeter {
 public:
  explicit ProcessMeter(std::vector<pid_t> roots) : roots_(std::move(roots)) {}

  // CPU and counters: cheap enough for the edges of a phase.
  [[nodiscard]] std::vector<ProcessUsage> ReadCounters();
  // Counters and memory. The kernel walks the page tables for it: milliseconds for a large process.
  [[nodiscard]] std::vector<ProcessUsage> ReadAll();
  void ResetPeaks();

  // `after` less `before` by process, memory as in `after`. A process that is new counts in full.
  [[nodiscard]] static std::vector<ProcessUsage> Difference(const std::vector<ProcessUsage>& before,
                                                            const std::vector<ProcessUsage>& after);

 private:
  [[nodiscard]] std::vector<pid_t> Pids() const;
  [[nodiscard]] ProcessUsage Read(pid_t pid);

  const std::vector<pid_t> roots_;
  // What threads had switched when they were last seen: a thread's counters go with it.
  std::map<std::pair<pid_t, pid_t>, int64_t> switches_;
};

}  // namespace jetd::bench

#endif  // JETD_BENCH_PROCESS_METER_H_
