// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_DURATION_HISTOGRAM_H_
#define JETD_BASE_DURATION_HISTOGRAM_H_

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace jetd {

// How often something took how long. Bucket i counts what took at most 62.5 µs * 2^i, and more than
// the bucket before; the last one everything above 8.192 s. So the bounds that etcd uses for its
// disk (1 ms * 2^k up to 8.192 s) are among them.
//
//   Observe(62.5 µs)   bucket 0        Observe(1 ms)      bucket 4
//   Observe(62.6 µs)   bucket 1        Observe(9 s)       bucket 18
//
// Plain integers, a few nanoseconds an observation. Thread rules: one thread at a time; readers on
// other threads get a copy.
class DurationHistogram {
 public:
  static constexpr size_t kBounds = 18;

  // Upper bound of bucket i, in seconds. REQUIRES: i < kBounds.
  [[nodiscard]] static double BoundSeconds(size_t i) {
    return static_cast<double>(kFirstBoundNs << i) / 1e9;
  }

  void Observe(std::chrono::nanoseconds took) {
    const uint64_t ns = took.count() < 1 ? 1 : static_cast<uint64_t>(took.count());
    const size_t bucket = std::bit_width((ns - 1) / kFirstBoundNs);
    ++counts_[bucket < kBounds ? bucket : kBounds];
    sum_ns_ += ns;
  }

  // Observations in bucket i alone; i == kBounds: above all bounds.
  [[nodiscard]] uint64_t in_bucket(size_t i) const { return counts_.at(i); }
  [[nodiscard]] double sum_seconds() const { return static_cast<double>(sum_ns_) / 1e9; }

 private:
  static constexpr uint64_t kFirstBoundNs = 62'500;
  std::array<uint64_t, kBounds + 1> counts_{};
  uint64_t sum_ns_ = 0;
};

}  // namespace jetd

#endif  // JETD_BASE_DURATION_HISTOGRAM_H_
