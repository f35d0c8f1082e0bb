// SPDX-License-Identifier: Apache-2.0
//
// The two checkers of answers: a good history is accepted, each kind of bad one refused, and on
// small random histories both say what a judge says that tries every order.
#include <algorithm>
#include <random>
#include <string>

#include "conformance/history/group_check.h"
#include "conformance/history/random_history.h"
#include "conformance/history/revision_check.h"
#include "gtest/gtest.h"

namespace jetd::conformance::history {
namespace {

constexpr size_t kKeys = 4;
constexpr size_t kBudget = 1'000'000;

// A history written by hand: every operation has the time it is given.
class HistoryTest : public ::testing::Test {
 protected:
  Operation& Add(int64_t call, int64_t end, std::vector<Action> actions) {
    Operation operation;
    operation.client = static_cast<uint32_t>(window_.operations.size());
    operation.call_ns = call;
    operation.return_ns = end;
    operation.request.success = std::move(actions);
    operation.fate = Fate::kAnswered;
    window_.operations.push_back(std::move(operation));
    return window_.operations.back();
  }
  // An answered put that makes `revision` at a key that has version `version` then.
  ValueId Put(int64_t call, int64_t end, KeyId key, int64_t revision, int64_t version = 1,
              int64_t create = 0) {
    const ValueId value = MakeValueId(static_cast<uint32_t>(window_.operations.size()), 0, 0);
    Operation& put =
        Add(call, end, {{.kind = Action::Kind::kPut, .first = key, .last = key, .value = value}});
    put.answers = {{}};
    put.revision = revision;
    Happens(revision, key, value, version, create);
    return value;
  }
  void Happens(int64_t revision, KeyId key, ValueId value, int64_t version = 1,
               int64_t create = 0) {
    const KeyState state{.value = value,
                         .create = create == 0 ? revision : create,
                         .mod = revision,
                         .version = version};
    window_.truth.push_back({revision, {{key, state}}});
  }
  Operation& Get(int64_t call, int64_t end, KeyId key, int64_t revision, KeyState state) {
    Operation& get = Add(call, end, {{.kind = Action::Kind::kGet, .first = key, .last = key}});
    get.answers = {{}};
    if (state.value != kAbsent) get.answers[0].kvs = {{key, state}};
    get.revision = revision;
    return get;
  }
  // The kinds of violations, joined; what the search without revisions says comes last.
  std::string Judge() {
    revisions_.Check(window_);
    groups_.Check(window_.operations, revisions_.landed(), revisions_.state());
    std::string kinds;
    for (const auto* violations : {&revisions_.violations(), &groups_.violations()}) {
      for (const auto& [kind, count] : violations->counts()) {
        kinds += (kinds.empty() ? "" : ", ") + kind;
      }
    }
    window_ = {};
    return kinds;
  }

