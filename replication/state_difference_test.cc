// SPDX-License-Identifier: Apache-2.0
#include "replication/state_difference.h"

#include <string>

#include "gtest/gtest.h"

namespace jetd::replication {
namespace {

using revision::KvBlock;
using revision::KvRef;

KvRef Key(std::string_view key, std::string_view value, int64_t create, int64_t mod,
          int64_t lease = 0) {
  return KvBlock::Make({.key = key,
                        .value = value,
                        .mod = {Revision(mod), 0},
                        .create_revision = Revision(create),
                        .version = create == mod ? 1 : 2,
                        .lease = LeaseId(lease)});
}

std::string TextOf(const Difference& difference) {
  std::string text;
  for (const KeyChange& change : difference.changes) {
    text += change.key + (change.wanted ? "=" + std::string(change.wanted->value()) : " deleted") +
            " if " + std::to_string(change.now.value()) +
            (change.lease == LeaseId{} ? "" : " on " + std::to_string(change.lease.value())) + "\n";
  }
  return text;
}

TEST(StateDifferenceTest, OldestFirstAndDeletionsInTheEndNewestFirst) {
  BucketState wanted, now;
  wanted.keys = {Key("pod", "p", 7, 7), Key("set", "s", 5, 8), Key("ns", "n", 3, 3),
                 Key("same", "x", 4, 4)};
  now.keys = {Key("set", "changed", 5, 20), Key("same", "x", 21, 22), Key("new1", "1", 30, 31),
              Key("new2", "2", 32, 32)};
  const Difference difference = DifferenceOf(wanted, now, *KeySelection::Make({}, {}));
  EXPECT_EQ(TextOf(difference),
            "ns=n if 0\nset=s if 20\npod=p if 0\nnew2 deleted if 32\nnew1 deleted if 31\n");
  EXPECT_EQ(difference.added, 2U);
  EXPECT_EQ(difference.changed, 1U);
  EXPECT_EQ(difference.deleted, 2U);
  EXPECT_EQ(difference.same, 1U);
  EXPECT_EQ(difference.bytes, 3U + 4U + 4U);
}

TEST(StateDifferenceTest, OnlyWhatIsSelected) {
  BucketState wanted, now;
  wanted.keys = {Key("/a/1", "1", 2, 2), Key("/b/1", "1", 3, 3)};
  now.keys = {Key("/a/2", "2", 4, 4), Key("/b/2", "2", 5, 5)};
  EXPECT_EQ(TextOf(DifferenceOf(wanted, now, *KeySelection::Make({"/a/"}, {}))),
            "/a/1=1 if 0\n/a/2 deleted if 4\n");
}

TEST(StateDifferenceTest, LeasesThatAreGoneAreNotAttachedAgain) {
  BucketState wanted, now;
  wanted.keys = {Key("gone", "1", 2, 2, 7), Key("there", "2", 3, 3, 8), Key("off", "3", 4, 4, 7),
                 Key("on", "4", 5, 5, 8)};
  now.keys = {Key("off", "3", 4, 9), Key("on", "4", 5, 10)};
  now.leases = {{LeaseId(8), 60}};
  const Difference difference = DifferenceOf(wanted, now, *KeySelection::Make({}, {}));
  // `off` is as it would be put: nothing to do.
  EXPECT_EQ(TextOf(difference), "gone=1 if 0\nthere=2 if 0 on 8\non=4 if 10 on 8\n");
  EXPECT_EQ(difference.unleased, 1U);
  EXPECT_EQ(difference.same, 1U);
}

}  // namespace
}  // namespace jetd::replication
