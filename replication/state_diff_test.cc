// SPDX-License-Identifier: Apache-2.0
#include "replication/state_diff.h"

#include <string>

#include "base/strings.h"
#include "gtest/gtest.h"
#include "replication/fold_harness.h"

namespace jetd::replication {
namespace {

State StateOf(const FakeHistory& history, int64_t revision) {
  State state;
  state.keys = history.at(Revision(revision)).keys;
  return state;
}

std::string Changes(const State& from, const State& to) {
  std::string text;
  for (const StateChange& change : DiffStates(from, to)) {
    const char sign = change.kind == StateChange::Kind::kAdded     ? '+'
                      : change.kind == StateChange::Kind::kDeleted ? '-'
                                                                   : '~';
    CatTo(text, sign, change.key, change.made_anew() ? "!" : "", " ",
          change.from == nullptr ? "" : change.from->value, ">",
          change.to == nullptr ? "" : change.to->value, "\n");
  }
  return text;
}

TEST(StateDiffTest, NamesWhatIsDifferent) {
  FakeHistory history;
  history.Put("b", "1");                                   // 2
  history.Put("c", "1");                                   // 3
  history.Txn({{.key = "d", .value = "1"}});               // 4
  history.Put("a", "1");                                   // 5
  history.Put("c", "2");                                   // 6
  history.Delete("b");                                     // 7
  history.Delete("d");                                     // 8
  history.Txn({{.key = "d", .value = std::string("1")}});  // 9: the same again
  EXPECT_EQ(Changes(StateOf(history, 4), StateOf(history, 9)), "+a >1\n-b 1>\n~c 1>2\n~d! 1>1\n");
  EXPECT_EQ(Changes(StateOf(history, 9), StateOf(history, 4)), "-a 1>\n+b >1\n~c 2>1\n~d! 1>1\n");
  EXPECT_EQ(Changes(StateOf(history, 5), StateOf(history, 5)), "");
  EXPECT_EQ(Changes(State{}, StateOf(history, 2)), "+b >1\n");
}

}  // namespace
}  // namespace jetd::replication
