// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/generator.h"

#include <set>
#include <string>
#include <vector>

#include "conformance/differential/lease_map.h"
#include "conformance/differential/mutant.h"
#include "gtest/gtest.h"

namespace jetd::conformance::differential {
namespace {

// Without answers the model stays empty; that is enough to see that a seed says all.
std::vector<std::string> Steps(uint64_t seed, int count) {
  Model model;
  Generator generator(seed, &model);
  std::vector<std::string> steps;
  for (int i = 0; i < count; ++i) steps.push_back(TextOf(generator.Next().call));
  return steps;
}

TEST(GeneratorTest, ASeedSaysAll) {
  EXPECT_EQ(Steps(1, 3000), Steps(1, 3000));
  EXPECT_NE(Steps(1, 100), Steps(2, 100));
}

TEST(GeneratorTest, KeysAreNestedAndOdd) {
  Random random(1);
  const Keyspace keys(&random);
  const std::set<std::string> all(keys.keys().begin(), keys.keys().end());
  EXPECT_EQ(all.size(), keys.keys().size());
  EXPECT_TRUE(all.contains(std::string(1, '\0')));
  EXPECT_TRUE(all.contains("_jetd.term"));
  EXPECT_FALSE(all.contains(""));
  int nested = 0;
  for (const std::string& key : all) nested += all.contains(key + "/sub") ? 1 : 0;
  EXPECT_GT(nested, 5);
}

TEST(GeneratorTest, APrefixEndsWhereTheNextBegins) {
  EXPECT_EQ(Keyspace::EndOf("a"), "b");
  EXPECT_EQ(Keyspace::EndOf("a\xff"), "b");
  EXPECT_EQ(Keyspace::EndOf("\xff"), std::string(1, '\0'));
}

TEST(LeaseMapTest, TranslatesWhereverALeaseIsNamed) {
  LeaseMap map;
  map.Learn(1000, 42);
  pb::TxnRequest txn;
  txn.add_compare()->set_lease(1000);
  txn.add_success()->mutable_request_txn()->add_failure()->mutable_request_put()->set_lease(1000);
  txn.add_success()->mutable_request_put()->set_lease(7);
  const pb::TxnRequest known = txn;
  map.ToActual(txn);
  EXPECT_EQ(txn.compare(0).lease(), 42);
  EXPECT_EQ(txn.success(0).request_txn().failure(0).request_put().lease(), 42);
  EXPECT_EQ(txn.success(1).request_put().lease(), 7);
  map.ToKnown(txn);
  EXPECT_EQ(txn.SerializeAsString(), known.SerializeAsString());
  pb::LeaseRevokeRequest revoke;
  revoke.set_id(1000);
  map.ToActual(revoke);
  EXPECT_EQ(revoke.id(), 42);
}

TEST(MutantTest, EachHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const MutantInfo& info : AllMutants()) {
    EXPECT_TRUE(names.insert(info.name).second);
    EXPECT_NE(MakeMutant(info.name), nullptr);
  }
  EXPECT_EQ(MakeMutant("none such"), nullptr);
}

}  // namespace
}  // namespace jetd::conformance::differential
