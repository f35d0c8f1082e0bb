// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_HISTOGRAM_H_
#define JETD_BENCH_HISTOGRAM_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace jetd::bench {

// Counts of nanoseconds in buckets whose width grows with the value, as HdrHistogram's: exact below
// 128 ns, within 1/64 above, up to about 18 minutes. Adding costs a few instructions and no
// memory, so that measuring does not disturb what is measured.
//
//   value 127 has a bucket of its own; 128 and 129 share one; 256 to 259 share one; …
//
// Thread rules: one thread at a time.
class Histogram {
 public:
  static constexpr int64_t kMost = (int64_t{1} << 40) - 1;

  // Below 0 counts as 0, above kMost as kMost.
  void Add(int64_t value_ns);
  void Merge(const Histogram& other);

  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] int64_t max_ns() const { return max_ns_; }
  [[nodiscard]] double mean_ns() const;
  // The smallest value that at least this share of all values does not exceed, as the upper end of
  // its bucket, but never above the largest value. `share` from 0 to 1; 0 for an empty histogram.
  [[nodiscard]] int64_t Quantile(double share) const;

 private:
  static constexpr int kLinearBits = 7;
  static constexpr int kHalf = 1 << (kLinearBits - 1);
  // 128 buckets of width 1, then 64 for every doubling.
  static constexpr size_t kBuckets = (1 << kLinearBits) + (40 - kLinearBits) * kHalf;

  static size_t BucketOf(int64_t value);
  static int64_t UpperEnd(size_t bucket);

  std::array<uint64_t, kBuckets> counts_{};
  uint64_t count_ = 0;
  int64_t max_ns_ = 0;
  double sum_ns_ = 0;
};

}  // namespace jetd::bench

#endif  // JETD_BENCH_HISTOGRAM_H_
