// SPDX-License-Identifier: Apache-2.0
//
// Several members of one bucket: following, taking over, handing over.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "revision/committer.h"
#include "revision/committer_follow_harness.h"
#include "revision/committer_harness.h"
#include "revision/invariants.h"
#include "revision/snapshot.h"

namespace jetd::revision {
namespace {

using jetstream::AppendFate;
using jetstream::MemoryLog;
using Leg = MemoryLog::Leg;
using std::chrono::milliseconds;
using std::chrono::seconds;

class CommitterFollowTest : public FollowWorld {};

TEST_F(CommitterFollowTest, AFollowerShowsWhatTheLeaderCommitted) {
  auto a = Start("a");
  auto early = a->Put("early", "1");
  Settle();
  auto b = Start("b");
  EXPECT_TRUE(a->committer->leading());
  EXPECT_EQ(b->committer->phase(), Committer::Phase::kFollowing);
  EXPECT_TRUE(b->committer->has_leader());
  EXPECT_EQ(b->committer->leader_id(), a->committer->leader_id());
  EXPECT_EQ(b->recorder.following, Term(1));
  EXPECT_EQ(b->Get("early"), "1");
  auto put = a->Put("k", "v");
  auto many = a->PutMany("g", 3, "w");
  Settle();
  ASSERT_TRUE(Ok(put) && Ok(many));
  EXPECT_EQ(b->Get("k"), "v");
  EXPECT_EQ(b->Get("g/2"), "w");
  ASSERT_EQ(b->recorder.commits.size(), 2U);
  EXPECT_EQ(b->recorder.commits[1].keys, (std::vector<std::string>{"g/0", "g/1", "g/2"}));
  EXPECT_EQ(b->store.committed(), a->store.committed());
  EXPECT_EQ(b->store.HashKv(Revision(0))->hash, a->store.HashKv(Revision(0))->hash);
  EXPECT_TRUE(CheckInvariants(b->store).ok());
  // Writes are not for it.
  auto refused = b->Put("k", "x");
  Settle();
  EXPECT_EQ(GetErrc(refused->answer->status()), Errc::kNoLeader);
  EXPECT_EQ(b->committer->counters().reconnects, 0U);
  EXPECT_EQ(a->peers->members().size(), 2U);
  EXPECT_EQ(b->peers->members().size(), 2U);
}

TEST_F(CommitterFollowTest, WhatIsInTheStreamIsShownWhenItIsCommitted) {
  auto a = Start("a");
  auto b = Start("b");
  a->log.Hold(Leg::kAnswer);
  auto put = a->Put("k", "v");
  Settle();
  EXPECT_FALSE(put->answer.has_value());
  EXPECT_EQ(StaleGet(b.get(), "k"), "");
  a->log.Release(Leg::kAnswer);
  Settle();
  EXPECT_TRUE(Ok(put));
  EXPECT_EQ(StaleGet(b.get(), "k"), "v");
}

TEST_F(CommitterFollowTest, ALeaderAloneAnnouncesNothing) {
  jetstream::MemoryMessenger listener(&exec_, &post_);
  int news = 0;
  listener.Subscribe("news", [&](std::string_view) { ++news; });
  auto a = Start("a");
  const auto put_some = [&] {
    for (int i = 0; i < 20; ++i) a->Put("k", "v");
    Settle();
  };
  put_some();
  EXPECT_EQ(news, 0);
  auto b = Start("b");
  put_some();
  const int with_b = std::exchange(news, 0);
  EXPECT_GT(with_b, 0);
  EXPECT_LT(with_b, 20) << "once a round, not once a write";
  b.reset();
  Settle(seconds(7));
  put_some();
  EXPECT_EQ(news, 0);
}

TEST_F(CommitterFollowTest, LeasesAndCompactionsFollow) {
  auto a = Start("a");
  auto b = Start("b");
  std::optional<LeaseId> lease;
  a->committer->GrantLease(LeaseId(7), 60, [&](auto granted) { lease = granted->id; });
  Settle();
  a->Put("k", "1", LeaseId(7));
  a->Put("k", "2", LeaseId(7));
  a->Put("gone", "1");
  a->Delete("gone");
  Settle();
  EXPECT_EQ(b->store.LeaseKeys(LeaseId(7)), std::vector<std::string>{"k"});
  a->committer->Compact(Revision(5), Committer::Wait::kPhysical, [](auto) {});
  Settle(seconds(1));
  EXPECT_EQ(b->store.compacted(), Revision(5));
  EXPECT_EQ(b->recorder.compacted, Revision(5));
  EXPECT_EQ(b->store.stats().versions, a->store.stats().versions);
  a->committer->RevokeLease(LeaseId(7), [](auto) {});
  Settle();
  EXPECT_EQ(b->recorder.gone, std::vector<LeaseId>{LeaseId(7)});
  EXPECT_EQ(b->store.lease_count(), 0U);
  EXPECT_EQ(b->Get("k"), "");
  EXPECT_EQ(b->store.HashKv(Revision(0))->hash, a->store.HashKv(Revision(0))->hash);
}

TEST_F(CommitterFollowTest, TakesOverWhatTheLeaderLeftBehind) {
  auto a = Start("a");
  auto b = Start("b");
  auto c = Start("c");
  a->Put("k", "v");
  Settle();
  a->log.Hold(Leg::kRequest);
  a->log.Hold(Leg::kAnswer);
  a->PutMany("whole", 2, "w");
  a->PutMany("half", 3, "h");
  exec_.RunDeferred();
  a->log.Pass(Leg::kRequest, 4);
  exec_.RunDeferred();
  const size_t shown = b->recorder.commits.size();
  a.reset();
  Settle(milliseconds(400));
  EXPECT_NE(b->committer->leading(), c->committer->leading()) << "one of them";
  Member* leader = b->committer->leading() ? b.get() : c.get();
  Member* other = leader == b.get() ? c.get() : b.get();
  EXPECT_EQ(other->committer->leader_id(), leader->committer->leader_id());
  EXPECT_GT(leader->recorder.commits.size(), shown);
  for (Member* member : {leader, other}) {
    EXPECT_EQ(member->Get("k"), "v");
    EXPECT_EQ(member->Get("whole/1"), "w") << "it may have been answered";
    EXPECT_EQ(member->Get("half/0"), "");
    EXPECT_TRUE(CheckInvariants(member->store).ok());
  }
  auto put = leader->Put("k", "new");
  Settle();
  EXPECT_TRUE(Ok(put));
  EXPECT_EQ(other->Get("k"), "new");
  // Who reads the whole stream agrees.
  auto d = Start("d");
  EXPECT_EQ(d->store.HashKv(Revision(0))->hash, leader->store.HashKv(Revision(0))->hash);
  EXPECT_EQ(d->Get("k"), "new");
}

TEST_F(CommitterFollowTest, ASupersededLeaderFollows) {
  auto a = Start("a");
  auto b = Start("b");
  a->Put("k", "1");
  Settle();
  Disconnect(a.get());
  Settle(seconds(2));
  ASSERT_TRUE(b->committer->leading());
  auto put = b->Put("k", "2");
  Settle();
  ASSERT_TRUE(Ok(put));
  EXPECT_EQ(StaleGet(a.get(), "k"), "1");
  Reconnect(a.get());
  Settle(seconds(2));
  EXPECT_EQ(a->committer->phase(), Committer::Phase::kFollowing);
  EXPECT_EQ(a->Get("k"), "2");
  EXPECT_TRUE(b->committer->leading());
  ASSERT_FALSE(a->recorder.commits.empty());
  EXPECT_EQ(a->recorder.commits.back().revision, RevisionOf(put)) << "its watchers go on";
  EXPECT_EQ(a->store.HashKv(Revision(0))->hash, b->store.HashKv(Revision(0))->hash);
}

TEST_F(CommitterFollowTest, AFrozenLeaderIsFencedAndTellsNoLies) {
  auto a = Start("a");
  auto b = Start("b");
  a->Put("k", "1");
  Settle();
  // As a process that is stopped: what it sent is sent, what comes for it waits.
  const auto legs = {Leg::kRequest, Leg::kAnswer, Leg::kApi, Leg::kSync};
  for (const Leg leg : legs) a->log.Hold(leg);
  a->messenger->Freeze();
  Settle(seconds(4));
  ASSERT_TRUE(b->committer->leading());
  auto newer = b->Put("k", "2");
  Settle();
  ASSERT_TRUE(Ok(newer));
  auto late = a->Put("k", "late");
  auto read = std::make_shared<std::optional<absl::StatusOr<RangeResult>>>();
  const RangeOp op{.keys = {"k", {}}};
  a->committer->Range(&op, [read](auto result) { *read = std::move(result); });
  a->messenger->Thaw();
  for (const Leg leg : legs) a->log.Release(leg);
  Settle(seconds(3));
  ASSERT_TRUE(late->answer.has_value());
  EXPECT_FALSE(late->answer->ok()) << "it was fenced";
  ASSERT_TRUE(read->has_value());
  if ((*read)->ok()) {
    EXPECT_EQ((**read)->kvs[0]->value(), "2");
  }
  EXPECT_EQ(a->committer->phase(), Committer::Phase::kFollowing);
  EXPECT_EQ(a->Get("k"), "2");
  EXPECT_EQ(b->Get("k"), "2");
}

TEST_F(CommitterFollowTest, HandsOverAndBack) {
  auto a = Start("a");
  EXPECT_EQ(GetErrc(HandOver(a.get()).value()), Errc::kNoLeader) << "there is nobody";
  auto b = Start("b");
  for (int i = 0; i < 2; ++i) {
    Member* from = i == 0 ? a.get() : b.get();
    Member* to = i == 0 ? b.get() : a.get();
    auto put = from->Put("k", from == a.get() ? "a" : "b");
    const auto answer = HandOver(from);
    ASSERT_TRUE(answer.has_value());
    EXPECT_TRUE(answer->ok()) << *answer;
    EXPECT_TRUE(Ok(put));
    EXPECT_TRUE(to->committer->leading());
    EXPECT_EQ(from->committer->phase(), Committer::Phase::kFollowing);
    EXPECT_EQ(from->Get("k"), from == a.get() ? "a" : "b");
  }
}

TEST_F(CommitterFollowTest, ASuccessorThatDoesNotComeIsNotWaitedForLong) {
  auto a = Start("a");
  auto b = Start("b");
  b->messenger->Freeze();
  b->log.Hold(Leg::kApi);
  const auto answer = HandOver(a.get());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(GetErrc(*answer), Errc::kTimeout);
  auto put = a->Put("k", "v");
  Settle();
  EXPECT_TRUE(Ok(put));
}

TEST_F(CommitterFollowTest, BelowTheBoundOfACompactionAllIsReadAnew) {
  auto a = Start("a");
  auto b = Start("b");
  a->Put("k", "1");
  Settle();
  Disconnect(b.get());
  Settle();
  for (int i = 2; i < 6; ++i) a->Put("k", std::to_string(i));
  a->Put("l", "1");
  Settle();
  a->committer->Compact(Revision(5), Committer::Wait::kPhysical, [](auto) {});
  Settle(seconds(1));
  Reconnect(b.get());
  Settle(seconds(1));
  EXPECT_EQ(b->committer->phase(), Committer::Phase::kFollowing);
  EXPECT_EQ(b->Get("k"), "5");
  EXPECT_EQ(b->Get("l"), "1");
  EXPECT_EQ(b->store.compacted(), Revision(5)) << "older watchers are told so";
  EXPECT_EQ(b->store.HashKv(Revision(0))->hash, a->store.HashKv(Revision(0))->hash);
  EXPECT_TRUE(CheckInvariants(b->store).ok());
  auto put = a->Put("k", "6");
  Settle();
  EXPECT_EQ(b->Get("k"), "6");
}

// The store that is built anew is left behind by a compaction itself. It may have the value files
// to which a snapshot refers.
TEST_F(CommitterFollowTest, ReadAnewAndAgainItKeepsItsValueFiles) {
  auto a = Start("a");
  auto b = std::make_unique<Member>(&exec_, &stream_, "b", MemoryLog::Options(), size_t{0}, "",
                                    std::nullopt, &post_);
  const auto leave_behind = [&] {
    Disconnect(b.get());
    a->log.Release(Leg::kAnswer);
    Settle();
    for (int i = 0; i < 5; ++i) a->Put("k", Cat("value ", i));
    Settle();
    a->committer->Compact(a->store.committed(), Committer::Wait::kPhysical, [](auto) {});
    Settle(seconds(1));
  };
  a->Put("k", "old");
  Settle();
  ASSERT_EQ(b->committer->phase(), Committer::Phase::kFollowing);
  ASSERT_GT(b->store.stats().cold_bytes, 0U);
  const auto snapshot = b->store.TakeSnapshot();
  leave_behind();
  Reconnect(b.get());
  Settle(seconds(1));
  ASSERT_GT(b->store.stats().cold_bytes, 0U) << "in files of its own";
  leave_behind();
  a->log.Hold(Leg::kAnswer);
  a->Put("k", "not committed");
  Reconnect(b.get());
  Settle(seconds(1));
  leave_behind();
  Reconnect(b.get());
  Settle(seconds(1));
  ASSERT_EQ(b->committer->phase(), Committer::Phase::kFollowing);
  EXPECT_EQ(b->Get("k"), "value 4");
  EXPECT_GT(b->store.stats().cold_bytes, 0U);
}

TEST_F(CommitterFollowTest, ReadAnewItStillKnowsWhatItCounted) {
  stream_.AppendForeign({.subject = "$KV.B.intruder", .payload = "x"});
  auto b = Start("b");
  auto a = Start("a");
  ASSERT_TRUE(HandOver(b.get())->ok());
  Disconnect(b.get());
  for (int i = 0; i < 3; ++i) a->Put("k", "v");
  Settle();
  a->committer->Compact(Revision(3), Committer::Wait::kPhysical, [](auto) {});
  Settle(seconds(1));
  Reconnect(b.get());
  Settle(seconds(1));
  ASSERT_EQ(b->store.compacted(), Revision(3));
  EXPECT_EQ(b->committer->counters().foreign_records, 1U);
}

TEST_F(CommitterFollowTest, ReadsEndWithoutALeader) {
  MemoryLog::Options options;
  auto a = Start("a");
  auto b = Start("b");
  a->messenger->Freeze();
  b->log.Hold(Leg::kApi);
  b->log.Hold(Leg::kRequest);
  auto answer = std::make_shared<std::optional<absl::StatusOr<RangeResult>>>();
  const RangeOp op{.keys = {"k", {}}};
  b->committer->Range(&op, [answer](auto result) { *answer = std::move(result); });
  Settle(seconds(8));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ(GetErrc((*answer)->status()), Errc::kNoLeader);
  b->log.Release(Leg::kApi);
  b->log.Release(Leg::kRequest);
  Settle(seconds(2));
  EXPECT_TRUE(b->committer->leading());
  EXPECT_EQ(b->Get("k"), "");
}

// Members come, go, lose their connections and come back, at random. What any of them ever showed
// as committed is what happened, in the same order at all of them; what was answered is there.
class RandomMembersTest : public CommitterFollowTest, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override { random_.seed(static_cast<uint64_t>(GetParam())); }
  size_t Pick(size_t n) { return random_() % n; }

