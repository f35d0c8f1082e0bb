// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_RANDOM_H_
#define JETD_CONFORMANCE_SIM_RANDOM_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>

namespace jetd::conformance::sim {

// Numbers from a seed, the same with every standard library. One thread.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // In [0, n). REQUIRES: n > 0.
  [[nodiscard]] size_t Pick(size_t n) { return static_cast<size_t>(engine_() % n); }
  // In [low, high].
  [[nodiscard]] int64_t Between(int64_t low, int64_t high) {
    if (high <= low) return low;
    return low + static_cast<int64_t>(Pick(static_cast<size_t>(high - low) + 1));
  }
  [[nodiscard]] bool Chance(size_t percent) { return Pick(100) < percent; }
  // Below `most`.
  [[nodiscard]] std::chrono::nanoseconds Delay(std::chrono::nanoseconds most) {
    return std::chrono::nanoseconds(Pick(static_cast<size_t>(most.count())));
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_RANDOM_H_
