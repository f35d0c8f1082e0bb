// SPDX-License-Identifier: Apache-2.0
#include "jetstream/sync_turn.h"

#include <memory>
#include <utility>

#include "base/fake_executor.h"
#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

constexpr auto kNothing = [] { return true; };

class SyncTurnTest : public testing::Test {
 protected:
  int Started() { return std::exchange(started_, 0); }

  FakeExecutor executor_;
  int started_ = 0;
  SyncTurn turn_{&executor_, [this] { ++started_; }};
};

TEST_F(SyncTurnTest, OneAloneDoesNotWait) {
  turn_.OnSent(StreamSeq{1});
  turn_.Request(StreamSeq{1});
  EXPECT_EQ(Started(), 1);
  EXPECT_EQ(executor_.timers(), 0U);
}

TEST_F(SyncTurnTest, WaitsForWhatWasSentTogether) {
  turn_.OnSent(StreamSeq{8});
  turn_.Request(StreamSeq{3});
  EXPECT_EQ(Started(), 0);
  turn_.OnSent(StreamSeq{20});  // after the first ack: not waited for
  turn_.Request(StreamSeq{8});
  EXPECT_EQ(Started(), 1);
  EXPECT_EQ(turn_.appended(), StreamSeq{8});
  EXPECT_EQ(executor_.timers(), 0U);
}

// As where nothing is synced.
TEST_F(SyncTurnTest, WaitsForNothingThatItWasNotToldOf) {
  turn_.Request(StreamSeq{3});
  EXPECT_EQ(Started(), 1);
  turn_.OnSynced(StreamSeq{3}, kNothing);
  turn_.Request(StreamSeq{5});
  EXPECT_EQ(Started(), 1);
  EXPECT_EQ(executor_.timers(), 0U);
}

TEST_F(SyncTurnTest, OneSyncAtATime) {
  turn_.OnSent(StreamSeq{2});
  turn_.Request(StreamSeq{2});
  EXPECT_EQ(Started(), 1);
  turn_.OnSent(StreamSeq{5});
  turn_.Request(StreamSeq{5});
  EXPECT_EQ(Started(), 0);
  turn_.OnSynced(StreamSeq{2}, kNothing);
  EXPECT_EQ(Started(), 1);
  turn_.OnSynced(StreamSeq{5}, kNothing);
  EXPECT_EQ(Started(), 0);
}

// Of what is sent between two syncs the next one does not wait.
TEST_F(SyncTurnTest, AfterASyncItWaitsForWhatWasSentBeforeItsEnd) {
  turn_.OnSent(StreamSeq{2});
  turn_.Request(StreamSeq{2});
  turn_.OnSent(StreamSeq{6});
  turn_.Request(StreamSeq{4});
  Started();
  turn_.OnSynced(StreamSeq{2}, [this] {
    turn_.OnSent(StreamSeq{9});
    return true;
  });
  EXPECT_EQ(Started(), 0);
  turn_.Request(StreamSeq{6});
  EXPECT_EQ(Started(), 1);
}

TEST_F(SyncTurnTest, DoesNotWaitLong) {
  turn_.OnSent(StreamSeq{8});
  turn_.Request(StreamSeq{3});
  executor_.Advance(SyncTurn::kPatience);
  EXPECT_EQ(Started(), 1);
  turn_.OnSynced(StreamSeq{3}, kNothing);
  turn_.Request(StreamSeq{8});
  EXPECT_EQ(Started(), 1);
}

TEST_F(SyncTurnTest, ARequestWhileAnswersAreGivenIsOneTurn) {
  turn_.OnSent(StreamSeq{1});
  turn_.Request(StreamSeq{1});
  turn_.OnSent(StreamSeq{2});
  Started();
  turn_.OnSynced(StreamSeq{1}, [this] {
    turn_.Request(StreamSeq{2});
    return true;
  });
  EXPECT_EQ(Started(), 1);
}

TEST_F(SyncTurnTest, MayEndWhileAnswersAreGiven) {
  auto turn = std::make_unique<SyncTurn>(&executor_, [this] { ++started_; });
  turn->OnSent(StreamSeq{2});
  turn->Request(StreamSeq{2});
  turn->Request(StreamSeq{3});
  turn->OnSynced(StreamSeq{2}, [&turn] {
    turn.reset();
    return false;
  });
  EXPECT_EQ(Started(), 1);
  EXPECT_EQ(executor_.timers(), 0U);
}

}  // namespace
}  // namespace jetd::jetstream
