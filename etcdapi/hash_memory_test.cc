// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/hash_memory.h"

#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

// Revisions 2 to 40 put two keys in turn.
class HashMemoryTest : public testing::Test {
 protected:
  HashMemoryTest() {
    for (uint64_t r = 2; r <= 40; ++r) {
      store_.Begin();
      store_.Put(r % 3 == 0 ? "a" : "b", "v", LeaseId{}, StreamSeq{r});
      EXPECT_TRUE(store_.End());
      store_.CommitOldest();
    }
  }

  void Compact(int64_t revision) {
    store_.Compact(Revision{revision});
    memory_.OnCompacted(Revision{revision});
  }
  uint32_t Hash(int64_t revision) {
    const auto sum = memory_.HashKv(Revision{revision});
    EXPECT_TRUE(sum.ok()) << sum.status();
    return sum.ok() ? sum->hash : 0;
  }

  revision::Store store_;
  HashMemory memory_{&store_};
};

TEST_F(HashMemoryTest, ASumThatWasAskedForOutlivesTheCompaction) {
  const uint32_t before = Hash(12);
  Compact(12);
  EXPECT_NE(store_.HashKv(Revision{12})->hash, before);
  EXPECT_EQ(Hash(12), before);
  EXPECT_EQ(memory_.HashKv(Revision{12})->compact_revision, Revision{-1});
  Compact(15);
  EXPECT_EQ(Hash(12), before);  // also below the newest compaction
}

TEST_F(HashMemoryTest, ASumThatNobodyAskedForIsOfWhatIsLeft) {
  Hash(11);
  Compact(12);
  EXPECT_EQ(memory_.HashKv(Revision{12})->compact_revision, Revision{12});
  Compact(15);
  EXPECT_FALSE(memory_.HashKv(Revision{11}).ok());
  EXPECT_FALSE(memory_.HashKv(Revision{12}).ok());
}

TEST_F(HashMemoryTest, ASumIsOfTheCompactionBeforeIt) {
  const uint32_t first = Hash(18);
  Compact(12);
  const uint32_t second = Hash(18);
  EXPECT_NE(second, first);
  Compact(18);
  EXPECT_EQ(Hash(18), second);
  EXPECT_EQ(memory_.HashKv(Revision{18})->compact_revision, Revision{12});
}

TEST_F(HashMemoryTest, TheNewestTenAreKept) {
  for (int64_t r = 11; r <= 22; ++r) {
    Hash(r);
    Compact(r);
  }
  EXPECT_FALSE(memory_.HashKv(Revision{12}).ok());
  EXPECT_TRUE(memory_.HashKv(Revision{13}).ok());
  for (int64_t r = 23; r <= 29; ++r) Compact(r);
  EXPECT_FALSE(memory_.HashKv(Revision{19}).ok());
  EXPECT_TRUE(memory_.HashKv(Revision{20}).ok());
  memory_.OnLeading(Term{2});
  EXPECT_FALSE(memory_.HashKv(Revision{20}).ok());
}

}  // namespace
}  // namespace jetd::etcdapi
