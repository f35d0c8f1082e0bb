// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_RUNNER_H_
#define JETD_CONFORMANCE_SIM_RUNNER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "conformance/sim/run.h"

namespace jetd::conformance::sim {

struct SeedReport {
  Tally tally;
  std::string failure;  // the first thing that was wrong; empty: nothing
  uint64_t digest = 0;  // of all that happened
};
[[nodiscard]] SeedReport RunSeed(uint64_t seed, const SimOptions& options);

struct SeedsReport {
  uint64_t seeds = 0;
  Tally tally;
  uint64_t failed_seed = 0;
  std::string failure;  // of failed_seed, with the end of its trace; empty: nothing
};
// Seeds first, first + 1, … until something is wrong. `begins` is told of each; may be null.
[[nodiscard]] SeedsReport RunSeeds(uint64_t first, uint64_t count, const SimOptions& options,
                                   const std::function<void(uint64_t seed)>& begins);

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_RUNNER_H_
