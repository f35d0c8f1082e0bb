// SPDX-License-Identifier: Apache-2.0
//
// Alarms as records: in the order with everything else, there again after a restart.
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "gtest/gtest.h"
#include "revision/committer.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using jetstream::Alarm;
using jetstream::AlarmType;
using jetstream::MemoryLog;
using jetstream::MemoryStream;
using Leg = MemoryLog::Leg;
using Change = Committer::AlarmChange;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Alarm kNoSpace{AlarmType::kNoSpace, 7};
constexpr Alarm kCorrupt{AlarmType::kCorrupt, 7};

class CommitterAlarmsTest : public ::testing::Test {
 protected:
  using Answer = std::shared_ptr<std::optional<absl::StatusOr<std::vector<Alarm>>>>;

  void SetUp() override { log::Init({.level = log::Level::kError}); }
  void Settle() {
    exec_.RunDeferred();
    exec_.Advance(milliseconds(200));
  }
  static Answer Ask(Member* member, Change change, const Alarm& alarm) {
    auto answer = std::make_shared<std::optional<absl::StatusOr<std::vector<Alarm>>>>();
    member->committer->ChangeAlarm(change, alarm, [answer](auto alarms) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = std::move(alarms);
    });
    return answer;
  }
  std::vector<Alarm> Do(Member* member, Change change, const Alarm& alarm) {
    const Answer answer = Ask(member, change, alarm);
    Settle();
    if (!answer->has_value() || !(*answer)->ok()) {
      ADD_FAILURE() << "no answer";
      return {};
    }
    return ***answer;
  }
  Errc Put(Member* member, const std::string& key = "k") {
    const auto put = member->Put(key, "v");
    Settle();
    EXPECT_TRUE(put->answer.has_value());
    return put->answer ? GetErrc(put->answer->status()) : Errc::kTimeout;
  }
  Errc Delete(Member* member, const std::string& key) {
    const auto removed = member->Delete(key);
    Settle();
    EXPECT_TRUE(removed->answer.has_value());
    return removed->answer ? GetErrc(removed->answer->status()) : Errc::kTimeout;
  }
  Errc Grant(Member* member, int64_t id) {
    Errc result = Errc::kTimeout;
    member->committer->GrantLease(LeaseId(id), 100,
                                  [&](const auto& lease) { result = GetErrc(lease.status()); });
    Settle();
    return result;
  }
  Errc Revoke(Member* member, int64_t id) {
    Errc result = Errc::kTimeout;
    member->committer->RevokeLease(LeaseId(id),
                                   [&](const auto& done) { result = GetErrc(done.status()); });
    Settle();
    return result;
  }
  Errc Compact(Member* member, int64_t revision) {
    Errc result = Errc::kTimeout;
    member->committer->Compact(Revision(revision), Committer::Wait::kLogical,
                               [&](const auto& done) { result = GetErrc(done.status()); });
    Settle();
    return result;
  }

  FakeExecutor exec_;
  MemoryStream stream_;
};

TEST_F(CommitterAlarmsTest, NoSpaceRefusesWhatTakesRoom) {
  Member member(&exec_, &stream_, "a");
  EXPECT_EQ(Put(&member), Errc::kNone);
  EXPECT_EQ(Grant(&member, 1), Errc::kNone);
  EXPECT_EQ(Do(&member, Change::kRaise, kNoSpace), std::vector<Alarm>{kNoSpace});
  EXPECT_EQ(Put(&member), Errc::kNoSpace);
  EXPECT_EQ(Grant(&member, 2), Errc::kNoSpace);
  EXPECT_EQ(member.Get("k"), "v");
  EXPECT_EQ(Delete(&member, "k"), Errc::kNone);
  EXPECT_EQ(Revoke(&member, 1), Errc::kNone);
  EXPECT_EQ(Compact(&member, 2), Errc::kNone);
  EXPECT_EQ(member.store.committed(), Revision(3)) << "an alarm adds no revision";
  EXPECT_EQ(Do(&member, Change::kDisarm, kNoSpace), std::vector<Alarm>{kNoSpace});
  EXPECT_EQ(Put(&member), Errc::kNone);
}

TEST_F(CommitterAlarmsTest, CorruptRefusesEveryWrite) {
  Member member(&exec_, &stream_, "a");
  EXPECT_EQ(Put(&member), Errc::kNone);
  EXPECT_EQ(Grant(&member, 1), Errc::kNone);
  Do(&member, Change::kRaise, kCorrupt);
  EXPECT_EQ(Put(&member), Errc::kCorrupt);
  EXPECT_EQ(Delete(&member, "k"), Errc::kCorrupt);
  EXPECT_EQ(Grant(&member, 2), Errc::kCorrupt);
  EXPECT_EQ(Revoke(&member, 1), Errc::kCorrupt);
  EXPECT_EQ(Compact(&member, 2), Errc::kCorrupt);
  EXPECT_EQ(member.Get("k"), "v") << "etcd 3.5 goes on reading";
  Do(&member, Change::kDisarm, kCorrupt);
  EXPECT_EQ(Put(&member), Errc::kNone);
}

