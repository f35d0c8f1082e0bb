// SPDX-License-Identifier: Apache-2.0
// HashKV against numbers that an etcd 3.5.30 gave (etcdctl endpoint hashkv --rev) for the history
// below, made at random: puts, deletes of keys and ranges, transactions, a lease, compactions.
#include "revision/hash_kv.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "revision/store.h"

namespace jetd::revision {
namespace {

// What `a`, `b` and `number` are:
//   kPut      key, size of the value, lease
//   kDelete   key, end
//   kTxn      a put "t1", b deleted, "t" put "t2"
//   kGrant    number: the lease
//   kCompact  number: the revision
//   kHash     number: the revision asked for; then etcd's answer
struct Step {
  enum class Kind { kPut, kDelete, kTxn, kGrant, kCompact, kHash };
  Kind kind;
  size_t a = 0;
  size_t b = 0;
  int64_t number = 0;
  uint32_t hash = 0;
  int64_t compact_revision = 0;
};
using Kind = Step::Kind;

const std::array<std::string, 6> kKeys = {"a", "a/b", "a/c", "b", "\xff", std::string(130, 'k')};
const std::array<std::string, 3> kEnds = {"", std::string(1, '\0'), "b"};

constexpr Step kHistory[] = {
    {Kind::kCompact, 0, 0, 1},
    {Kind::kHash, 0, 0, 0, 1084519789U, 1},
    {Kind::kDelete, 5, 1, 0},
    {Kind::kHash, 0, 0, 0, 1084519789U, 1},
    {Kind::kDelete, 4, 2, 0},
    {Kind::kHash, 0, 0, 0, 1084519789U, 1},
    {Kind::kGrant, 0, 0, 4661},
    {Kind::kTxn, 4, 2, 0},
    {Kind::kPut, 2, 0, 0},
    {Kind::kCompact, 0, 0, 3},
    {Kind::kPut, 4, 1, 0},
    {Kind::kHash, 0, 0, 0, 4095629961U, 3},
    {Kind::kPut, 1, 3, 4661},
    {Kind::kPut, 3, 200, 4661},
    {Kind::kCompact, 0, 0, 5},
    {Kind::kTxn, 3, 1, 0},
    {Kind::kPut, 5, 200, 4661},
    {Kind::kPut, 3, 3, 4661},
    {Kind::kTxn, 3, 2, 0},
    {Kind::kCompact, 0, 0, 9},
    {Kind::kCompact, 0, 0, 10},
    {Kind::kPut, 2, 200, 0},
    {Kind::kPut, 2, 0, 0},
    {Kind::kCompact, 0, 0, 12},
    {Kind::kHash, 0, 0, 0, 968894060U, 12},
    {Kind::kPut, 1, 0, 4661},
    {Kind::kHash, 0, 0, 0, 4212800322U, 12},
    {Kind::kHash, 0, 0, 13, 4212800322U, 12},
    {Kind::kPut, 1, 0, 0},
    {Kind::kTxn, 0, 2, 0},
    {Kind::kPut, 0, 0, 0},
    {Kind::kPut, 5, 0, 0},
    {Kind::kHash, 0, 0, 0, 1623705502U, 12},
    {Kind::kHash, 0, 0, 13, 4212800322U, 12},
    {Kind::kDelete, 4, 2, 0},
    {Kind::kHash, 0, 0, 0, 1623705502U, 12},
    {Kind::kHash, 0, 0, 16, 2738706129U, 12},
    {Kind::kPut, 1, 1, 0},
    {Kind::kHash, 0, 0, 0, 2460991110U, 12},
    {Kind::kHash, 0, 0, 16, 2738706129U, 12},
    {Kind::kDelete, 5, 0, 0},
    {Kind::kHash, 0, 0, 0, 866097414U, 12},
    {Kind::kHash, 0, 0, 19, 866097414U, 12},
    {Kind::kPut, 3, 0, 0},
    {Kind::kTxn, 5, 1, 0},
    {Kind::kPut, 5, 3, 0},
    {Kind::kHash, 0, 0, 0, 3033647108U, 12},
    {Kind::kHash, 0, 0, 14, 3938122083U, 12},
    {Kind::kPut, 3, 200, 4661},
    {Kind::kHash, 0, 0, 0, 2972766390U, 12},
    {Kind::kHash, 0, 0, 17, 1623705502U, 12},
    {Kind::kPut, 4, 200, 4661},
    {Kind::kHash, 0, 0, 0, 1548425692U, 12},
    {Kind::kHash, 0, 0, 20, 4218699100U, 12},
    {Kind::kCompact, 0, 0, 24},
    {Kind::kHash, 0, 0, 0, 2759657222U, 24},
    {Kind::kPut, 0, 200, 4661},
    {Kind::kHash, 0, 0, 0, 2994552154U, 24},
    {Kind::kCompact, 0, 0, 25},
    {Kind::kHash, 0, 0, 0, 2994552154U, 25},
    {Kind::kPut, 4, 3, 0},
    {Kind::kPut, 0, 1, 0},
    {Kind::kPut, 4, 0, 0},
    {Kind::kHash, 0, 0, 0, 832239108U, 25},
    {Kind::kPut, 1, 0, 0},
    {Kind::kHash, 0, 0, 0, 930441947U, 25},
    {Kind::kHash, 0, 0, 28, 832239108U, 25},
    {Kind::kPut, 4, 200, 0},
    {Kind::kTxn, 1, 3, 0},
    {Kind::kPut, 4, 0, 0},
    {Kind::kPut, 0, 200, 0},
    {Kind::kHash, 0, 0, 0, 476479478U, 25},
    {Kind::kHash, 0, 0, 26, 3796809917U, 25},
    {Kind::kDelete, 2, 2, 0},
    {Kind::kPut, 0, 200, 0},
    {Kind::kHash, 0, 0, 0, 1256388023U, 25},
    {Kind::kHash, 0, 0, 28, 832239108U, 25},
    {Kind::kTxn, 5, 0, 0},
    {Kind::kPut, 5, 200, 0},
    {Kind::kHash, 0, 0, 0, 2820008236U, 25},
    {Kind::kHash, 0, 0, 34, 1256388023U, 25},
    {Kind::kDelete, 0, 1, 0},
    {Kind::kHash, 0, 0, 0, 1261984760U, 25},
    {Kind::kHash, 0, 0, 29, 930441947U, 25},
    {Kind::kCompact, 0, 0, 37},
    {Kind::kPut, 4, 3, 0},
    {Kind::kPut, 2, 200, 0},
    {Kind::kHash, 0, 0, 0, 596911942U, 37},
    {Kind::kPut, 2, 200, 0},
    {Kind::kPut, 5, 200, 0},
    {Kind::kPut, 2, 200, 0},
    {Kind::kPut, 4, 200, 4661},
    {Kind::kTxn, 3, 2, 0},
    {Kind::kPut, 4, 3, 4661},
    {Kind::kDelete, 0, 2, 0},
    {Kind::kHash, 0, 0, 0, 2520270969U, 37},
    {Kind::kHash, 0, 0, 38, 3877970239U, 37},
    {Kind::kPut, 1, 1, 0},
    {Kind::kHash, 0, 0, 0, 1107508336U, 37},
    {Kind::kHash, 0, 0, 38, 3877970239U, 37},
};

void Write(const Step& step, Store* store) {
  const StreamSeq seq(1);
  store->Begin();
  switch (step.kind) {
    case Kind::kPut:
      store->Put(kKeys[step.a], std::string(step.b, 'v'), LeaseId(step.number), seq);
      break;
    case Kind::kDelete:
      store->Delete({kKeys[step.a], kEnds[step.b]}, seq);
      break;
    case Kind::kTxn:
      store->Put(kKeys[step.a], "t1", LeaseId(), seq);
      store->Delete({kKeys[step.b], ""}, seq);
      store->Put("t", "t2", LeaseId(), seq);
      break;
    case Kind::kGrant:
      store->GrantLease(LeaseId(step.number), 3600);
      break;
    case Kind::kCompact:
    case Kind::kHash:
      break;
  }
  if (store->End()) store->CommitOldest();
}

TEST(HashKvTest, GivesEtcdsNumbers) {
  Store store;
  for (const Step& step : kHistory) {
    if (step.kind == Kind::kCompact) {
      // The number must not depend on how far the compactor has come.
      store.StartCompact(Revision(step.number));
      Store::Garbage garbage;
      store.CompactStep(3, &garbage);
      continue;
    }
    if (step.kind != Kind::kHash) {
      Write(step, &store);
      continue;
    }
    const auto got = store.HashKv(Revision(step.number));
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->hash, step.hash) << "revision " << got->revision;
    EXPECT_EQ(got->compact_revision, Revision(step.compact_revision));
  }
}

}  // namespace
}  // namespace jetd::revision
