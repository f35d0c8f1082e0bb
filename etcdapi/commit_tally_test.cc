// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/commit_tally.h"

#include "absl/status/status.h"
#include "base/fake_executor.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

TEST(CommitTallyTest, AFollowerServesAndSeesChangesOfTheLeaderToo) {
  FakeExecutor exec;
  CommitTally tally(&exec);
  EXPECT_FALSE(tally.served());
  tally.OnFollowing(Term(3));
  EXPECT_TRUE(tally.served());
  EXPECT_EQ(tally.leader_changes(), 1U);
  tally.OnFollowing(Term(3));  // its store was built anew
  EXPECT_EQ(tally.leader_changes(), 1U);
  tally.OnLeading(Term(4));
  EXPECT_EQ(tally.leader_changes(), 2U);
  tally.OnStepDown(absl::UnavailableError("superseded"));
  tally.OnFollowing(Term(5));
  EXPECT_EQ(tally.leader_changes(), 3U);
}

}  // namespace
}  // namespace jetd::etcdapi
