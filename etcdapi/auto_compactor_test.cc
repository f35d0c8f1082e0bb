// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/auto_compactor.h"

#include <vector>

#include "base/error.h"
#include "base/fake_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class AutoCompactorTest : public ::testing::Test {
 protected:
  void Start(const AutoCompaction& rule) {
    compactor_.emplace(
        &exec_, rule, [this] { return Revision(newest_); },
        [this](Revision revision, const AutoCompactor::DoneFn& done) {
          compacted_.push_back(revision.value());
          exec_.Defer([this, done] { done(answer_); });
        });
    compactor_->Start();
  }
  // One change a minute.
  void PassMinutes(int minutes) {
    for (int i = 0; i < minutes; ++i) {
      exec_.Advance(1min);
      ++newest_;
    }
  }

  FakeExecutor exec_;
  int64_t newest_ = 100;
  absl::Status answer_;
  std::vector<int64_t> compacted_;
  std::optional<AutoCompactor> compactor_;
};

TEST_F(AutoCompactorTest, PeriodicKeepsAPeriod) {
  Start({.mode = AutoCompaction::Mode::kPeriodic, .period = 10min});
  PassMinutes(9);
  EXPECT_THAT(compacted_, IsEmpty());
  PassMinutes(1);
  EXPECT_THAT(compacted_, ElementsAre(100));
  PassMinutes(10);
  // The oldest of eleven notes, which was taken in minute 9.
  EXPECT_THAT(compacted_, ElementsAre(100, 108));
}

TEST_F(AutoCompactorTest, LongPeriodsAreCompactedEveryHour) {
  Start({.mode = AutoCompaction::Mode::kPeriodic, .period = 3h});
  PassMinutes(3 * 60 - 1);
  EXPECT_THAT(compacted_, IsEmpty());
  PassMinutes(1);
  EXPECT_THAT(compacted_, ElementsAre(100));
  PassMinutes(60);
  // The oldest of 31 notes, one every six minutes: of minute 54.
  EXPECT_THAT(compacted_, ElementsAre(100, 153));
}

TEST_F(AutoCompactorTest, TriesAgainAfterAFailure) {
  Start({.mode = AutoCompaction::Mode::kPeriodic, .period = 10min});
  answer_ = MakeError(Errc::kUnavailable);
  PassMinutes(12);
  EXPECT_EQ(compacted_.size(), 3U);
  answer_ = MakeError(Errc::kCompacted);
  PassMinutes(1);
  EXPECT_EQ(compacted_.size(), 4U);
  PassMinutes(9);
  EXPECT_EQ(compacted_.size(), 4U);
}

TEST_F(AutoCompactorTest, ByRevisionEveryFiveMinutes) {
  Start({.mode = AutoCompaction::Mode::kRevision, .revisions = 90});
  PassMinutes(4);
  EXPECT_THAT(compacted_, IsEmpty());
  PassMinutes(1);
  EXPECT_THAT(compacted_, ElementsAre(14));
  exec_.Advance(10min);  // one change since the last compaction, then none
  EXPECT_THAT(compacted_, ElementsAre(14, 15));
}

TEST_F(AutoCompactorTest, ByRevisionLeavesAYoungStoreAlone) {
  Start({.mode = AutoCompaction::Mode::kRevision, .revisions = 1000});
  PassMinutes(20);
  EXPECT_THAT(compacted_, IsEmpty());
}

TEST_F(AutoCompactorTest, OffHasNoTimer) {
  Start({});
  EXPECT_EQ(exec_.timers(), 0U);
}

TEST_F(AutoCompactorTest, AnAnswerAfterItsEndIsIgnored) {
  Start({.mode = AutoCompaction::Mode::kRevision, .revisions = 1});
  AutoCompactor::DoneFn late;
  compactor_.emplace(
      &exec_, AutoCompaction{.mode = AutoCompaction::Mode::kRevision, .revisions = 1},
      [this] { return Revision(newest_); },
      [&](Revision /*revision*/, AutoCompactor::DoneFn done) { late = std::move(done); });
  compactor_->Start();
  exec_.Advance(5min);
  ASSERT_TRUE(late);
  compactor_.reset();
  late(absl::OkStatus());
  EXPECT_EQ(exec_.timers(), 0U);
}

}  // namespace
}  // namespace jetd::etcdapi
