// SPDX-License-Identifier: Apache-2.0
#include "revision/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace jetd::revision {
namespace {

// Both values: RFC 3720, appendix B.4 and the CRC catalogue's check value.
TEST(Crc32cTest, GivesTheKnownValues) {
  EXPECT_EQ(ExtendCrc32c(0, "123456789"), 0xe3069283U);
  EXPECT_EQ(ExtendCrc32c(0, std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(ExtendCrc32c(0, ""), 0U);
}

TEST(Crc32cTest, InstructionAndTableAgreeOnEverySplit) {
  std::string text;
  for (int i = 0; i < 100; ++i) text.push_back(static_cast<char>(i * 37));
  const uint32_t whole = crc32c_internal::ExtendByTable(0, text);
  for (size_t split = 0; split <= text.size(); ++split) {
    const uint32_t first = ExtendCrc32c(0, text.substr(0, split));
    EXPECT_EQ(first, crc32c_internal::ExtendByTable(0, text.substr(0, split)));
    EXPECT_EQ(ExtendCrc32c(first, text.substr(split)), whole) << split;
  }
}

}  // namespace
}  // namespace jetd::revision
