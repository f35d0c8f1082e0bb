// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/fault_plan.h"

#include <map>

#include "gtest/gtest.h"

namespace jetd::conformance::history {
namespace {

using etcdclient::ServerKind;
using Kind = FaultPlan::Kind;

TEST(FaultPlanTest, OneSeedIsOnePlan) {
  FaultPlan plan(ServerKind::kJetd, 5), same(ServerKind::kJetd, 5), other(ServerKind::kJetd, 6);
  bool differs = false;
  for (int window = 0; window < 50; ++window) {
    const auto faults = plan.Next(4, 1'000);
    const auto again = same.Next(4, 1'000);
    const auto others = other.Next(4, 1'000);
    ASSERT_EQ(faults.size(), 4U);
    size_t last = 0;
    for (size_t i = 0; i < faults.size(); ++i) {
      EXPECT_EQ(faults[i].kind, again[i].kind);
      EXPECT_EQ(faults[i].after, again[i].after);
      EXPECT_EQ(faults[i].time, again[i].time);
      EXPECT_GE(faults[i].after, last);
      EXPECT_LT(faults[i].after, 1'000U);
      last = faults[i].after;
      differs = differs || faults[i].after != others[i].after;
    }
  }
  EXPECT_TRUE(differs);
}

TEST(FaultPlanTest, EveryKindComesAndEtcdHasNoNats) {
  std::map<Kind, int> jetd, etcd;
  FaultPlan of_jetd(ServerKind::kJetd, 1), of_etcd(ServerKind::kEtcd, 1);
  for (const auto& fault : of_jetd.Next(1'000, 10)) ++jetd[fault.kind];
  for (const auto& fault : of_etcd.Next(1'000, 10)) ++etcd[fault.kind];
  EXPECT_EQ(jetd.size(), 7U);
  EXPECT_EQ(etcd.size(), 4U);
  EXPECT_EQ(etcd.count(Kind::kKillNats) + etcd.count(Kind::kFreezeNats), 0U);
}

}  // namespace
}  // namespace jetd::conformance::history
