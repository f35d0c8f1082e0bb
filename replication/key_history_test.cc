// SPDX-License-Identifier: Apache-2.0
#include "replication/key_history.h"

#include <string>

#include "gtest/gtest.h"

namespace jetd::replication {
namespace {

class KeyHistoryTest : public ::testing::Test {
 protected:
  std::string Put(int64_t revision, int64_t create, int64_t version) {
    const jetstream::RecordHeader header{
        .revision = Revision(revision), .create_revision = Revision(create), .version = version};
    return keys_.Apply("k", header, StreamSeq(++seq_), /*is_delete=*/false, compacted_).wrong;
  }
  std::string Delete(int64_t revision, int64_t version = 0) {
    const jetstream::RecordHeader header{.revision = Revision(revision), .version = version};
    return keys_.Apply("k", header, StreamSeq(++seq_), /*is_delete=*/true, compacted_).wrong;
  }

  KeyHistory keys_;
  Revision compacted_;
  uint64_t seq_ = 0;
};

TEST_F(KeyHistoryTest, AnOrderlyLife) {
  EXPECT_EQ(Put(2, 2, 1), "");
  EXPECT_EQ(Put(3, 2, 2), "");
  EXPECT_EQ(Delete(4), "");
  EXPECT_EQ(keys_.live(), 0U);
  // One transaction may delete a key and put it again.
  EXPECT_EQ(Put(4, 4, 1), "");
  EXPECT_EQ(Delete(7), "");
  EXPECT_EQ(Put(9, 9, 1), "");
  EXPECT_EQ(keys_.live(), 1U);
  EXPECT_EQ(keys_.Find("k")->seq, StreamSeq(6));
}

TEST_F(KeyHistoryTest, NumbersThatCannotBe) {
  EXPECT_EQ(Put(5, 6, 2), "created at 6, changed at 5");
  EXPECT_EQ(Put(6, 6, 2), "version 2, created at 6, changed at 6");
  EXPECT_EQ(Put(7, 6, 1), "version 1, created at 6, changed at 7");
  EXPECT_EQ(Put(8, 6, 4), "version 4 at revision 8, created at 6");
  EXPECT_EQ(Put(9, 9, 0), "a value without a version");
  EXPECT_EQ(Delete(10, 3), "a delete with a version or a lease");
}

TEST_F(KeyHistoryTest, AboveTheCompactRevisionNothingMayBeMissing) {
  EXPECT_EQ(Put(5, 2, 3), "version 3, and the one before it is missing");
  EXPECT_EQ(Put(7, 2, 5), "version 5 follows version 3");
  EXPECT_EQ(Put(8, 4, 5), "version 5 follows version 5");
  EXPECT_EQ(Put(9, 3, 6), "created at 3, the version before it at 4");
  EXPECT_EQ(Put(10, 10, 1), "made anew, and it was there since revision 3");
  EXPECT_EQ(Delete(11), "");
  EXPECT_EQ(Delete(12), "deleted, and it was not there");
}

TEST_F(KeyHistoryTest, BelowItPartsMayBeGone) {
  compacted_ = Revision(20);
  EXPECT_EQ(Put(5, 2, 3), "");
  EXPECT_EQ(Put(9, 2, 6), "");
  EXPECT_EQ(Put(10, 2, 6), "version 6 follows version 6");
  EXPECT_EQ(Put(11, 11, 1), "") << "its delete marker is gone";
  EXPECT_EQ(Put(12, 9, 2), "created at 9, and a version of 11 is of another life of the key");
  EXPECT_EQ(Delete(15), "");
  EXPECT_EQ(Delete(19), "") << "what was put between is gone";
  // The newest at the compact revision is there, so here nothing is missing.
  EXPECT_EQ(Put(22, 18, 2), "version 2, and the one before it is missing");
}

}  // namespace
}  // namespace jetd::replication