TEST_F(CommitterAlarmsTest, CountFromTheirPlaceInTheOrder) {
  Member member(&exec_, &stream_, "a");
  member.log.Hold(Leg::kRequest);
  const auto before = member.Put("k", "before");
  const Answer raised = Ask(&member, Change::kRaise, kNoSpace);
  const auto between = member.Put("k", "between");
  const Answer disarmed = Ask(&member, Change::kDisarm, kNoSpace);
  const auto after = member.Put("k", "after");
  Settle();
  EXPECT_TRUE(member.committer->alarms().all().empty()) << "nothing is in the stream yet";
  member.log.Release(Leg::kRequest);
  Settle();
  EXPECT_TRUE(before->answer->ok());
  EXPECT_EQ(GetErrc(between->answer->status()), Errc::kNoSpace);
  EXPECT_TRUE(after->answer->ok());
  EXPECT_EQ(member.Get("k"), "after");
  EXPECT_TRUE(raised->has_value() && disarmed->has_value());
  EXPECT_TRUE(member.committer->alarms().all().empty());
}

TEST_F(CommitterAlarmsTest, AreThereAgainAfterARestart) {
  {
    Member member(&exec_, &stream_, "a");
    Do(&member, Change::kRaise, kNoSpace);
    Do(&member, Change::kRaise, {AlarmType::kNoSpace, 8});
    Do(&member, Change::kDisarm, kNoSpace);
  }
  Member next(&exec_, &stream_, "b");
  Settle();
  EXPECT_EQ(next.committer->alarms().all(), (std::vector<Alarm>{{AlarmType::kNoSpace, 8}}));
  EXPECT_EQ(Put(&next), Errc::kNoSpace);
  EXPECT_TRUE(Do(&next, Change::kDisarm, kNoSpace).empty()) << "it is not raised any more";
  Do(&next, Change::kDisarm, {AlarmType::kNoSpace, 8});
  EXPECT_EQ(Put(&next), Errc::kNone);
}

TEST_F(CommitterAlarmsTest, AreInTheCheckpoint) {
  MemoryLog::Options embedded;
  embedded.exclusive = true;
  const ScratchFolder folder;
  {
    Member member(&exec_, &stream_, "a", embedded, 1000, folder.path());
    Do(&member, Change::kRaise, kCorrupt);
    member.committer->Stop();
    EXPECT_TRUE(member.committer->SaveCheckpoint().ok());
  }
  Member next(&exec_, &stream_, "b", embedded, 1000, folder.path());
  Settle();
  EXPECT_LT(next.committer->counters().replayed_records, 2U) << "the checkpoint was not used";
  EXPECT_EQ(next.committer->alarms().all(), std::vector<Alarm>{kCorrupt});
  EXPECT_EQ(Put(&next), Errc::kCorrupt);
}

// A foreign record takes the place of the alarm's: it is judged anew with all that came behind it.
TEST_F(CommitterAlarmsTest, AreJudgedAnewWhenTheChainBreaks) {
  Member member(&exec_, &stream_, "a");
  Settle();
  member.log.Hold(Leg::kRequest);
  const Answer raised = Ask(&member, Change::kRaise, kNoSpace);
  const auto put = member.Put("k", "v");
  Settle();
  stream_.AppendForeign({.subject = "$KV.B.intruder", .payload = "x"});
  member.log.Release(Leg::kRequest);
  Settle();
  ASSERT_TRUE(raised->has_value() && (*raised)->ok());
  EXPECT_EQ(GetErrc(put->answer->status()), Errc::kNoSpace);
  EXPECT_EQ(member.committer->alarms().all(), std::vector<Alarm>{kNoSpace});
  EXPECT_GT(member.committer->counters().chain_breaks, 0U);
}

TEST_F(CommitterAlarmsTest, OnlyTheNewestRecordStays) {
  Member member(&exec_, &stream_, "a");
  for (int i = 0; i < 10; ++i) {
    Do(&member, Change::kRaise, kNoSpace);
    Do(&member, Change::kDisarm, kNoSpace);
  }
  EXPECT_EQ(Put(&member), Errc::kNone);
  EXPECT_EQ(Compact(&member, 2), Errc::kNone);
  exec_.Advance(seconds(5));
  int left = 0;
  for (StreamSeq seq(1); seq <= stream_.last(); seq = seq.Next()) {
    const auto record = stream_.Find(seq);
    if (record != nullptr && record->subject == "$KV.B._jetd.alarm") ++left;
  }
  EXPECT_EQ(left, 1);
}

TEST_F(CommitterAlarmsTest, AreBounded) {
  Member member(&exec_, &stream_, "a");
  for (uint64_t id = 0; id < limits::kMaxAlarms; ++id) {
    Ask(&member, Change::kRaise, {AlarmType::kNoSpace, id});
  }
  const Answer beyond = Ask(&member, Change::kRaise, {AlarmType::kNoSpace, limits::kMaxAlarms});
  const Answer again = Ask(&member, Change::kRaise, {AlarmType::kNoSpace, 1});
  Settle();
  ASSERT_TRUE(beyond->has_value() && again->has_value());
  EXPECT_EQ(GetErrc((*beyond)->status()), Errc::kTooManyRequests);
  EXPECT_TRUE((*again)->ok());
  EXPECT_EQ(member.committer->alarms().all().size(), limits::kMaxAlarms);
}

}  // namespace
}  // namespace jetd::revision
