// SPDX-License-Identifier: Apache-2.0
//
// An index that is filled without order. That it answers as a map does otherwise is
// store_model_test's matter.
#include "revision/key_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace jetd::revision {
namespace {

using Keys = std::vector<std::string>;

class KeyIndexTest : public testing::Test {
 protected:
  KeyIndexTest() { index_.Unorder(); }
  const KvBlock* Push(const std::string& key) {
    return index_.Push(index_.Find(key), KvBlock::Make({.key = key, .mod = {Revision(++mod_), 0}}));
  }
  [[nodiscard]] Keys All() const {
    Keys keys;
    index_.Visit({.key = {}, .end = std::string_view("\0", 1)}, [&](const KeyIndex::Entry& entry) {
      keys.emplace_back(entry.key());
      return true;
    });
    return keys;
  }

  KeyIndex index_;
  int64_t mod_ = 1;
};

TEST_F(KeyIndexTest, OrderComesWhenItIsAskedFor) {
  for (const char* key : {"b", "a", "c"}) Push(key);
  const KvBlock* newest = Push("b");
  EXPECT_EQ(index_.size(), 3U);
  EXPECT_EQ(index_.Find("b")->newest(), newest);
  EXPECT_EQ(index_.Find("d"), nullptr);
  EXPECT_EQ(All(), (Keys{"a", "b", "c"}));
  EXPECT_EQ(index_.Find("b")->newest(), newest);
  EXPECT_EQ(index_.stats().versions, 4U);
}

TEST_F(KeyIndexTest, VersionsGoWithoutOrderToo) {
  Push("a");
  const KvBlock* oldest = KeyIndex::Older(Push("a"));
  const KvBlock* only = Push("b");
  index_.DropOldest(oldest);
  index_.Pop(only);
  EXPECT_EQ(index_.size(), 1U);
  EXPECT_EQ(index_.stats().versions, 1U);
  EXPECT_EQ(All(), (Keys{"a"}));
}

TEST_F(KeyIndexTest, AnEmptyOneHasAnOrderToo) {
  EXPECT_TRUE(All().empty());
  Push("a");
  EXPECT_EQ(All(), (Keys{"a"}));
}

TEST_F(KeyIndexTest, IsFreedWithoutOrder) {
  Push("a");
  Push("a");
}

// Keys that share long beginnings, end within each other, and hold zeros and bytes above 127.
TEST_F(KeyIndexTest, TheOrderIsThatOfBytes) {
  std::mt19937_64 random(3);
  std::set<std::string> all;
  const std::string alphabet("\0\1a\xff", 4);
  while (all.size() < 5'000) {
    std::string key(random() % 3 * 8, 'p');
    for (uint64_t n = random() % 20; n > 0; --n) key.push_back(alphabet[random() % 4]);
    if (random() % 50 == 0) key += std::string(2'000, 'x') + std::to_string(random() % 100);
    all.insert(key);
  }
  Keys shuffled(all.begin(), all.end());
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  for (const std::string& key : shuffled) Push(key);
  EXPECT_EQ(All(), Keys(all.begin(), all.end()));
}

}  // namespace
}  // namespace jetd::revision
