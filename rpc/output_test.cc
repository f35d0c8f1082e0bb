// SPDX-License-Identifier: Apache-2.0
#include "rpc/output.h"

#include <array>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::rpc {
namespace {

class OutputTest : public ::testing::Test {
 protected:
  // Writes `step` bytes at a time, never more than `most` pieces.
  std::string WriteAll(size_t step, int most) {
    std::string all;
    while (!output_.empty()) {
      std::array<iovec, 8> pieces{};
      const int count = output_.Pieces(pieces.data(), most);
      std::string offered;
      for (int i = 0; i < count; ++i) {
        const iovec& piece = pieces[static_cast<size_t>(i)];
        offered.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
      }
      const size_t taken = std::min(step, offered.size());
      all += offered.substr(0, taken);
      output_.Advance(taken);
    }
    return all;
  }

  std::vector<char> spare_;
  Output output_{&spare_};
};

TEST_F(OutputTest, CopiedAndSharedBytesInOrder) {
  std::string large(5'000, 'x');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i % 26);
  for (const size_t step : {size_t{1}, size_t{7}, size_t{4'999}, size_t{100'000}}) {
    for (const int most : {1, 2, 8}) {
      output_.Append("head ");
      output_.Append(Slice::Copy(large));
      output_.Append(Slice::Copy(large).Sub(10, 4'000));
      output_.Append(" between ");
      output_.Append(Slice::Copy("small"));
      output_.Append(Slice::Copy(large));
      EXPECT_EQ(output_.size(), 5U + 5'000 + 3'990 + 9 + 5 + 5'000);
      EXPECT_EQ(output_.copied_bytes(), 19U);
      EXPECT_EQ(WriteAll(step, most),
                "head " + large + large.substr(10, 3'990) + " between small" + large);
    }
  }
}

TEST_F(OutputTest, WhatIsBegunIsKnown) {
  output_.Append("hello");
  EXPECT_FALSE(output_.begun());
  output_.Advance(2);
  EXPECT_TRUE(output_.begun());
  output_.Advance(3);
  EXPECT_FALSE(output_.begun());
}

TEST_F(OutputTest, TheBufferGoesBackWhereNothingWaits) {
  output_.Append("hello");
  EXPECT_EQ(spare_.capacity(), 0U);
  output_.Advance(5);
  EXPECT_GT(spare_.capacity(), 0U);
  const char* const memory = spare_.data();
  output_.Append("again");
  iovec piece{};
  ASSERT_EQ(output_.Pieces(&piece, 1), 1);
  EXPECT_EQ(piece.iov_base, memory);
}

// Users of a block that is only counted.
int refs = 0;
TEST_F(OutputTest, ASharedPieceIsHeldUntilItIsWritten) {
  static constexpr Slice::Counting kCounting{.ref = [](void*) { ++refs; },
                                             .unref = [](void*) { --refs; }};
  const std::string value(3'000, 'v');
  refs = 1;
  output_.Append(Slice(value, &refs, &kCounting));
  EXPECT_EQ(refs, 1);
  output_.Append("behind");
  output_.Advance(2'999);
  EXPECT_EQ(refs, 1);
  output_.Advance(1);
  EXPECT_EQ(refs, 0);
  EXPECT_EQ(output_.size(), 6U);
}

}  // namespace
}  // namespace jetd::rpc
