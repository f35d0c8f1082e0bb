// SPDX-License-Identifier: Apache-2.0
#include "revision/quota.h"

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/silent_observer.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using jetstream::Alarm;
using jetstream::AlarmType;
using jetstream::MemoryLog;
using jetstream::MemoryStream;
using Leg = MemoryLog::Leg;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = Quota::Verdict;

class CountedLog : public MemoryLog {
 public:
  using MemoryLog::MemoryLog;
  void Room(RoomFn done) override {
    ++questions;
    MemoryLog::Room(std::move(done));
  }
  int questions = 0;
};

MemoryLog::Options Telling() {
  MemoryLog::Options options;
  options.tells_room = true;
  return options;
}

class QuotaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    log_.Open(&observer_, [](const absl::Status&) {});
    exec_.RunDeferred();
  }
  // Until it is not kUnknown any more.
  Verdict Judge(uint64_t cost, uint64_t pending = 0) {
    Verdict verdict = JudgeOnce(cost, pending);
    for (int i = 0; i < 3 && verdict == Verdict::kUnknown; ++i) {
      exec_.RunDeferred();
      verdict = JudgeOnce(cost, pending);
    }
    return verdict;
  }
  Verdict JudgeOnce(uint64_t cost, uint64_t pending = 0) {
    return quota_->Judge(cost, {.held_bytes = 0, .pending_bytes = pending});
  }
  StreamSeq Fill(size_t bytes) {
    return stream_.AppendForeign({.subject = "", .payload = std::string(bytes, 'x')});
  }

  FakeExecutor exec_;
  MemoryStream stream_;
  CountedLog log_{&exec_, &stream_, Telling()};
  jetstream::SilentObserver observer_;
  int answers_ = 0;
  std::optional<Quota> quota_{std::in_place, &exec_, &log_, Quota::Options{.backend_bytes = 1000},
                              [this] { ++answers_; }};
};

TEST_F(QuotaTest, ComparesAsEtcdDoes) {
  const auto judge = [this](uint64_t cost, uint64_t held) {
    return quota_->Judge(cost, {.held_bytes = held, .pending_bytes = 0});
  };
  EXPECT_EQ(judge(400, 600), Verdict::kFull) << "no question asked";
  EXPECT_EQ(log_.questions, 0);
  EXPECT_NE(quota_->why().find("--quota-backend-bytes is 1000"), std::string::npos);
  EXPECT_EQ(Judge(1), Verdict::kFits);
  EXPECT_EQ(judge(399, 600), Verdict::kFits);
}

