// SPDX-License-Identifier: Apache-2.0
#include "revision/voids.h"

#include <cstdint>
#include <random>
#include <set>

#include "gtest/gtest.h"

namespace jetd::revision {
namespace {

using jetstream::SeqRange;

SeqRange Range(uint64_t first, uint64_t last) { return {StreamSeq(first), StreamSeq(last)}; }

TEST(VoidsTest, JoinsWhatOverlapsAndWhatTouches) {
  Voids voids;
  voids.Add({Range(3, 5), Range(9, 9), Range(4, 7)});
  EXPECT_EQ(voids.ranges(), (Voids::Ranges{Range(3, 7), Range(9, 9)}));
  voids.Add(Range(8, 8));
  EXPECT_EQ(voids.ranges(), (Voids::Ranges{Range(3, 9)}));
  voids.Add(Range(1, 1));
  EXPECT_EQ(voids.first(), StreamSeq(1));
  voids.Add(Range(2, UINT64_MAX));
  EXPECT_EQ(voids.ranges(), (Voids::Ranges{Range(1, UINT64_MAX)}));
}

TEST(VoidsTest, DropsWholeRanges) {
  Voids voids;
  voids.Add({Range(3, 5), Range(7, 9)});
  voids.DropUpTo(StreamSeq(8));
  EXPECT_EQ(voids.ranges(), (Voids::Ranges{Range(7, 9)}));
  voids.DropUpTo(StreamSeq(9));
  EXPECT_TRUE(voids.empty());
  EXPECT_EQ(voids.first(), StreamSeq(0));
  voids.Add(Range(5, 4));
  EXPECT_TRUE(voids.empty());
}

TEST(VoidsTest, ContainsWhatASetOfSequencesDoes) {
  constexpr uint64_t kMost = 40;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    Voids voids;
    std::set<uint64_t> naive;
    for (int i = 0; i < 12; ++i) {
      const uint64_t first = 1 + random() % kMost;
      const uint64_t last = first + random() % 6;
      voids.Add(Range(first, last));
      for (uint64_t seq = first; seq <= last; ++seq) naive.insert(seq);
      for (uint64_t seq = 0; seq <= kMost + 8; ++seq) {
        ASSERT_EQ(voids.Contains(StreamSeq(seq)), naive.count(seq) > 0)
            << "seed " << seed << ", sequence " << seq;
      }
      uint64_t end = 0;
      for (const SeqRange& range : voids.ranges()) {
        ASSERT_GT(range.first.value(), end + (end == 0 ? 0 : 1)) << "seed " << seed;
        end = range.last.value();
      }
    }
  }
}

}  // namespace
}  // namespace jetd::revision
