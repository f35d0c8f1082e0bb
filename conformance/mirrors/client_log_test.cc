// SPDX-License-Identifier: Apache-2.0
#include "conformance/mirrors/client_log.h"

#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

TEST(ClientLogTest, FollowsEtcdsRules) {
  ClientLog log;
  log.Do({.grant = 7, .ttl_s = 60});
  EXPECT_EQ(log.now().revision, 1);
  log.Do({.writes = {{"a", "1", 7}, {"b", "2"}}});
  log.Do({.writes = {{"a", "3", 7}}});
  EXPECT_EQ(log.now().keys.at("a"),
            (Moment::Key{.value = "3", .create = 2, .mod = 3, .version = 2, .lease = 7}));
  log.Do({.deletes = {"x"}});
  EXPECT_EQ(log.now().revision, 3);
  EXPECT_EQ(log.RevisionAfter({.deletes = {"x"}}), 3);
  EXPECT_EQ(log.RevisionAfter({.revoke = 7}), 4);
  log.Do({.revoke = 7});
  EXPECT_EQ(log.now().revision, 4);
  EXPECT_FALSE(log.now().keys.contains("a"));
  EXPECT_TRUE(log.now().leases.empty());
  log.Do({.writes = {{"a", "4"}}});
  EXPECT_EQ(log.now().keys.at("a"),
            (Moment::Key{.value = "4", .create = 5, .mod = 5, .version = 1}));
}

TEST(ClientLogTest, KnowsEveryMoment) {
  ClientLog log;
  log.Do({.writes = {{"a", "1"}}});   // 0: revision 2
  log.Do({.grant = 7, .ttl_s = 60});  // 1
  log.Do({.writes = {{"a", "2"}}});   // 2: revision 3
  log.Do({.deletes = {"a"}});         // 3: revision 4
  EXPECT_EQ(log.LastStepOf(2), 1U);
  EXPECT_EQ(log.LastStepOf(3), 2U);
  EXPECT_EQ(log.LastChangeOf("a"), 3U);
  EXPECT_EQ(log.LastChangeOf("b"), 4U);
  std::vector<std::string> seen;
  log.Replay({1, 2, 2, 3}, [&seen](size_t /*step*/, const Moment& moment) {
    seen.push_back(moment.keys.empty() ? "" : moment.keys.at("a").value);
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"1", "2", "2", ""}));
  EXPECT_FALSE(log.Doctor(1));
  EXPECT_TRUE(log.Doctor(0));
  log.Replay({0}, [](size_t /*step*/, const Moment& moment) {
    EXPECT_NE(moment.keys.at("a").value, "1");
  });
}

}  // namespace
}  // namespace jetd::conformance
