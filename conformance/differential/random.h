// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_RANDOM_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_RANDOM_H_

#include <cstdint>
#include <iterator>
#include <random>
#include <string>

namespace jetd::conformance::differential {

// Numbers from a seed, the same with every standard library. One thread.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // In [low, high].
  [[nodiscard]] int64_t Between(int64_t low, int64_t high) {
    if (high <= low) return low;
    const auto span = static_cast<uint64_t>(high - low) + 1;
    return low + static_cast<int64_t>(engine_() % span);
  }
  // True in `share` of 10,000 cases.
  [[nodiscard]] bool Chance(int share) { return Between(0, 9'999) < share; }

  template <typename Container>
  [[nodiscard]] const auto& Pick(const Container& container) {
    return *std::next(container.begin(), Between(0, static_cast<int64_t>(container.size()) - 1));
  }

  [[nodiscard]] std::string Bytes(size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(engine_());
    return bytes;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_RANDOM_H_
