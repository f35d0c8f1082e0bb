// SPDX-License-Identifier: Apache-2.0
#include "base/strings.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace jetd {
namespace {

TEST(StringsTest, CatJoinsEveryKindOfPiece) {
  const std::string text = "text";
  const std::string_view view = "view";
  EXPECT_EQ(Cat(text, '/', view, " ", 7, " ", true, " ", false, " ", 0.25),
            "text/view 7 true false 0.25");
  EXPECT_EQ(Cat(), "");
}

TEST(StringsTest, CatWritesTheEndsOfTheIntegerRanges) {
  EXPECT_EQ(Cat(std::numeric_limits<int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(Cat(std::numeric_limits<uint64_t>::max()), "18446744073709551615");
}

TEST(StringsTest, CatKeepsZeroBytes) {
  EXPECT_EQ(Cat(std::string_view("a\0b", 3)), std::string("a\0b", 3));
}

TEST(StringsTest, StatusMessagesGoInAndOut) {
  const absl::Status status = MakeStatus(absl::StatusCode::kNotFound, "bucket ", 3, " gone");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(MessageOf(status), "bucket 3 gone");
}

TEST(StringsTest, AbslViewsKeepBytesAndLength) {
  const std::string_view text("a\0b", 3);
  EXPECT_EQ(FromAbsl(ToAbsl(text)), text);
}

TEST(StringsTest, HexOfWritesTwoDigitsForEachByte) {
  EXPECT_EQ(HexOf(std::string_view("\x00\x0a\xff", 3)), "000aff");
  EXPECT_EQ(HexOf(""), "");
}

}  // namespace
}  // namespace jetd
