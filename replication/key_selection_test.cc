// SPDX-License-Identifier: Apache-2.0
#include "replication/key_selection.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::replication {
namespace {

using Range = KeySelection::Range;
const std::string kZero("\0", 1);

TEST(KeySelectionTest, AllKeys) {
  const auto all = KeySelection::Make({}, {});
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE(all->all());
  EXPECT_TRUE(all->Matches("anything"));
  EXPECT_EQ(all->Ranges(), (std::vector<Range>{{kZero, kZero}}));
  EXPECT_EQ(all->Text(), "all keys");
  EXPECT_EQ(all->Flags(), "");
}

TEST(KeySelectionTest, TheKeysOfANamespace) {
  const auto web = KeySelection::Make({}, {"web"});
  ASSERT_TRUE(web.ok());
  for (const char* key :
       {"/registry/namespaces/web", "/registry/pods/web/a", "/registry/events/web/a.17",
        "/registry/services/specs/web/a", "/registry/services/endpoints/web/a",
        "/registry/example.com/widgets/web/a", "/registry/leases/web/a"}) {
    EXPECT_TRUE(web->Matches(key)) << key;
  }
  for (const char* key :
       {"/registry/namespaces/web2", "/registry/pods/web", "/registry/minions/web",
        "/registry/pods/other/web", "/registry/pods/webs/a", "/registry/example.com/web/a",
        "/registry/services/specs/other/web", "/registry/a/b/c/web/d", "/other/pods/web/a", "web",
        "/registry/", ""}) {
    EXPECT_FALSE(web->Matches(key)) << key;
  }
  EXPECT_EQ(web->Ranges(), (std::vector<Range>{{"/registry/", "/registry0"}}));
  EXPECT_EQ(web->Text(), "keys of namespace web");
  EXPECT_EQ(web->Flags(), " --namespace=web");
}

TEST(KeySelectionTest, RangesHoldAllAndDoNotOverlap) {
  const auto some = KeySelection::Make({"/registry/pods/", "/b", "/a", "/ab"}, {"web"});
  ASSERT_TRUE(some.ok());
  EXPECT_EQ(some->Ranges(), (std::vector<Range>{{"/a", "/c"}, {"/registry/", "/registry0"}}));
  const auto end = KeySelection::Make({"\xff\xff", "x", "\xff"}, {});
  EXPECT_EQ(end->Ranges(), (std::vector<Range>{{"x", "y"}, {"\xff", kZero}}));
  EXPECT_TRUE(end->Matches("\xff\x01"));
  EXPECT_FALSE(end->Matches("y"));
}

TEST(KeySelectionTest, Mistakes) {
  EXPECT_TRUE(absl::IsInvalidArgument(KeySelection::Make({""}, {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(KeySelection::Make({}, {""}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(KeySelection::Make({}, {"a/b"}).status()));
}

TEST(KeySelectionTest, EndsOfPrefixes) {
  EXPECT_EQ(EndOfPrefix("a"), "b");
  EXPECT_EQ(EndOfPrefix("a\xff"), "b");
  EXPECT_EQ(EndOfPrefix("\x7f"), "\x80");
  EXPECT_EQ(EndOfPrefix("\xff"), kZero);
}

TEST(KeySelectionTest, WordsOfAShell) {
  EXPECT_EQ(ShellWord("/a-b_c.d:1,2@x=y"), "/a-b_c.d:1,2@x=y");
  EXPECT_EQ(ShellWord("a b"), "'a b'");
  EXPECT_EQ(ShellWord("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellWord(""), "''");
}

}  // namespace
}  // namespace jetd::replication
