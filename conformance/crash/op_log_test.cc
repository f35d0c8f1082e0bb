// SPDX-License-Identifier: Apache-2.0
#include "conformance/crash/op_log.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A run that went well, and what each test breaks in it.
class OpLogTest : public testing::Test {
 protected:
  OpLogTest() {
    ops_ = {{.writer = 0,
             .number = 0,
             .keys = {{.key = "a", .value = "a0"}},
             .outcome = Outcome::kAcked,
             .revision = 2},
            {.writer = 0,
             .number = 1,
             .keys = {{.key = "a", .value = "a1"}, {.key = "b", .value = "b1"}},
             .outcome = Outcome::kAcked,
             .revision = 3},
            {.writer = 0,
             .number = 2,
             .keys = {{.key = "a", .value = "a2"}},
             .outcome = Outcome::kUnknown,
             .error = "Socket closed"},
            {.writer = 0,
             .number = 3,
             .keys = {{.key = "b", .is_delete = true}},
             .outcome = Outcome::kAcked,
             .revision = 5},
            {.writer = 0,
             .number = 4,
             .keys = {{.key = "b", .is_delete = true, .had_effect = false}},
             .outcome = Outcome::kAcked,
             .revision = 5},
            {.writer = 0,
             .number = 5,
             .keys = {{.key = "b", .value = "b5"}},
             .outcome = Outcome::kRefused,
             .error = "etcdserver: leader changed"},
            {.writer = 0,
             .number = 6,
             .keys = {{.key = "a", .is_delete = true}},
             .outcome = Outcome::kUnknown,
             .error = "Socket closed"}};
    history_ = {{.revision = 2, .key = "a", .value = "a0", .create_revision = 2, .version = 1},
                {.revision = 3, .key = "a", .value = "a1", .create_revision = 2, .version = 2},
                {.revision = 3, .key = "b", .value = "b1", .create_revision = 3, .version = 1},
                {.revision = 4, .key = "a", .value = "a2", .create_revision = 2, .version = 3},
                {.revision = 5, .key = "b", .is_delete = true},
                {.revision = 6, .key = "a", .is_delete = true}};
  }

  std::vector<std::string> Check() {
    OpLog log(ops_);
    std::vector<std::string> violations = log.Check(history_, final_);
    counts_ = log.counts();
    return violations;
  }
  // The only complaint has this in it.
  void ExpectFound(const std::string& text) {
    const std::vector<std::string> violations = Check();
    EXPECT_THAT(violations, testing::Contains(HasSubstr(text)));
  }

  std::vector<WriteOp> ops_;
  std::vector<HistoryEvent> history_;
  std::map<std::string, FinalKey> final_;
  OpCounts counts_;
};

TEST_F(OpLogTest, AGoodRun) {
  EXPECT_THAT(Check(), IsEmpty());
  EXPECT_EQ(counts_.acked, 4U);
  EXPECT_EQ(counts_.refused, 1U);
  EXPECT_EQ(counts_.unknown, 2U);
  EXPECT_EQ(counts_.unknown_landed, 1U);
}

TEST_F(OpLogTest, UnknownWritesMayBeMissing) {
  history_.pop_back();  // the delete of a
  final_["a"] = {"a2", 2, 4, 3};
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(OpLogTest, AnAckedWriteIsMissing) {
  history_.erase(history_.begin());
  ExpectFound("write 0 of writer 0 was answered with revision 2 and a is missing there");
}

TEST_F(OpLogTest, AnAckedDeleteIsMissing) {
  history_[4] = {.revision = 5, .key = "c", .value = "c", .create_revision = 5, .version = 1};
  ExpectFound("write 3 of writer 0 was answered with revision 5 and b is missing there");
}

TEST_F(OpLogTest, AnAckedWriteIsElsewhere) {
  ops_[0].revision = 1;
  ExpectFound("a is elsewhere");
}

TEST_F(OpLogTest, ARefusedWriteIsThere) {
  ops_[2].outcome = Outcome::kRefused;
  ExpectFound("write 2 of writer 0 was refused (Socket closed) and is there");
}

TEST_F(OpLogTest, ARefusedDeleteIsThere) {
  ops_[6].outcome = Outcome::kRefused;
  ExpectFound("nobody's: delete of a at revision 6");
}

TEST_F(OpLogTest, ATornTransaction) {
  ops_[1].outcome = Outcome::kUnknown;
  history_.erase(history_.begin() + 2);
  ExpectFound("write 1 of writer 0 is torn");
}

TEST_F(OpLogTest, AWriteTwice) {
  history_.push_back(
      {.revision = 7, .key = "a", .value = "a2", .create_revision = 7, .version = 1});
  ExpectFound("one write twice");
}

TEST_F(OpLogTest, AStrangersWrite) {
  history_.push_back({.revision = 7, .key = "a", .value = "?", .create_revision = 7, .version = 1});
  ExpectFound("nobody's: put of a at revision 7");
}

TEST_F(OpLogTest, AnUnknownWriteThatLandsAfterALaterAckedOne) {
  ops_.push_back({.writer = 0,
                  .number = 7,
                  .keys = {{.key = "c", .value = "c7"}},
                  .outcome = Outcome::kUnknown});
  ops_.push_back({.writer = 0,
                  .number = 8,
                  .keys = {{.key = "c", .value = "c8"}},
                  .outcome = Outcome::kAcked,
                  .revision = 7});
  history_.push_back(
      {.revision = 7, .key = "c", .value = "c8", .create_revision = 7, .version = 1});
  history_.push_back(
      {.revision = 8, .key = "c", .value = "c7", .create_revision = 7, .version = 2});
  final_["c"] = {"c7", 7, 8, 2};
  EXPECT_THAT(Check(), ElementsAre("put of c at revision 8: write 7 comes after write 8"));
}

TEST_F(OpLogTest, AHoleInTheRevisions) {
  history_.back().revision = 8;
  ExpectFound("no event between the revisions 5 and 8");
}

TEST_F(OpLogTest, AWrongVersion) {
  history_[3].version = 7;
  ExpectFound("has version 7 and create revision 2, not 3 and 2; before it: put 3, put 2");
}

TEST_F(OpLogTest, AnotherFinalState) {
  final_["b"] = {"b1", 3, 3, 1};
  ExpectFound("b is there at the end, against the history");
  history_.pop_back();
  ExpectFound("a is missing at the end");
  final_["a"] = {"a1", 2, 4, 3};
  ExpectFound("a has another value at the end");
}

}  // namespace
}  // namespace jetd::conformance
