// SPDX-License-Identifier: Apache-2.0
#include "replication/bucket_state.h"

#include <string>

#include "base/limits.h"
#include "gtest/gtest.h"

namespace jetd::replication {
namespace {

using revision::KvBlock;
using revision::KvRef;

KvRef Key(std::string_view key, int64_t create, int64_t mod, int64_t version, int64_t lease = 0,
          uint32_t sub = 0) {
  return KvBlock::Make({.key = key,
                        .value = "v",
                        .mod = {Revision(mod), sub},
                        .create_revision = Revision(create),
                        .version = version,
                        .lease = LeaseId(lease)});
}

std::string TextOf(const BucketState& state) {
  std::string text;
  for (const KvRef& kv : state.keys) {
    text += std::string(kv->key()) + "@" + std::to_string(kv->mod_revision().value()) + "." +
            std::to_string(kv->mod().sub) + " created " +
            std::to_string(kv->create_revision().value()) + " version " +
            std::to_string(kv->version()) + " lease " + std::to_string(kv->lease().value()) + "\n";
  }
  return text;
}

TEST(BucketStateTest, WhatIsRightIsOrderedAndLeftAsItIs) {
  BucketState state{.revision = Revision(9), .newest = Revision(12)};
  state.keys = {Key("c", 3, 7, 2, 5, 2), Key("b", 7, 7, 1, 0, 1), Key("a", 2, 9, 4)};
  state.leases = {{LeaseId(6), 60}, {LeaseId(5), 30}};
  const auto mends = Mend(&state);
  ASSERT_TRUE(mends.ok()) << mends.status();
  EXPECT_EQ(mends->renumbered + mends->detached, 0U);
  EXPECT_EQ(TextOf(state),
            "b@7.1 created 7 version 1 lease 0\n"
            "c@7.2 created 3 version 2 lease 5\n"
            "a@9.0 created 2 version 4 lease 0\n");
  EXPECT_EQ(state.leases.front().id, LeaseId(5));
  EXPECT_EQ(state.revision, Revision(9));
  EXPECT_EQ(state.newest, Revision(12));
}

// An API tells no order within a revision; kine tells no versions, and begins at revision 1.
TEST(BucketStateTest, WhatOtherServersGiveIsMended) {
  BucketState state;
  state.keys = {Key("y", 4, 5, 0), Key("x", 5, 5, 0), Key("w", 1, 1, 0), Key("z", 0, 6, 99, 77)};
  const auto mends = Mend(&state);
  ASSERT_TRUE(mends.ok()) << mends.status();
  EXPECT_EQ(TextOf(state),
            "w@2.0 created 2 version 1 lease 0\n"
            "x@5.0 created 5 version 1 lease 0\n"
            "y@5.1 created 4 version 2 lease 0\n"
            "z@6.0 created 2 version 5 lease 0\n");
  EXPECT_EQ(mends->detached, 1U);
  EXPECT_GE(mends->renumbered, 3U);
  EXPECT_EQ(state.revision, Revision(6));
  EXPECT_EQ(state.newest, Revision(6));
  // Once is enough, and one key alone gets the same numbers.
  const uint32_t hash = HashOf(state);
  EXPECT_EQ(Mend(&state)->renumbered, 0U);
  EXPECT_EQ(HashOf(state), hash);
  EXPECT_EQ(MendedKey(Key("z", 0, 6, 99))->version(), 5);
}

TEST(BucketStateTest, LeasesThatCannotBeGrantedAreCut) {
  BucketState state;
  state.leases = {{LeaseId(1), 0}, {LeaseId(1), 5}, {LeaseId(2), INT64_MAX}};
  ASSERT_TRUE(Mend(&state).ok());
  ASSERT_EQ(state.leases.size(), 2U);
  EXPECT_EQ(state.leases[0].ttl_s, 1);
  EXPECT_EQ(state.leases[1].ttl_s, limits::kMaxLeaseTtlSeconds);
}

TEST(BucketStateTest, AKeyThatComesTwiceIsRefused) {
  BucketState state;
  state.keys = {Key("a", 2, 2, 1), Key("a", 2, 3, 2)};
  EXPECT_TRUE(absl::IsInvalidArgument(Mend(&state).status()));
  state.keys = {KvBlock::Make({.key = "a", .mod = {Revision(2), 0}, .tombstone = true})};
  EXPECT_TRUE(absl::IsInvalidArgument(Mend(&state).status()));
}

TEST(BucketStateTest, TheHashIsOfEveryNumberAndByte) {
  const BucketState empty;
  BucketState state;
  state.keys = {Key("a", 2, 3, 2)};
  const uint32_t hash = HashOf(state);
  EXPECT_NE(hash, HashOf(empty));
  for (const KvRef& other : {Key("b", 2, 3, 2), Key("a", 3, 3, 2), Key("a", 2, 4, 2),
                             Key("a", 2, 3, 1), Key("a", 2, 3, 2, 1), Key("a", 2, 3, 2, 0, 1)}) {
    state.keys = {other};
    EXPECT_NE(HashOf(state), hash);
  }
}

}  // namespace
}  // namespace jetd::replication
