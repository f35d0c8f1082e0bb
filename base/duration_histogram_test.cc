// SPDX-License-Identifier: Apache-2.0
#include "base/duration_histogram.h"

#include <chrono>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd {
namespace {

using std::chrono::nanoseconds;

// The bucket that one observation went to.
size_t BucketOf(nanoseconds took) {
  DurationHistogram histogram;
  histogram.Observe(took);
  for (size_t i = 0; i <= DurationHistogram::kBounds; ++i) {
    if (histogram.in_bucket(i) == 1) return i;
  }
  ADD_FAILURE() << "counted nowhere";
  return 0;
}

TEST(DurationHistogramTest, ABoundBelongsToItsBucket) {
  for (size_t i = 0; i < DurationHistogram::kBounds; ++i) {
    const nanoseconds bound(62'500ULL << i);
    EXPECT_EQ(BucketOf(bound - nanoseconds(1)), i) << i;
    EXPECT_EQ(BucketOf(bound), i) << i;
    EXPECT_EQ(BucketOf(bound + nanoseconds(1)), i + 1) << i;
    EXPECT_DOUBLE_EQ(DurationHistogram::BoundSeconds(i), static_cast<double>(bound.count()) / 1e9);
  }
}

TEST(DurationHistogramTest, NothingIsOutOfBounds) {
  EXPECT_EQ(BucketOf(nanoseconds(0)), 0U);
  EXPECT_EQ(BucketOf(nanoseconds(-5)), 0U);
  EXPECT_EQ(BucketOf(nanoseconds::max()), DurationHistogram::kBounds);
}

TEST(DurationHistogramTest, HasTheBoundsOfEtcd) {
  std::vector<double> bounds;
  for (size_t i = 0; i < DurationHistogram::kBounds; ++i) {
    bounds.push_back(DurationHistogram::BoundSeconds(i));
  }
  for (int k = 0; k < 14; ++k) EXPECT_THAT(bounds, testing::Contains(0.001 * (1 << k)));
}

TEST(DurationHistogramTest, AddsUp) {
  DurationHistogram histogram;
  histogram.Observe(std::chrono::milliseconds(2));
  histogram.Observe(std::chrono::milliseconds(3));
  EXPECT_DOUBLE_EQ(histogram.sum_seconds(), 0.005);
}

}  // namespace
}  // namespace jetd
