// SPDX-License-Identifier: Apache-2.0
#include "replication/point_survey.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "replication/fold_harness.h"

namespace jetd::replication {
namespace {

// "1-4 7-9": the ranges.
std::string Ranges(const Points& points) {
  std::string text;
  for (const Points::Range& range : points.ranges) {
    CatTo(text, text.empty() ? "" : " ", range.first.value(), "-", range.last.value());
  }
  return text;
}

class PointSurveyTest : public ::testing::Test {
 protected:
  // What is left without the records at `seqs`, compacted.
  Points Left(const std::vector<uint64_t>& seqs, int64_t compacted) {
    return PointsOf(Without(history_.transactions, seqs), history_.End(Revision(compacted)),
                    Revision(compacted));
  }

  FakeHistory history_;
};

TEST_F(PointSurveyTest, AnEmptyStore) {
  const Points points = Left({}, 0);
  EXPECT_EQ(Ranges(points), "1-1");
  EXPECT_TRUE(points.gaps.empty());
  EXPECT_EQ(points.last_ns, 0);
}

TEST_F(PointSurveyTest, AllIsThereUntilItIsRemoved) {
  history_.Put("a", "1");  // sequence 1, revision 2
  history_.Put("a", "2");
  history_.Put("a", "3");
  history_.Put("b", "1");  // revision 5
  EXPECT_EQ(Ranges(Left({}, 0)), "1-5");
  EXPECT_EQ(Ranges(Left({}, 4)), "1-5") << "compacted, and nothing removed yet";
  EXPECT_EQ(Ranges(Left({2}, 4)), "1-2 4-5");
  EXPECT_EQ(Ranges(Left({1, 2}, 4)), "4-5");
  const Points points = Left({2}, 4);
  ASSERT_EQ(points.gaps.size(), 1U);
  EXPECT_EQ(points.gaps[0].first, Revision(3));
  EXPECT_EQ(points.gaps[0].last, Revision(3));
  EXPECT_EQ(points.ranges[0].last_ns, history_.transactions[0].time_ns);
  EXPECT_EQ(points.ranges[1].first_ns, history_.transactions[2].time_ns);
  EXPECT_EQ(points.ranges[1].last_ns, points.last_ns);
}

// The example of the header.
TEST_F(PointSurveyTest, AKeyThatIsGoneMayHaveLivedBetween) {
  history_.Put("a", "1");  // 2
  history_.Put("b", "1");  // 3
  history_.Delete("a");    // 4
  history_.Put("b", "2");  // 5
  history_.Put("c", "1");  // 6
  EXPECT_EQ(Ranges(Left({1, 2, 3}, 5)), "5-6");
  // Revision 3 is whole, and says nothing of a.
  EXPECT_EQ(Ranges(Left({1, 3}, 5)), "4-6");
}

TEST_F(PointSurveyTest, AValueThatADeleteEnded) {
  history_.Put("a", "1");  // 2
  history_.Put("a", "2");  // 3
  history_.Put("b", "1");  // 4
  history_.Delete("a");    // 5
  history_.Put("b", "2");  // 6
  // The first version lies there still; which one was deleted, the delete does not say.
  EXPECT_EQ(Ranges(Left({2}, 5)), "1-2 5-6");
  // Without any value of it.
  EXPECT_EQ(Ranges(Left({1, 2}, 5)), "5-6");
}

TEST_F(PointSurveyTest, APartOfATransaction) {
  history_.Txn({{"a", "1"}, {"b", "1"}, {"c", "1"}});  // 2: sequences 1 to 3
  history_.Put("b", "2");                              // 3
  history_.Put("d", "1");                              // 4
  EXPECT_EQ(Ranges(Left({2}, 3)), "3-4");
}

TEST_F(PointSurveyTest, ARevokedLeaseWhoseKeysAreGone) {
  history_.Grant(LeaseId(7), 60);      // sequence 1
  history_.Put("a", "1", LeaseId(7));  // 2: sequence 2
  history_.Revoke(LeaseId(7));         // 3: sequences 3 and 4
  history_.Put("b", "1");              // 4
  EXPECT_EQ(Ranges(Left({2, 3}, 4)), "3-4");
}

TEST_F(PointSurveyTest, ABucketThatWasRestored) {
  history_.Put("a", "1");  // 2
  history_.Put("a", "2");  // 3
  history_.Put("b", "1");  // 4
  // What was there at 4, at its revisions, and a compact revision far behind.
  TransactionReader::Result end = history_.End(Revision(1'000));
  end.revision = Revision(1'000);
  const auto rest = Without(history_.transactions, {1});
  EXPECT_EQ(Ranges(PointsOf(rest, end, Revision(1'000))), "1000-1000");
  const auto states = StatesOf(rest, end, Revision(1'000), {AtRevision(Revision(1'000)), Point{}});
  ASSERT_TRUE(states.ok()) << states.status();
  for (const State& state : *states) {
    EXPECT_EQ(state.revision, Revision(1'000));
    EXPECT_EQ(state.keys, history_.at(Revision(4)).keys);
  }
}

TEST_F(PointSurveyTest, InFrontOfDamage) {
  history_.Put("a", "1");  // 2
  history_.Put("a", "2");  // 3
  history_.Put("b", "1");  // 4
  const absl::Status hole = MakeError(Errc::kCorrupt, "a hole");
  const Points above = PointsOf(history_.transactions, hole, Revision(2));
  EXPECT_EQ(Ranges(above), "1-4");
  EXPECT_EQ(above.damage, hole);
  // Torn off behind the damage, perhaps.
  EXPECT_EQ(Ranges(PointsOf(Without(history_.transactions, {1}), hole, Revision(9))), "");
  EXPECT_EQ(Ranges(PointsOf(Without(history_.transactions, {2}), hole, Revision(9))), "1-2");
  EXPECT_EQ(Ranges(PointsOf(Without(history_.transactions, {1}), hole, Revision(4))), "3-4");
}

// The value was read, then a leader removed it, and the delete marker before that was read.
TEST_F(PointSurveyTest, AValueThatOutlivesItsDelete) {
  history_.Put("a", "1");  // 2
  history_.Delete("a");    // 3
  history_.Put("b", "1");  // 4
  history_.Put("b", "2");  // 5
  const auto listed = Rest(history_.transactions, [](const auto& transaction, auto* op) {
    op->dropped = op->key == "a";
    return transaction.revision != Revision(3);
  });
  EXPECT_EQ(Ranges(PointsOf(listed, history_.End(Revision(4)), Revision(4))), "1-2 4-5");
  auto states = StatesOf(listed, history_.End(Revision(4)), Revision(4),
                         {AtRevision(Revision(2)), AtRevision(Revision(4)), Point{}});
  ASSERT_TRUE(states.ok()) << states.status();
  EXPECT_EQ((*states)[0].keys, history_.at(Revision(2)).keys);
  EXPECT_EQ((*states)[1].keys, history_.at(Revision(4)).keys);
  EXPECT_EQ((*states)[2].keys, history_.at(Revision(5)).keys);
  // Not listed, but made anew later.
  history_.Put("a", "2");  // 6
  const auto anew = Rest(history_.transactions, [](const auto& transaction, auto*) {
    return transaction.revision != Revision(3);
  });
  EXPECT_EQ(Ranges(PointsOf(anew, history_.End(Revision(4)), Revision(4))), "1-2 4-6");
  states = StatesOf(anew, history_.End(Revision(4)), Revision(4),
                    {AtRevision(Revision(2)), AtRevision(Revision(5)), Point{}});
  ASSERT_TRUE(states.ok()) << states.status();
  EXPECT_EQ((*states)[0].keys, history_.at(Revision(2)).keys);
  EXPECT_EQ((*states)[1].keys, history_.at(Revision(5)).keys);
  EXPECT_EQ((*states)[2].keys, history_.at(Revision(6)).keys);
}

TEST_F(PointSurveyTest, AClockThatGoesBack) {
  for (const int64_t time_ns : {100, 200, 150, 180, 300}) {
    history_.time_ns = time_ns;
    history_.Put("a", "x");
  }
  const Points points = Left({}, 0);
  EXPECT_EQ(points.clock_went_back, 2U);
  EXPECT_EQ(points.clock_went_back_ns, 50);
  EXPECT_EQ(points.ranges[0].first_ns, 100);
  EXPECT_EQ(points.ranges[0].last_ns, 300);
}

}  // namespace
}  // namespace jetd::replication
