// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <string>

#include "gtest/gtest.h"

namespace jetd::cli {
namespace {

TEST(TableTest, ColumnsAreAsWideAsWhatIsInThem) {
  Table table({"A", "LONGER", "C"});
  table.Add({"1234", "", "x"});
  table.Add({"…", "2", ""});
  EXPECT_EQ(table.ToText(),
            "A     LONGER  C\n"
            "1234          x\n"
            "…     2\n");
}

TEST(TableTest, Bytes) {
  EXPECT_EQ(Printable("a\xff\n"), "a\\xff\\n");
  EXPECT_EQ(Printable("a\xff"
                      "0\\"),
            "a\\xff0\\\\");
  EXPECT_EQ(Printable(R"({"it's":1})"), R"({"it's":1})");
  EXPECT_EQ(Printable("abcdef", 3), "abc…");
  EXPECT_EQ(Printable("abc", 3), "abc");
  EXPECT_EQ(Base64("hello"), "aGVsbG8=");
}

}  // namespace
}  // namespace jetd::cli
