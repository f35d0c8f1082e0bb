// SPDX-License-Identifier: Apache-2.0
#include "bench/key_space.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace jetd::bench {
namespace {

TEST(PrefixEndTest, IsTheNextPrefix) {
  EXPECT_EQ(PrefixEnd("/a/"), "/a0");
  EXPECT_EQ(PrefixEnd("a\xff\xff"), "b");
}

TEST(ValueMakerTest, ValuesTellTheirKeyAndTime) {
  const ValueMaker values;
  std::string value;
  for (size_t size : {ValueMaker::kLeast, size_t{1024}, ValueMaker::kMost}) {
    values.Make(123456789, 42, size, &value);
    EXPECT_EQ(value.size(), size);
    EXPECT_EQ(values.DueOf(value, 42), 123456789);
    EXPECT_EQ(ValueMaker::StampOf(value), 123456789);
    EXPECT_FALSE(values.DueOf(value, 43).has_value());
  }
}

TEST(ValueMakerTest, EveryDamagedByteIsSeen) {
  const ValueMaker values;
  std::string value;
  values.Make(77, 5, 64, &value);
  for (size_t i = 0; i < value.size(); ++i) {
    std::string damaged = value;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(values.DueOf(damaged, 5).has_value()) << i;
  }
  EXPECT_FALSE(values.DueOf("short", 5).has_value());
}

TEST(ValueMakerTest, ValuesDiffer) {
  const ValueMaker values;
  std::string one;
  std::string other;
  values.Make(1, 1, 100, &one);
  values.Make(2, 1, 100, &other);
  EXPECT_NE(one.substr(ValueMaker::kLeast), other.substr(ValueMaker::kLeast));
}

TEST(KeySpaceTest, NamesAreReversible) {
  const KeySpace keys("/registry/pods/");
  std::set<std::string> names;
  for (int64_t index : {0, 1, 99, 100, 12'345'678}) {
    const std::string name = keys.NameOf(index);
    EXPECT_EQ(keys.IndexOf(name), index);
    EXPECT_TRUE(name.starts_with(keys.NamespacePrefix(static_cast<int>(index % 100)))) << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), 5U);
  EXPECT_FALSE(keys.IndexOf("/registry/nodes/a-00000001").has_value());
  EXPECT_FALSE(keys.IndexOf("/registry/pods/kube-system/web").has_value());
}

TEST(KeySpaceTest, CountsWhatIsThere) {
  KeySpace keys("/p/");
  EXPECT_EQ(keys.RevisionOf(7), 0);
  keys.SetRevision(7, 30);
  keys.SetRevision(2, 31);
  keys.SetRevision(7, 32);
  EXPECT_EQ(keys.live(), 2);
  EXPECT_EQ(keys.end(), 8);
  keys.SetRevision(7, 0);
  keys.SetRevision(3, 0);
  EXPECT_EQ(keys.live(), 1);
  EXPECT_EQ(keys.RevisionOf(2), 31);
}

}  // namespace
}  // namespace jetd::bench
