// SPDX-License-Identifier: Apache-2.0
#include "bench/histogram.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::bench {
namespace {

TEST(HistogramTest, EmptyHasNothing) {
  const Histogram h;
  EXPECT_EQ(h.count(), 0U);
  EXPECT_EQ(h.Quantile(0.5), 0);
  EXPECT_EQ(h.mean_ns(), 0);
}

TEST(HistogramTest, SmallValuesAreExact) {
  for (int64_t value = 0; value < 128; ++value) {
    Histogram h;
    h.Add(value);
    h.Add(1'000'000);
    EXPECT_EQ(h.Quantile(0.5), value);
  }
}

TEST(HistogramTest, OneValueIsItself) {
  // The upper end of its bucket would be more; the largest value bounds it.
  for (int64_t value : {int64_t{128}, int64_t{1000}, int64_t{123'456'789}, Histogram::kMost}) {
    Histogram h;
    h.Add(value);
    EXPECT_EQ(h.Quantile(0), value);
    EXPECT_EQ(h.Quantile(1), value);
  }
}

TEST(HistogramTest, EveryBucketIsWithinASixtyFourthPart) {
  for (int64_t value = 1; value < Histogram::kMost / 3; value += 1 + value / 777) {
    Histogram h;
    h.Add(value);
    h.Add(Histogram::kMost);
    const int64_t found = h.Quantile(0.5);
    EXPECT_GE(found, value);
    EXPECT_LE(static_cast<double>(found - value), static_cast<double>(value) / 64);
  }
}

TEST(HistogramTest, OutOfRangeIsClamped) {
  Histogram h;
  h.Add(-5);
  EXPECT_EQ(h.max_ns(), 0);
  h.Add(Histogram::kMost + 17);
  EXPECT_EQ(h.max_ns(), Histogram::kMost);
  EXPECT_EQ(h.count(), 2U);
}

TEST(HistogramTest, QuantilesOfRandomValuesAreThoseOfTheSortedList) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(13, 1.5);
  std::vector<int64_t> values;
  Histogram h;
  Histogram halves[2];
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<int64_t>(latency(random)));
    h.Add(values.back());
    halves[i % 2].Add(values.back());
  }
  std::sort(values.begin(), values.end());
  halves[0].Merge(halves[1]);
  for (double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(share * 20'000)) - 1;
    const auto exact = static_cast<double>(values[rank]);
    EXPECT_NEAR(static_cast<double>(h.Quantile(share)), exact, exact / 64) << share;
    EXPECT_EQ(halves[0].Quantile(share), h.Quantile(share));
  }
  EXPECT_EQ(halves[0].count(), h.count());
  EXPECT_NEAR(halves[0].mean_ns(), h.mean_ns(), 1);
}

}  // namespace
}  // namespace jetd::bench
