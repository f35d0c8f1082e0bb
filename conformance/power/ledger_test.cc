// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/ledger.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::conformance::power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A store at revision 4 with a and b, then what happened in one round, all well; each test breaks
// something in it.
class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    const std::vector<WriteOp> first = {
        {.keys = {{.key = "a", .value = "a0"}}, .outcome = Outcome::kAcked, .revision = 2},
        {.keys = {{.key = "b", .value = "b0"}}, .outcome = Outcome::kAcked, .revision = 3},
        {.keys = {{.key = "c", .value = "c0"}}, .outcome = Outcome::kAcked, .revision = 4}};
    ledger_.Settle(first,
                   {Put(2, "a", "a0", 2, 1), Put(3, "b", "b0", 3, 1), Put(4, "c", "c0", 4, 1)},
                   {{"a", {"a0", 2, 2, 1}}, {"b", {"b0", 3, 3, 1}}, {"c", {"c0", 4, 4, 1}}}, 4);
    // An answered transaction, an answered delete, and an unanswered transaction that happened.
    ops_ = {{.number = 3,
             .keys = {{.key = "a", .value = "a1"}, {.key = "d", .value = "d0"}},
             .outcome = Outcome::kAcked,
             .revision = 5},
            {.number = 4,
             .keys = {{.key = "c", .is_delete = true}},
             .outcome = Outcome::kAcked,
             .revision = 6},
            {.writer = 1,
             .number = 9,
             .keys = {{.key = "e", .value = "e0"}, {.key = "b", .is_delete = true}},
             .outcome = Outcome::kUnknown}};
    events_ = {Put(5, "a", "a1", 2, 2), Put(5, "d", "d0", 5, 1), Delete(6, "c"),
               Put(7, "e", "e0", 7, 1), Delete(7, "b")};
    found_ = {{"a", {"a1", 2, 5, 2}}, {"d", {"d0", 5, 5, 1}}, {"e", {"e0", 7, 7, 1}}};
  }

  static HistoryEvent Put(int64_t revision, const std::string& key, const std::string& value,
                          int64_t created, int64_t version) {
    return {.revision = revision,
            .key = key,
            .value = value,
            .create_revision = created,
            .version = version};
  }
  static HistoryEvent Delete(int64_t revision, const std::string& key) {
    return {.revision = revision, .key = key, .is_delete = true};
  }
  const Ledger::Counts& Settle() {
    ledger_.Settle(ops_, events_, found_, head_);
    return ledger_.counts();
  }

  Ledger ledger_;
  std::vector<WriteOp> ops_;
  std::vector<HistoryEvent> events_;
  Ledger::State found_;
  int64_t head_ = 7;
};

TEST_F(LedgerTest, AllIsWell) {
  const Ledger::Counts& counts = Settle();
  EXPECT_EQ(counts.acked, 5U);
  EXPECT_EQ(counts.unknown, 1U);
  EXPECT_EQ(counts.unknown_landed, 1U);
  EXPECT_EQ(counts.wrong(), 0U);
  EXPECT_THAT(ledger_.violations(), IsEmpty());
  EXPECT_EQ(ledger_.revision(), 7);
}

TEST_F(LedgerTest, AnUnansweredWriteNeedNotBeThere) {
  events_.resize(3);
  found_.erase("e");
  found_["b"] = {"b0", 3, 3, 1};
  head_ = 6;
  EXPECT_EQ(Settle().wrong(), 0U);
  EXPECT_EQ(ledger_.counts().unknown_landed, 0U);
}

TEST_F(LedgerTest, AnAnsweredWriteThatIsLost) {
  events_.resize(2);
  found_ = {{"a", {"a1", 2, 5, 2}},
            {"b", {"b0", 3, 3, 1}},
            {"c", {"c0", 4, 4, 1}},
            {"d", {"d0", 5, 5, 1}}};
  head_ = 5;
  const Ledger::Counts& counts = Settle();
  EXPECT_EQ(counts.lost, 1U);
  EXPECT_EQ(counts.came_back, 1U) << "it was a delete";
  EXPECT_EQ(counts.wrong(), 2U);
  EXPECT_THAT(ledger_.violations(),
              ElementsAre(HasSubstr("answered with revision 6"), HasSubstr("c is back")));
  // Counted once: the next round begins with what is there.
  ledger_.Settle({}, {}, found_, 5);
  EXPECT_EQ(ledger_.counts().wrong(), 2U);
}

TEST_F(LedgerTest, ADeletedKeyThatIsThereAgainWithoutAnEvent) {
  found_["c"] = {"c0", 4, 4, 1};
  EXPECT_EQ(Settle().came_back, 1U);
  EXPECT_EQ(ledger_.counts().lost, 0U);
}

TEST_F(LedgerTest, AnOlderValueThatIsThereAgain) {
  found_["a"] = {"a0", 2, 2, 1};
  EXPECT_EQ(Settle().lost, 1U);
}

TEST_F(LedgerTest, AnAnsweredTransactionInPart) {
  events_.erase(events_.begin());
  found_["a"] = {"a0", 2, 2, 1};
  EXPECT_EQ(Settle().half, 1U);
  EXPECT_EQ(ledger_.counts().lost, 0U);
}

TEST_F(LedgerTest, AnUnansweredTransactionWithoutItsDelete) {
  events_.pop_back();
  found_["b"] = {"b0", 3, 3, 1};
  EXPECT_EQ(Settle().half, 1U);
}

TEST_F(LedgerTest, AnUnansweredTransactionWithoutItsPut) {
  events_.erase(events_.begin() + 3);
  found_.erase("e");
  EXPECT_EQ(Settle().half, 1U);
  EXPECT_EQ(ledger_.counts().wrong(), 1U);
}

TEST_F(LedgerTest, ARefusedWriteThatIsThere) {
  ops_[2].outcome = Outcome::kRefused;
  EXPECT_GT(Settle().other, 0U);
}

TEST_F(LedgerTest, ARevisionThatGoesBack) {
  Settle();
  ledger_.Settle({}, {}, found_, 6);
  EXPECT_THAT(ledger_.violations(), ElementsAre(HasSubstr("went back from 7 to 6")));
}

TEST_F(LedgerTest, ARevisionWithoutAnEvent) {
  head_ = 8;
  EXPECT_EQ(Settle().other, 1U);
}

TEST_F(LedgerTest, AWrongVersion) {
  events_[0].version = 1;
  found_["a"].version = 1;
  EXPECT_EQ(Settle().other, 1U);
}

}  // namespace
}  // namespace jetd::conformance::power
