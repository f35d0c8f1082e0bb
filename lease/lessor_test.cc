// SPDX-License-Identifier: Apache-2.0
//
// The lessor on a real committer, store and memory log, on a clock that stands still.
#include "lease/lessor.h"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fake_executor.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "lease/lessor_harness.h"

namespace jetd::lease {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Leg = MemoryLog::Leg;

class LessorTest : public testing::Test {
 protected:
  LessorTest() { Restart(); }
  void Restart(const MemoryLog::Options& options = {}) {
    member_.reset();
    member_ = std::make_unique<LeaseMember>(&exec_, &stream_, Cat("m", ++restarts_), options);
    ASSERT_TRUE(member_->committer.leading());
  }

  FakeExecutor exec_;
  MemoryStream stream_;
  int restarts_ = 0;
  std::unique_ptr<LeaseMember> member_;
};

TEST_F(LessorTest, GrantRaisesShortTtlsAndChoosesIds) {
  const auto own = member_->Grant(7, 1);
  ASSERT_TRUE(own->has_value() && (*own)->ok());
  EXPECT_EQ(Value(own).id, LeaseId{7});
  EXPECT_EQ(Value(own).ttl_s, 2);
  EXPECT_EQ(Value(member_->Grant(8, -5)).ttl_s, 2);
  EXPECT_EQ(Value(member_->Grant(-9, 3)).ttl_s, 3);
  const auto chosen = member_->Grant(0, 60);
  EXPECT_GT(Value(chosen).id, LeaseId{0});
  EXPECT_EQ(Value(chosen).ttl_s, 60);
  EXPECT_EQ(ErrcOf(member_->Grant(7, 60)), Errc::kLeaseExists);
  EXPECT_EQ(ErrcOf(member_->Grant(7, 9'000'000'001)), Errc::kLeaseTtlTooLarge);
  EXPECT_TRUE((*member_->Grant(10, 9'000'000'000))->ok());
  EXPECT_EQ(member_->lessor.stats().granted, 5U);
}

TEST_F(LessorTest, TheLargestTtlEndsAfterEverythingElse) {
  member_->Grant(1, 9'000'000'000);
  member_->Grant(2, 5);
  EXPECT_EQ(member_->Leases(), std::vector<int64_t>({2, 1}));
  exec_.Advance(seconds(6));
  EXPECT_EQ(member_->Leases(), std::vector<int64_t>({1}));
  EXPECT_GT(Value(member_->TimeToLive(1)).ttl_s, 8'000'000'000);
}

TEST_F(LessorTest, ExpiryDeletesTheKeysInOneRevision) {
  member_->Grant(1, 5);
  member_->Put("b", 1);
  member_->Put("a", 1);
  member_->Put("other", 0);
  exec_.Advance(milliseconds(4'999));
  EXPECT_TRUE(member_->Has("a"));
  const Revision before = member_->store.committed();
  exec_.Advance(milliseconds(2));
  EXPECT_FALSE(member_->Has("a"));
  EXPECT_FALSE(member_->Has("b"));
  EXPECT_TRUE(member_->Has("other"));
  EXPECT_EQ(member_->store.committed(), before.Next());
  EXPECT_EQ(member_->count(), 0U);
  EXPECT_EQ(member_->lessor.stats().expired, 1U);
  // None without leases, once the committer has seen that its last write was answered.
  exec_.Advance(seconds(1));
  EXPECT_EQ(exec_.timers(), 0U);
}

TEST_F(LessorTest, KeepAliveGivesTheFullTtlAgain) {
  member_->Grant(1, 5);
  for (int i = 0; i < 10; ++i) {
    exec_.Advance(seconds(4));
    const auto answer = member_->KeepAlive(1);
    ASSERT_TRUE(answer->has_value());
    EXPECT_EQ(Value(answer), 5);
  }
  EXPECT_EQ(member_->lessor.stats().renewed, 10U);
  exec_.Advance(milliseconds(4'990));
  EXPECT_EQ(member_->count(), 1U);
  exec_.Advance(milliseconds(20));
  EXPECT_EQ(member_->count(), 0U);
  EXPECT_EQ(Value(member_->KeepAlive(1)), 0);
  EXPECT_EQ(Value(member_->KeepAlive(0)), 0);
}

TEST_F(LessorTest, RevokeDeletesAndUnknownOnesAreNotFound) {
  member_->Grant(1, 5);
  member_->Put("a", 1);
  const auto answer = member_->Revoke(1);
  EXPECT_EQ(Value(answer), Revision{3});
  EXPECT_FALSE(member_->Has("a"));
  EXPECT_EQ(ErrcOf(member_->Revoke(1)), Errc::kLeaseNotFound);
  EXPECT_EQ(Value(member_->KeepAlive(1)), 0);
  EXPECT_EQ(member_->lessor.stats().revoked, 1U);
  EXPECT_EQ(member_->lessor.stats().expired, 0U);
}

TEST_F(LessorTest, TimeToLiveCutsSecondsAndSortsKeys) {
  member_->Grant(1, 5);
  for (const char* key : {"c", "a", "b"}) member_->Put(key, 1);
  member_->Put("b", 0);  // detached
  EXPECT_EQ(Value(member_->TimeToLive(1)).ttl_s, 5);
  exec_.Advance(milliseconds(1));
  const auto answer = member_->TimeToLive(1);
  EXPECT_EQ(Value(answer).id, LeaseId{1});
  EXPECT_EQ(Value(answer).ttl_s, 4);
  EXPECT_EQ(Value(answer).granted_ttl_s, 5);
  EXPECT_EQ(Value(answer).keys, std::vector<std::string>({"a", "c"}));
  const auto none = member_->TimeToLive(2);
  EXPECT_EQ(Value(none).ttl_s, -1);
  EXPECT_EQ(Value(none).granted_ttl_s, 0);
  EXPECT_TRUE(Value(none).keys.empty());
}

TEST_F(LessorTest, TimeToLiveShowsWhatIsCommittedOnly) {
  member_->Grant(1, 60);
  member_->Put("a", 1);
  member_->log.Hold(Leg::kSync);
  member_->Put("b", 1);
  member_->Put("a", 0);
  EXPECT_EQ(Value(member_->TimeToLive(1)).keys, std::vector<std::string>({"a"}));
  member_->log.Release(Leg::kSync);
  exec_.RunDeferred();
  EXPECT_EQ(Value(member_->TimeToLive(1)).keys, std::vector<std::string>({"b"}));
}

TEST_F(LessorTest, LeasesAreOrderedByTheirEnd) {
  member_->Grant(5, 30);
  member_->Grant(6, 10);
  member_->Grant(7, 15);
  EXPECT_EQ(member_->Leases(), std::vector<int64_t>({6, 7, 5}));
  exec_.Advance(seconds(9));
  member_->KeepAlive(6);
  EXPECT_EQ(member_->Leases(), std::vector<int64_t>({7, 6, 5}));
}

TEST_F(LessorTest, ARestartGivesTheFullTtlAgain) {
  member_->Grant(1, 10);
  member_->Put("a", 1);
  exec_.Advance(seconds(9));
  Restart();
  EXPECT_EQ(member_->count(), 1U);
  exec_.Advance(milliseconds(9'900));
  EXPECT_TRUE(member_->Has("a"));
  EXPECT_EQ(Value(member_->TimeToLive(1)).granted_ttl_s, 10);
  exec_.Advance(milliseconds(200));
  EXPECT_FALSE(member_->Has("a"));
}

// ---- Barriers and stalls ------------------------------------------------------------------------

TEST_F(LessorTest, NothingIsAnsweredBeforeABarrier) {
  member_->Grant(1, 60);
  member_->log.Hold(Leg::kRequest);
  const auto alive = member_->KeepAlive(1);
  const auto ttl = member_->TimeToLive(1);
  exec_.Advance(milliseconds(10));
  EXPECT_FALSE(alive->has_value());
  EXPECT_FALSE(ttl->has_value());
  const uint64_t sent = member_->committer.counters().barriers_sent;
  member_->log.Release(Leg::kRequest);
  exec_.Advance(milliseconds(10));
  EXPECT_TRUE(alive->has_value());
  EXPECT_TRUE(ttl->has_value());
  EXPECT_LE(member_->committer.counters().barriers_sent, sent + 1);
}

TEST_F(LessorTest, ALeaseDoesNotExpireWhileItsKeepAliveWaits) {
  member_->Grant(1, 5);
  exec_.Advance(milliseconds(4'900));
  member_->log.Hold(Leg::kRequest);
  const auto alive = member_->KeepAlive(1);
  exec_.Advance(milliseconds(1'000));
  EXPECT_FALSE(alive->has_value());
  member_->log.Release(Leg::kRequest);
  exec_.Advance(milliseconds(1));
  EXPECT_EQ(Value(alive), 5);
  exec_.Advance(milliseconds(4'900));
  EXPECT_EQ(member_->count(), 1U);
  exec_.Advance(milliseconds(200));
  EXPECT_EQ(member_->count(), 0U);
}

// Where reads need no barrier, a frozen server still lets nothing expire, and a keepalive is taken.
TEST_F(LessorTest, AFrozenServerOfOurOwnEndsNoLease) {
  MemoryLog::Options options;
  options.exclusive = true;
  Restart(options);
  member_->Grant(1, 5);
  exec_.Advance(milliseconds(4'990));
  member_->log.Hold(Leg::kRequest);
  exec_.Advance(milliseconds(60));
  EXPECT_EQ(Value(member_->KeepAlive(1)), 5) << "at 5.05 s, and it says so at once";
  exec_.Advance(seconds(3));
  member_->log.Release(Leg::kRequest);
  exec_.Advance(seconds(1));
  EXPECT_EQ(member_->count(), 1U);
  exec_.Advance(seconds(4));
  EXPECT_EQ(member_->count(), 0U);
}

TEST_F(LessorTest, AfterAStallOfTheEngineKeepAlivesComeFirst) {
  member_->Grant(1, 5);
  member_->Grant(2, 5);
  exec_.Advance(seconds(4));
  exec_.Stall(seconds(10));
  exec_.Advance(milliseconds(0));  // the timer, 9 s late
  EXPECT_EQ(member_->count(), 2U);
  EXPECT_EQ(Value(member_->TimeToLive(2)).ttl_s, 0) << "-1 would mean that there is no lease";
  exec_.Advance(milliseconds(600));  // the client's keepalive arrives at last
  EXPECT_EQ(Value(member_->KeepAlive(1)), 5);
  exec_.Advance(milliseconds(1'500));
  EXPECT_EQ(member_->Leases(), std::vector<int64_t>({1}));
}

TEST_F(LessorTest, AnEngineThatIsAlwaysLateExpiresLeasesAllTheSame) {
  member_->Grant(1, 5);
  exec_.Stall(seconds(6));
  for (int i = 0; i < limits::kLeaseMaxGraces; ++i) {
    exec_.Advance(seconds(0));
    EXPECT_EQ(member_->count(), 1U);
    exec_.Stall(seconds(3));
  }
  exec_.Advance(seconds(0));
  EXPECT_EQ(member_->count(), 0U);
}

TEST_F(LessorTest, EveryStallIsForgivenToClientsThatRenew) {
  member_->Grant(1, 5);
  for (int i = 0; i < 3 * limits::kLeaseMaxGraces; ++i) {
    exec_.Stall(seconds(6));
    exec_.Advance(milliseconds(600));
    ASSERT_EQ(Value(member_->KeepAlive(1)), 5) << i;
    exec_.Advance(milliseconds(4'000));
    ASSERT_EQ(Value(member_->KeepAlive(1)), 5) << i;
  }
}

TEST_F(LessorTest, AfterNatsWasAwayKeepAlivesComeFirst) {
  member_->Grant(1, 5);
  member_->Grant(2, 5);
  member_->log.Disconnect();
  const auto early = member_->KeepAlive(1);
  exec_.Advance(seconds(20));
  EXPECT_EQ(member_->count(), 2U);
  ASSERT_TRUE(early->has_value());
  EXPECT_EQ(ErrcOf(early), Errc::kNoLeader);
  member_->log.Reconnect();
  exec_.Advance(milliseconds(1'500));
  EXPECT_EQ(member_->count(), 2U);
  EXPECT_EQ(Value(member_->KeepAlive(1)), 5);
  exec_.Advance(milliseconds(2'000));
  EXPECT_EQ(member_->Leases(), std::vector<int64_t>({1}));
}

TEST_F(LessorTest, AShortLossDoesNotExpireEither) {
  member_->Grant(1, 5);
  exec_.Advance(milliseconds(4'900));
  member_->log.Disconnect();
  exec_.Advance(seconds(2));
  member_->log.Reconnect();
  exec_.Advance(milliseconds(500));
  EXPECT_EQ(Value(member_->KeepAlive(1)), 5);
  exec_.Advance(seconds(4));
  EXPECT_EQ(member_->count(), 1U);
}

TEST_F(LessorTest, AKeepAliveDuringTheRevokeSaysGone) {
  member_->Grant(1, 5);
  member_->Put("a", 1);
  member_->log.Hold(Leg::kSync);
  exec_.Advance(milliseconds(5'001));  // the revoke is on its way to the disk
  EXPECT_EQ(member_->count(), 1U);
  const auto alive = member_->KeepAlive(1);
  exec_.Advance(milliseconds(100));
  EXPECT_FALSE(alive->has_value());
  member_->log.Release(Leg::kSync);
  exec_.Advance(milliseconds(1));
  EXPECT_EQ(Value(alive), 0);
  EXPECT_FALSE(member_->Has("a"));
}

TEST_F(LessorTest, ARevokeThatFailsIsTriedAgain) {
  member_->Grant(1, 5);
  member_->Put("a", 1);
  member_->log.Hold(Leg::kAnswer);
  exec_.Advance(milliseconds(5'000));
  member_->log.Pass(Leg::kAnswer, 1);  // of the barrier; the revoke is sent
  exec_.Advance(milliseconds(1));
  member_->log.Disconnect();
  const auto alive = member_->KeepAlive(1);
  exec_.Advance(seconds(10));  // patience ends: the revoke's fate is not known
  ASSERT_TRUE(alive->has_value());
  EXPECT_FALSE((*alive)->ok());
  EXPECT_EQ(member_->count(), 1U);
  member_->log.Release(Leg::kAnswer);
  member_->log.Reconnect();
  exec_.Advance(seconds(5));
  EXPECT_EQ(member_->count(), 0U);
  EXPECT_FALSE(member_->Has("a"));
}

TEST_F(LessorTest, ASupersededMemberLetsNothingExpire) {
  member_->Grant(1, 5);
  auto other = std::make_unique<LeaseMember>(&exec_, &stream_, "other", MemoryLog::Options{});
  ASSERT_TRUE(other->committer.leading());
  const auto alive = member_->KeepAlive(1);
  exec_.Advance(milliseconds(100));
  ASSERT_TRUE(alive->has_value());
  EXPECT_EQ(ErrcOf(alive), Errc::kNoLeader);
  exec_.Advance(milliseconds(4'000));
  EXPECT_EQ(other->count(), 1U);
  exec_.Advance(milliseconds(1'500));
  EXPECT_EQ(other->count(), 0U);
  EXPECT_EQ(other->lessor.stats().expired, 1U);
  EXPECT_EQ(member_->lessor.stats().expired, 0U);
}

// What it is asked when it does not know yet that another member leads: the barrier comes, from the
// one that leads, but a clock that was moved here moves nothing there.
TEST_F(LessorTest, ASupersededMemberThatFollowsSaysNothingOfLeases) {
  member_.reset();
  jetstream::MemoryPost post;
  LeaseMember a(&exec_, &stream_, "a", {}, &post);
  exec_.Advance(seconds(1));
  ASSERT_TRUE(a.committer.leading());
  EXPECT_EQ(Value(a.Grant(1, 5)).ttl_s, 5);
  LeaseMember b(&exec_, &stream_, "b", {}, &post);
  exec_.Advance(seconds(1));
  // As a process that is stopped.
  const auto legs = {Leg::kRequest, Leg::kAnswer, Leg::kApi, Leg::kSync};
  for (const Leg leg : legs) a.log.Hold(leg);
  a.messenger->Freeze();
  exec_.Advance(seconds(3));
  ASSERT_TRUE(b.committer.leading());
  const auto alive = a.KeepAlive(1);
  const auto gone = a.KeepAlive(2);
  const auto left = a.TimeToLive(1);
  a.messenger->Thaw();
  for (const Leg leg : legs) a.log.Release(leg);
  exec_.Advance(seconds(1));
  ASSERT_EQ(a.committer.phase(), revision::Committer::Phase::kFollowing);
  EXPECT_EQ(ErrcOf(alive), Errc::kNoLeader);
  EXPECT_EQ(ErrcOf(gone), Errc::kNoLeader) << "another member may have granted it";
  EXPECT_EQ(ErrcOf(left), Errc::kNoLeader);
  EXPECT_EQ(Value(b.KeepAlive(1)), 5);
}

TEST_F(LessorTest, ManyExpireInBatches) {
  for (int i = 1; i <= 1'200; ++i) member_->Grant(i, 5);
  exec_.Advance(milliseconds(5'000));
  EXPECT_EQ(member_->count(), 700U);
  exec_.Advance(milliseconds(499));
  EXPECT_EQ(member_->count(), 700U);
  exec_.Advance(milliseconds(2));
  EXPECT_EQ(member_->count(), 200U);
  exec_.Advance(milliseconds(501));
  EXPECT_EQ(member_->count(), 0U);
}

// ---- Against a model ----------------------------------------------------------------------------

// Leases are granted, kept alive, revoked, and left alone at random, with short losses of the
// connection; a lease that its client renewed in time is never gone, one that was left alone goes
// soon after its end, and its keys with it.
TEST_F(LessorTest, RandomLivesEndWhenTheModelSays) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    struct Model {
      int64_t ttl_s;
      MonoTime end;
    };
    std::map<int64_t, Model> model;
    const auto base = static_cast<int64_t>(seed) * 1'000'000;
    int64_t next = base;
    for (int step = 0; step < 400; ++step) {
      const uint64_t what = random() % 10;
      if (what < 2) {
        const int64_t ttl_s = 2 + static_cast<int64_t>(random() % 10);
        const int64_t id = ++next;
        ASSERT_EQ(Value(member_->Grant(id, ttl_s)).ttl_s, ttl_s);
        member_->Put(Cat("key", id), id);
        model[id] = {ttl_s, exec_.Now() + seconds(ttl_s)};
      } else if (what < 6 && !model.empty()) {
        auto it = model.begin();
        std::advance(it, random() % model.size());
        const int64_t answer = Value(member_->KeepAlive(it->first));
        if (exec_.Now() < it->second.end) {
          ASSERT_EQ(answer, it->second.ttl_s);
        }
        if (answer == 0) {
          model.erase(it);
        } else {
          it->second.end = exec_.Now() + seconds(it->second.ttl_s);
        }
      } else if (what == 6 && !model.empty()) {
        auto it = model.begin();
        std::advance(it, random() % model.size());
        const auto answer = member_->Revoke(it->first);
        ASSERT_TRUE((*answer)->ok() || exec_.Now() >= it->second.end);
        model.erase(it);
      } else if (what == 7 && random() % 4 == 0) {
        member_->log.Disconnect();
        exec_.Advance(milliseconds(random() % 300));
        member_->log.Reconnect();
        exec_.Advance(milliseconds(1));
      } else {
        exec_.Advance(milliseconds(random() % 1'000));
      }
      for (auto it = model.begin(); it != model.end();) {
        const bool there = member_->Has(Cat("key", it->first));
        if (exec_.Now() < it->second.end) {
          ASSERT_TRUE(there) << it->first;
        } else if (exec_.Now() >= it->second.end + seconds(4)) {
          ASSERT_FALSE(there) << it->first;
        }
        it = there ? std::next(it) : model.erase(it);
      }
    }
    exec_.Advance(seconds(20));
    ASSERT_EQ(member_->count(), 0U);
  }
}

}  // namespace
}  // namespace jetd::lease
