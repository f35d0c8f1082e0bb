// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/runner.h"

#include <deque>
#include <utility>

#include "base/strings.h"
#include "conformance/sim/simulation.h"

namespace jetd::conformance::sim {
namespace {

// Lines of the trace that a failure shows.
constexpr size_t kLastLines = 80;

// What led to it: the run again, with a trace.
std::string Explain(uint64_t seed, SimOptions options, const std::string& failure) {
  std::deque<std::string> lines;
  options.trace = [&lines](const std::string& line) {
    lines.push_back(line);
    if (lines.size() > kLastLines) lines.pop_front();
  };
  const SeedReport again = RunSeed(seed, options);
  std::string text = Cat("seed ", seed, ": ", failure, "\n");
  if (again.failure != failure) CatTo(text, "not so the second time: ", again.failure, "\n");
  for (const std::string& line : lines) CatTo(text, "  ", line, "\n");
  return text;
}

}  // namespace

SeedReport RunSeed(uint64_t seed, const SimOptions& options) {
  Simulation simulation(seed, options);
  simulation.Go();
  const Run& run = simulation.run();
  return {.tally = run.tally, .failure = run.failure(), .digest = run.digest()};
}

SeedsReport RunSeeds(uint64_t first, uint64_t count, const SimOptions& options,
                     const std::function<void(uint64_t seed)>& begins) {
  SeedsReport report;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    if (begins) begins(seed);
    const SeedReport one = RunSeed(seed, options);
    ++report.seeds;
    report.tally.Add(one.tally);
    if (one.failure.empty()) continue;
    report.failed_seed = seed;
    report.failure = Explain(seed, options, one.failure);
    break;
  }
  return report;
}

}  // namespace jetd::conformance::sim