// In the following the stream takes 1,200 bytes, of which a quarter is kept back.
TEST_F(QuotaTest, AsksOnceASecondAndReckonsInBetween) {
  stream_.set_max_bytes(1'200);
  EXPECT_EQ(JudgeOnce(1), Verdict::kUnknown) << "nothing is known yet";
  exec_.RunDeferred();
  EXPECT_EQ(answers_, 1);
  for (int i = 0; i < 899; ++i) {
    ASSERT_EQ(JudgeOnce(1), Verdict::kFits) << i;
    quota_->OnLanded(1);
    if (i % 100 == 0) exec_.Advance(milliseconds(100));
  }
  EXPECT_EQ(log_.questions, 1);
  EXPECT_EQ(JudgeOnce(1), Verdict::kFits);
  EXPECT_NE(JudgeOnce(2), Verdict::kFits);
  EXPECT_NE(JudgeOnce(1, 1), Verdict::kFits) << "what is on its way counts";
}

TEST_F(QuotaTest, IsFullOnlyByAFreshAnswer) {
  stream_.set_max_bytes(1'200);
  const StreamSeq garbage = Fill(850);
  EXPECT_EQ(Judge(50), Verdict::kFits);
  EXPECT_EQ(Judge(51), Verdict::kFull);
  EXPECT_NE(quota_->why().find("the stream's limit leaves 350 bytes"), std::string::npos)
      << quota_->why();
  exec_.Advance(milliseconds(500));
  stream_.Delete(garbage);
  EXPECT_EQ(JudgeOnce(200), Verdict::kUnknown);
  EXPECT_EQ(JudgeOnce(50), Verdict::kFits) << "what fits anyway does not wait";
  exec_.RunDeferred();
  EXPECT_EQ(JudgeOnce(200), Verdict::kFits);
}

TEST_F(QuotaTest, WaitsNoLongerThanASecond) {
  stream_.set_max_bytes(1'200);
  Fill(850);
  log_.Hold(Leg::kApi);
  EXPECT_EQ(JudgeOnce(200), Verdict::kUnknown);
  exec_.Advance(milliseconds(999));
  EXPECT_EQ(answers_, 0);
  exec_.Advance(milliseconds(1));
  EXPECT_EQ(answers_, 1);
  EXPECT_EQ(JudgeOnce(200), Verdict::kFits) << "the stream itself refuses what is too much";
  log_.Release(Leg::kApi);
  exec_.RunDeferred();
  EXPECT_EQ(JudgeOnce(200), Verdict::kFull);
}

// A server that says nothing of an account to whoever may not ask about it is waited for once.
TEST_F(QuotaTest, WaitsOnceForOneAnswer) {
  log_.Hold(Leg::kApi);
  EXPECT_EQ(JudgeOnce(1), Verdict::kUnknown);
  exec_.Advance(seconds(1));
  EXPECT_EQ(answers_, 1);
  for (int i = 0; i < 90; ++i) {
    ASSERT_EQ(JudgeOnce(1), Verdict::kFits) << i;
    exec_.Advance(milliseconds(100));
  }
  EXPECT_EQ(log_.questions, 1);
  log_.Disconnect();
  exec_.RunDeferred();
  EXPECT_EQ(JudgeOnce(1), Verdict::kFits);
  exec_.Advance(seconds(2));
  EXPECT_EQ(JudgeOnce(1), Verdict::kUnknown) << "it is asked again";
}

TEST_F(QuotaTest, ALostConnectionIsNoRefusal) {
  stream_.set_max_bytes(1'200);
  Fill(850);
  EXPECT_EQ(JudgeOnce(200), Verdict::kUnknown);
  log_.Disconnect();
  exec_.RunDeferred();
  EXPECT_EQ(answers_, 1);
  EXPECT_EQ(JudgeOnce(200), Verdict::kFits);
}

TEST_F(QuotaTest, KeepsASixteenthWithinBounds) {
  const auto usable = [this](uint64_t limit) {
    stream_.set_max_bytes(limit);
    quota_.emplace(&exec_, &log_, Quota::Options{.backend_bytes = Quota::kNone}, [] {});
    uint64_t low = 0, high = limit;
    while (low < high) {
      const uint64_t middle = high - (high - low) / 2;
      if (Judge(middle) == Verdict::kFits) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  };
  EXPECT_EQ(usable(2UL << 20), (2UL << 20) / 4 * 3);
  EXPECT_EQ(usable(8UL << 20), (8UL << 20) - (1UL << 20));
  EXPECT_EQ(usable(64UL << 20), (64UL << 20) / 16 * 15);
  EXPECT_EQ(usable(64UL << 30), (64UL << 30) - (64UL << 20));
}

// --- through a whole member ---------------------------------------------------------------------

class QuotaMemberTest : public ::testing::Test {
 protected:
  void SetUp() override { log::Init({.level = log::Level::kError}); }
  void Settle() {
    exec_.RunDeferred();
    exec_.Advance(milliseconds(200));
  }
  // Puts until one is refused; how many were taken.
  int Fill(Member* member, size_t bytes, int most = 10'000) {
    for (int i = 0; i < most; ++i) {
      const auto put = member->Put(Cat("fill/", filled_++), std::string(bytes, 'x'));
      exec_.RunDeferred();
      exec_.Advance(milliseconds(1));
      if (put->answer && GetErrc(put->answer->status()) == Errc::kNoSpace) return i;
      EXPECT_TRUE(put->answer && put->answer->ok()) << i;
      if (!put->answer || !put->answer->ok()) return i;
    }
    ADD_FAILURE() << "it never fills up";
    return most;
  }
  Errc Put(Member* member, size_t bytes = 1) {
    const auto put = member->Put("k", std::string(bytes, 'v'));
    Settle();
    return put->answer ? GetErrc(put->answer->status()) : Errc::kTimeout;
  }
  bool Raised(const Member& member) {
    return member.committer->alarms().all() ==
           std::vector<Alarm>{{AlarmType::kNoSpace, std::hash<std::string>()("a")}};
  }
  void Disarm(Member* member) {
    member->committer->ChangeAlarm(Committer::AlarmChange::kDisarm,
                                   {AlarmType::kNoSpace, std::hash<std::string>()("a")},
                                   [](const auto& alarms) { EXPECT_TRUE(alarms.ok()); });
    Settle();
  }
  void DeleteAndCompact(Member* member) {
    const auto removed = member->Delete("fill/", "fill0");
    Settle();
    ASSERT_TRUE(removed->answer && removed->answer->ok()) << "deletes go on";
    absl::Status compacted = absl::UnknownError("no answer");
    member->committer->Compact(member->store.committed(), Committer::Wait::kPhysical,
                               [&](const auto& done) { compacted = done.status(); });
    exec_.Advance(seconds(20));
    EXPECT_TRUE(compacted.ok()) << compacted << ": compactions go on";
  }

  FakeExecutor exec_;
  MemoryStream stream_;
  int filled_ = 0;
};

TEST_F(QuotaMemberTest, TheAlarmRisesAtTheQuotaAndAgainWithoutRoom) {
  Member member(&exec_, &stream_, "a", Telling(), {}, {}, Quota::Options{.backend_bytes = 100'000});
  const int taken = Fill(&member, 1000);
  EXPECT_NEAR(taken, 87, 10);
  EXPECT_TRUE(Raised(member));
  EXPECT_EQ(Put(&member), Errc::kNoSpace);
  EXPECT_EQ(member.Get("fill/0").size(), 1000U) << "reads go on";
  // There is no more room than before.
  Disarm(&member);
  EXPECT_FALSE(Raised(member));
  EXPECT_EQ(Put(&member, 1000), Errc::kNoSpace);
  EXPECT_TRUE(Raised(member));
  DeleteAndCompact(&member);
  EXPECT_EQ(Put(&member), Errc::kNoSpace) << "room alone disarms nothing";
  Disarm(&member);
  EXPECT_EQ(Put(&member), Errc::kNone);
  EXPECT_FALSE(Raised(member));
  EXPECT_GT(Fill(&member, 1000), 60);
  EXPECT_EQ(member.committer->counters().chain_breaks, 0U);
}

TEST_F(QuotaMemberTest, LeasesCountToo) {
  Member member(&exec_, &stream_, "a", Telling(), {}, {}, Quota::Options{.backend_bytes = 10'000});
  Fill(&member, 1000);
  Disarm(&member);
  Fill(&member, 1);
  Disarm(&member);
  Errc granted = Errc::kTimeout;
  for (int i = 1; i < 100 && granted != Errc::kNoSpace; ++i) {
    member.committer->GrantLease(LeaseId(i), 100,
                                 [&](const auto& lease) { granted = GetErrc(lease.status()); });
    Settle();
  }
  EXPECT_EQ(granted, Errc::kNoSpace);
  EXPECT_TRUE(Raised(member));
}

TEST_F(QuotaMemberTest, TheStreamsLimitIsNotRunInto) {
  stream_.set_max_bytes(8UL << 20);
  Member member(&exec_, &stream_, "a", Telling(), {}, {}, Quota::Options{});
  const int taken = Fill(&member, 100'000);
  EXPECT_NEAR(taken, 70, 5) << "a megabyte is kept back";
  EXPECT_TRUE(Raised(member));
  DeleteAndCompact(&member);
  Disarm(&member);
  EXPECT_GT(Fill(&member, 100'000), 50);
  EXPECT_EQ(member.committer->counters().chain_breaks, 0U);
}

// An account whose limit cannot be seen: the stream's refusal raises the alarm, if need be without
// a record, and the chain does not break for each put.
TEST_F(QuotaMemberTest, ARefusalOfTheStreamRaisesTheAlarm) {
  MemoryLog::Options silent;
  Member member(&exec_, &stream_, "a", silent, {}, {}, Quota::Options{});
  Settle();
  stream_.set_max_bytes(stream_.State().bytes + 50'000);
  Fill(&member, 1000);
  EXPECT_TRUE(Raised(member));
  const uint64_t breaks = member.committer->counters().chain_breaks;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Put(&member), Errc::kNoSpace);
  EXPECT_EQ(member.committer->counters().chain_breaks, breaks);
  EXPECT_EQ(member.Get("fill/0").size(), 1000U);
  stream_.set_max_bytes(MemoryStream::kNoLimit);
  Disarm(&member);
  EXPECT_EQ(Put(&member), Errc::kNone);
  EXPECT_FALSE(Raised(member));
  Member next(&exec_, &stream_, "b");
  Settle();
  EXPECT_TRUE(next.committer->alarms().all().empty());
}

// So little room that the term record which voids a foreign one is refused too.
TEST_F(QuotaMemberTest, TheAlarmOfARefusedTermRecordCountsAndIsDisarmed) {
  MemoryLog::Options silent;
  Member member(&exec_, &stream_, "a", silent, {}, {}, Quota::Options{});
  EXPECT_EQ(Put(&member), Errc::kNone);
  stream_.AppendForeign({.subject = "$KV.B.intruder", .payload = "x"});
  stream_.set_max_bytes(stream_.State().bytes);
  member.committer->OnForeignTerm();  // as the guard says it
  Settle();
  EXPECT_FALSE(member.committer->leading());
  stream_.set_max_bytes(MemoryStream::kNoLimit);
  exec_.Advance(seconds(2));
  ASSERT_TRUE(member.committer->leading()) << member.committer->waiting_for();
  EXPECT_TRUE(Raised(member));
  EXPECT_EQ(Put(&member), Errc::kNoSpace) << "what is raised refuses";
  Disarm(&member);
  EXPECT_FALSE(Raised(member));
  EXPECT_EQ(Put(&member), Errc::kNone);
}

// Full to the last byte, also what takes room away is refused, again and again.
TEST_F(QuotaMemberTest, TheLogIsToldOnceOfBreaksThatLast) {
  MemoryLog::Options silent;
  Member member(&exec_, &stream_, "a", silent, {}, {}, Quota::Options{});
  EXPECT_EQ(Put(&member), Errc::kNone);
  stream_.set_max_bytes(stream_.State().bytes);
  log::Init({.level = log::Level::kWarn});
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 20; ++i) {
    member.Delete("k");
    exec_.RunDeferred();
    exec_.Advance(milliseconds(50));
  }
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_GE(member.committer->counters().chain_breaks, 20U);
  size_t lines = 0;
  for (size_t at = 0; (at = said.find("the chain broke", at)) != said.npos; ++at) ++lines;
  EXPECT_EQ(lines, 1U) << said;
}

// Many puts at once: those that fit are taken, the others refused, and what is on its way counts.
TEST_F(QuotaMemberTest, ABurstDoesNotRunOverTheQuota) {
  Member member(&exec_, &stream_, "a", Telling(), {}, {}, Quota::Options{.backend_bytes = 100'000});
  member.log.Hold(Leg::kRequest);
  std::vector<Member::PendingOp> puts;
  for (int i = 0; i < 300; ++i) puts.push_back(member.Put(Cat("k", i), std::string(1000, 'x')));
  Settle();
  member.log.Release(Leg::kRequest);
  Settle();
  int taken = 0;
  for (const auto& put : puts) {
    ASSERT_TRUE(put->answer.has_value());
    if (put->answer->ok()) ++taken;
    if (!put->answer->ok()) {
      EXPECT_EQ(GetErrc(put->answer->status()), Errc::kNoSpace);
    }
  }
  EXPECT_GT(taken, 60);
  EXPECT_LE(taken, 100);
}

}  // namespace
}  // namespace jetd::revision
