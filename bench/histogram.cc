// SPDX-License-Identifier: Apache-2.0
#include "bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace jetd::bench {

size_t Histogram::BucketOf(int64_t value) {
  const auto v = static_cast<uint64_t>(value);
  const auto bits = static_cast<int>(std::bit_width(v));
  if (bits <= kLinearBits) return static_cast<size_t>(v);
  // The highest 7 bits say the place in the doubling: from 64 to 127.
  const int shift = bits - kLinearBits;
  const auto top = static_cast<size_t>(v >> shift);
  return (size_t{1} << kLinearBits) + static_cast<size_t>(shift - 1) * kHalf + (top - kHalf);
}

int64_t Histogram::UpperEnd(size_t bucket) {
  constexpr size_t kLinear = size_t{1} << kLinearBits;
  if (bucket < kLinear) return static_cast<int64_t>(bucket);
  const size_t shift = (bucket - kLinear) / kHalf + 1;
  const size_t top = (bucket - kLinear) % kHalf + kHalf;
  return static_cast<int64_t>(((top + 1) << shift) - 1);
}

void Histogram::Add(int64_t value_ns) {
  const int64_t value = std::clamp<int64_t>(value_ns, 0, kMost);
  ++counts_[BucketOf(value)];
  ++count_;
  max_ns_ = std::max(max_ns_, value);
  sum_ns_ += static_cast<double>(value);
}

void Histogram::Merge(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
  sum_ns_ += other.sum_ns_;
}

double Histogram::mean_ns() const {
  return count_ == 0 ? 0 : sum_ns_ / static_cast<double>(count_);
}

int64_t Histogram::Quantile(double share) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_));
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(wanted));
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::min(UpperEnd(i), max_ns_);
  }
  return max_ns_;
}

}  // namespace jetd::bench