  void Check(const Member& member, size_t* checked) {
    const auto& commits = member.recorder.commits;
    ASSERT_FALSE(member.recorder.lost) << "nothing was";
    for (; *checked < commits.size(); ++*checked) {
      const auto& commit = commits[*checked];
      if (*checked > 0) {
        ASSERT_GT(commit.revision, commits[*checked - 1].revision);
      }
      const auto [it, first] = history_.emplace(commit.revision, commit.keys);
      ASSERT_EQ(it->second, commit.keys) << "revision " << commit.revision;
    }
  }

  std::mt19937_64 random_;
  std::map<Revision, std::vector<std::string>> history_;
};

TEST_P(RandomMembersTest, AgreeOnWhatHappened) {
  MemoryLog::Options options;
  options.faults.fate = [this](StreamSeq) {
    const size_t pick = Pick(3);
    return pick == 0 ? AppendFate::kNever : pick == 1 ? AppendFate::kLands : AppendFate::kLate;
  };
  options.faults.request_delay = [this] { return std::chrono::microseconds(Pick(300)); };
  options.faults.answer_delay = options.faults.request_delay;
  options.faults.api_delay = options.faults.request_delay;
  options.read_batch = 3;
  std::vector<std::unique_ptr<Member>> members;
  std::vector<size_t> checked(3);
  for (const char* name : {"a", "b", "c"}) members.push_back(Start(name, options));
  std::vector<Member::PendingOp> puts;
  int number = 0;
  for (int step = 0; step < 300; ++step) {
    const size_t which = Pick(3);
    Member* member = members[which].get();
    switch (Pick(12)) {
      case 0:
        Disconnect(member);
        break;
      case 1:
      case 2:
        Reconnect(member);
        break;
      case 3:
        if (Pick(3) == 0) {
          members[which] = nullptr;
          checked[which] = 0;
          members[which] = Start(std::string(1, static_cast<char>('a' + which)), options);
        }
        break;
      case 4:
        if (Pick(2) == 0) stream_.LandLate();
        break;
      case 5:
        if (member->committer->leading() && Pick(3) == 0) {
          member->committer->Compact(Revision(member->store.committed().value() - 1),
                                     Committer::Wait::kLogical, [](auto) {});
        }
        break;
      case 6:
        member->committer->HandOver(0, [](const absl::Status&) {});
        break;
      default:
        for (Member* one : {member, members[(which + 1) % 3].get()}) {
          const std::string value = std::to_string(++number);
          puts.push_back(Pick(4) == 0 ? one->PutMany("m" + value, 3, value)
                                      : one->Put("k" + value, value));
        }
        break;
    }
    exec_.Advance(Pick(20) == 0 ? milliseconds(2'000) : milliseconds(Pick(40)));
    for (size_t i = 0; i < members.size(); ++i) Check(*members[i], &checked[i]);
    if (HasFatalFailure()) return;
  }
  for (auto& member : members) {
    ASSERT_FALSE(member->fatal.has_value()) << *member->fatal;
    Reconnect(member.get());
  }
  Settle(seconds(20));
  size_t leaders = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    Member& member = *members[i];
    leaders += member.committer->leading() ? 1 : 0;
    EXPECT_TRUE(member.committer->has_leader()) << i << " " << member.committer->waiting_for();
    Check(member, &checked[i]);
    EXPECT_EQ(member.store.committed(), members[0]->store.committed());
    EXPECT_TRUE(CheckInvariants(member.store).ok());
    for (const auto& put : puts) {
      if (!Ok(put)) continue;
      const std::string key = put->key.empty() ? "m" + put->value + "/2" : put->key;
      EXPECT_EQ(StaleGet(&member, key), put->value);
    }
  }
  EXPECT_EQ(leaders, 1U);
  members.clear();
}

// More by JETD_TEST_SEEDS.
int Seeds() {
  const char* count = std::getenv("JETD_TEST_SEEDS");
  return count == nullptr ? 60 : std::atoi(count);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomMembersTest, ::testing::Range(0, Seeds()));

}  // namespace
}  // namespace jetd::revision