  Window window_;
  RevisionCheck revisions_{kKeys, 1};
  GroupCheck groups_{kKeys, kKeys, kBudget};
};

TEST_F(HistoryTest, AcceptsWhatAServerDoes) {
  const ValueId a = Put(10, 20, 0, 2);
  Get(30, 40, 0, 2, {a, 2, 2, 1});
  Put(35, 50, 1, 3);
  Get(36, 45, 1, 2, {});  // while the put is under way
  EXPECT_EQ(Judge(), "");
}

TEST_F(HistoryTest, FindsALostWrite) {
  Put(10, 20, 0, 2);
  window_.truth.clear();
  Get(30, 40, 0, 1, {});
  EXPECT_EQ(Judge(), "lost write, stale read, not linearizable");
}

TEST_F(HistoryTest, FindsAWriteLostFromTheEnd) {
  Put(10, 20, 0, 2);
  Put(30, 40, 0, 3, 2, 2);
  window_.truth.pop_back();
  EXPECT_EQ(Judge(), "lost write");
}

TEST_F(HistoryTest, FindsAStaleReadThatTellsItsRevision) {
  const ValueId a = Put(10, 20, 0, 2);
  Put(30, 40, 0, 3, 2, 2);
  Get(50, 60, 0, 2, {a, 2, 2, 1});
  EXPECT_EQ(Judge(), "stale read, not linearizable");
}

TEST_F(HistoryTest, FindsAStaleReadThatLiesAboutItsRevision) {
  const ValueId a = Put(10, 20, 0, 2);
  Put(30, 40, 0, 3, 2, 2);
  Get(50, 60, 0, 3, {a, 2, 2, 1});
  EXPECT_EQ(Judge(), "wrong read, not linearizable");
}

// The revisions are in order, only times and values are not: only the search sees it.
TEST_F(HistoryTest, FindsAnOrderThatRevisionsHide) {
  const ValueId a = Put(10, 20, 0, 2);
  const ValueId b = Put(10, 20, 0, 3, 2, 2);
  Get(30, 40, 0, 3, {b, 2, 3, 2});
  EXPECT_EQ(Judge(), "");
  Get(50, 60, 0, 3, {b, 2, 3, 2});
  Get(70, 80, 0, 3, {a, 2, 3, 2});  // the value alone is wrong
  EXPECT_EQ(Judge(), "wrong read, not linearizable");
}

TEST_F(HistoryTest, FindsWritesInTheWrongOrder) {
  Put(30, 40, 0, 2);
  Put(10, 20, 1, 3);  // ended before the other began
  EXPECT_EQ(Judge(), "order");
}

TEST_F(HistoryTest, FindsARefusedWriteThatIsThere) {
  const ValueId value = Put(10, 20, 0, 2);
  window_.operations[0].fate = Fate::kRefused;
  Get(30, 40, 0, 2, {value, 2, 2, 1});
  EXPECT_EQ(Judge(), "refused write, not linearizable");
}

TEST_F(HistoryTest, FindsAWriteThatIsThereTwice) {
  const ValueId value = Put(10, 20, 0, 2);
  Happens(3, 0, value, 2, 2);
  EXPECT_EQ(Judge(), "write elsewhere");
}

TEST_F(HistoryTest, FindsWhatNobodyWrote) {
  Happens(2, 0, MakeValueId(99, 0, 0));
  EXPECT_EQ(Judge(), "nobody's write");
}

TEST_F(HistoryTest, FindsATornTransaction) {
  Add(10, 20,
      {{.kind = Action::Kind::kPut, .first = 0, .last = 0, .value = MakeValueId(0, 0, 0)},
       {.kind = Action::Kind::kPut, .first = 1, .last = 1, .value = MakeValueId(0, 0, 1)}});
  window_.operations[0].answers = {{}, {}};
  window_.operations[0].revision = 2;
  Happens(2, 0, MakeValueId(0, 0, 0));
  EXPECT_EQ(Judge(), "wrong write");
}

TEST_F(HistoryTest, FindsAHoleInTheHistory) {
  Put(10, 20, 0, 2);
  Put(30, 40, 1, 4);
  EXPECT_EQ(Judge(), "history");
}

TEST_F(HistoryTest, FindsAWrongVersion) {
  const ValueId value = Put(10, 20, 0, 2);
  Get(30, 40, 0, 2, {value, 2, 2, 7});
  EXPECT_EQ(Judge(), "wrong read");
}

TEST_F(HistoryTest, AnUnknownWriteMayHappenLaterOrNever) {
  const ValueId value = MakeValueId(0, 0, 0);
  Add(10, 0, {{.kind = Action::Kind::kPut, .first = 0, .last = 0, .value = value}});
  window_.operations[0].fate = Fate::kUnknown;
  Get(30, 40, 0, 1, {});
  EXPECT_EQ(Judge(), "");
  // In the next window.
  Happens(2, 0, value);
  Get(50, 60, 0, 2, {value, 2, 2, 1});
  EXPECT_EQ(Judge(), "");
  EXPECT_EQ(revisions_.counts().unknown_landed, 1U);
  // But once.
  Happens(3, 0, value, 2, 2);
  EXPECT_EQ(Judge(), "nobody's write");
}

TEST_F(HistoryTest, AnUnknownWriteCannotHappenBeforeItBegan) {
  Get(10, 20, 0, 2, {MakeValueId(1, 0, 0), 2, 2, 1});
  Add(30, 0, {{.kind = Action::Kind::kPut, .first = 0, .last = 0, .value = MakeValueId(1, 0, 0)}});
  window_.operations[1].fate = Fate::kUnknown;
  Happens(2, 0, MakeValueId(1, 0, 0));
  EXPECT_EQ(Judge(), "order, not linearizable");
}

TEST_F(HistoryTest, OfTwoUnknownDeletesTheNarrowerIsTaken) {
  Put(10, 20, 0, 2);
  for (const KeyId last : {KeyId{3}, KeyId{0}}) {
    Add(30, 0, {{.kind = Action::Kind::kDelete, .first = 0, .last = last}});
    window_.operations.back().fate = Fate::kUnknown;
  }
  window_.truth.push_back({3, {{0, {.mod = 3}}}});
  EXPECT_EQ(Judge(), "");
  Put(50, 60, 1, 4);
  // Only the delete of all keys can have done this.
  window_.truth.push_back({5, {{1, {.mod = 5}}}});
  EXPECT_EQ(Judge(), "");
}

TEST_F(HistoryTest, ASerializableReadShowsSomePast) {
  const ValueId a = Put(10, 20, 0, 2);
  Put(30, 40, 0, 3, 2, 2);
  Get(50, 60, 0, 2, {a, 2, 2, 1}).request.serializable = true;
  EXPECT_EQ(Judge(), "");
  Get(70, 80, 0, 2, {a, 2, 2, 1}).request.serializable = true;  // of the window before
  EXPECT_EQ(Judge(), "");
  Get(90, 100, 0, 3, {a, 2, 2, 1}).request.serializable = true;
  EXPECT_EQ(Judge(), "wrong read");
}

TEST_F(HistoryTest, ASerializableReadDoesNotShowTheFuture) {
  Get(10, 20, 0, 2, {MakeValueId(1, 0, 0), 2, 2, 1}).request.serializable = true;
  Put(30, 40, 0, 2);
  EXPECT_EQ(Judge(), "order");
}

TEST_F(HistoryTest, AReadOfARevisionShowsIt) {
  const ValueId a = Put(10, 20, 0, 2);
  const ValueId b = Put(30, 40, 0, 3, 2, 2);
  Get(50, 60, 0, 3, {a, 2, 2, 1}).request.at_revision = 2;
  EXPECT_EQ(Judge(), "");
  Get(70, 80, 0, 3, {b, 2, 3, 2}).request.at_revision = 2;
  EXPECT_EQ(Judge(), "wrong read");
}

TEST_F(HistoryTest, WhatAWatchShowedIsSeen) {
  const ValueId a = Put(10, 20, 0, 2);
  Put(30, 100, 0, 3, 2, 2);
  window_.sightings = {{40, 3}};
  Get(50, 60, 0, 2, {a, 2, 2, 1});
  EXPECT_EQ(Judge(), "stale read");
}

TEST_F(HistoryTest, ASearchThatIsTooHardSaysSo) {
  GroupCheck impatient(kKeys, kKeys, /*budget=*/3);
  for (int i = 0; i < 10; ++i) Put(10, 20, 0, 2 + i, i + 1, 2);
  impatient.Check(window_.operations, {}, State(kKeys));
  EXPECT_EQ(impatient.undecided(), 1U);
  EXPECT_TRUE(impatient.violations().empty());
}

// ---- Against judges that try everything

struct Tally {
  int good = 0, bad = 0;
};

TEST(CheckersTest, RevisionCheckSaysWhatTryingEveryOrderSays) {
  std::mt19937_64 random(1);
  Tally tally;
  for (int round = 0; round < 20'000; ++round) {
    Window window = MakeHistory({}, random);
    for (uint64_t i = random() % 3; i > 0; --i) Disturb(window, random);
    const bool expected = SomeOrderMakesTruth(window, 3);
    RevisionCheck check(3, 1);
    check.Check(window);
    ASSERT_EQ(check.violations().empty(), expected)
        << "round " << round << ": "
        << (check.violations().empty() ? "" : check.violations().lines()[0]);
    ++(expected ? tally.good : tally.bad);
  }
  EXPECT_GT(tally.good, 3'000);
  EXPECT_GT(tally.bad, 3'000);
}

TEST(CheckersTest, TheSearchSaysWhatTryingEveryOrderSays) {
  std::mt19937_64 random(2);
  Tally tally;
  for (int round = 0; round < 20'000; ++round) {
    Window window = MakeHistory({}, random);
    for (uint64_t i = random() % 4; i > 0; --i) Disturb(window, random);
    std::vector<Operation> unknown;
    for (const Operation& operation : window.operations) {
      if (operation.fate == Fate::kUnknown) unknown.push_back(operation);
    }
    const bool expected = SomeOrderExplainsValues(window, 3);
    GroupCheck check(3, 3, kBudget);
    check.Check(window.operations, unknown, State(3));
    ASSERT_EQ(check.undecided(), 0U);
    ASSERT_EQ(check.violations().empty(), expected)
        << "round " << round << ": "
        << (check.violations().empty() ? "" : check.violations().lines()[0]);
    ++(expected ? tally.good : tally.bad);
    // By keys of their own nothing that is good can be bad.
    GroupCheck single(3, 1, kBudget);
    single.Check(window.operations, unknown, State(3));
    if (expected) {
      ASSERT_TRUE(single.violations().empty()) << single.violations().lines()[0];
    }
  }
  EXPECT_GT(tally.good, 3'000);
  EXPECT_GT(tally.bad, 2'000);
}

// Long histories with many operations at once, cut into windows anywhere it is quiet.
TEST(CheckersTest, LongGoodHistoriesAreAcceptedInPieces) {
  std::mt19937_64 random(3);
  Window whole = MakeHistory({.keys = 8, .operations = 20'000, .unknown = 0, .spread = 60}, random);
  for (size_t i = 0; i < whole.operations.size(); ++i) {
    const auto pause = static_cast<int64_t>(i / 70 * 200);  // now and then it is quiet
    whole.operations[i].call_ns += pause;
    whole.operations[i].return_ns += pause;
  }
  RevisionCheck revisions(8, 1);
  GroupCheck groups(8, 4, kBudget);
  Window window;
  int64_t busy_until = 0;
  size_t transaction = 0;
  int windows = 0;
  const auto check = [&] {
    int64_t last = revisions.revision();
    for (const Operation& operation : window.operations) last = std::max(last, operation.revision);
    for (; transaction < whole.truth.size() && whole.truth[transaction].revision <= last;
         ++transaction) {
      window.truth.push_back(whole.truth[transaction]);
    }
    revisions.Check(window);
    groups.Check(window.operations, revisions.landed(), revisions.state());
    window = {};
    ++windows;
  };
  std::vector<Operation> sorted = whole.operations;
  std::sort(sorted.begin(), sorted.end(),
            [](const Operation& a, const Operation& b) { return a.call_ns < b.call_ns; });
  for (const Operation& operation : sorted) {
    if (operation.call_ns > busy_until && window.operations.size() > 100) check();
    busy_until = std::max(busy_until, operation.return_ns);
    window.operations.push_back(operation);
  }
  check();
  EXPECT_TRUE(revisions.violations().empty()) << revisions.violations().lines()[0];
  EXPECT_TRUE(groups.violations().empty()) << groups.violations().lines()[0];
  EXPECT_EQ(groups.undecided(), 0U);
  EXPECT_GT(windows, 5);
}

}  // namespace
}  // namespace jetd::conformance::history
