// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/watch_check.h"

#include <random>
#include <string>

#include "conformance/history/random_history.h"
#include "gtest/gtest.h"

namespace jetd::conformance::history {
namespace {

constexpr ValueId kA = MakeValueId(0, 0, 0);
constexpr ValueId kB = MakeValueId(1, 0, 0);

// a put of key 1, a transaction of two keys, a delete of key 1
const std::vector<Transaction> kTransactions = {
    {2, {{1, {.value = kA, .create = 2, .mod = 2, .version = 1}}}},
    {3,
     {{1, {.value = kB, .create = 2, .mod = 3, .version = 2}},
      {2, {.value = kB + 1, .create = 3, .mod = 3, .version = 1}}}},
    {4, {{1, {.mod = 4}}}},
};

std::vector<WatchEvent> Expect(const WatchSpec& spec, int64_t start_revision = 1) {
  return ExpectedEvents(spec, State(4), kTransactions, start_revision);
}

std::string Compare(const std::vector<WatchEvent>& expected, const std::vector<WatchEvent>& seen) {
  Violations violations;
  CompareEvents("it", expected, seen, violations);
  return violations.empty() ? "" : violations.counts().begin()->first;
}

TEST(WatchCheckTest, ExpectsEachEventOfItsKeysOnce) {
  const auto all = Expect({.first = 0, .last = 3});
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[1].revision, 3);
  EXPECT_EQ(all[2].key, 2U);
  EXPECT_FALSE(all[1].has_prev);
  EXPECT_EQ(Expect({.first = 2, .last = 3}).size(), 1U);
  EXPECT_EQ(Expect({.first = 0, .last = 3}, 3).size(), 3U);
}

TEST(WatchCheckTest, ExpectsWhatWasThereBefore) {
  const auto events = Expect({.first = 1, .last = 1, .prev_kv = true}, 3);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].prev, kTransactions[0].changes[0].state);
  EXPECT_EQ(events[1].prev, kTransactions[1].changes[0].state);
  EXPECT_FALSE(Expect({.first = 2, .last = 2, .prev_kv = true})[0].has_prev);
}

TEST(WatchCheckTest, ExpectsWhatFiltersLeave) {
  EXPECT_EQ(Expect({.first = 0, .last = 3, .no_put = true}).size(), 1U);
  EXPECT_EQ(Expect({.first = 0, .last = 3, .no_delete = true}).size(), 3U);
  EXPECT_TRUE(Expect({.first = 0, .last = 3, .no_put = true, .no_delete = true}).empty());
}

TEST(WatchCheckTest, SaysWhatIsWrong) {
  const auto all = Expect({.first = 0, .last = 3, .prev_kv = true});
  EXPECT_EQ(Compare(all, all), "");
  for (size_t i = 0; i < all.size(); ++i) {
    auto seen = all;
    seen.erase(seen.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(Compare(all, seen), "skipped event") << i;
    seen = all;
    seen.insert(seen.begin() + static_cast<std::ptrdiff_t>(i), all[i]);
    EXPECT_EQ(Compare(all, seen), "repeated event") << i;
    seen = all;
    ++seen[i].state.version;
    EXPECT_EQ(Compare(all, seen), "wrong event") << i;
    seen = all;
    seen[i].has_prev = !seen[i].has_prev;
    EXPECT_EQ(Compare(all, seen), "wrong event") << i;
  }
}

// What a watch of everything tells is the history again.
TEST(WatchCheckTest, EventsAddUpToTransactions) {
  std::mt19937_64 random(1);
  const Window window = MakeHistory({.keys = 6, .operations = 200}, random);
  const auto events = ExpectedEvents({.first = 0, .last = 5}, State(6), window.truth, 1);
  EXPECT_EQ(ToTransactions(events), window.truth);
}

TEST(WatchCheckTest, ReadsEvents) {
  const KeySpace keys(2, 2);
  mvccpb::Event event;
  event.set_type(mvccpb::Event::DELETE);
  event.mutable_kv()->set_key(keys.Name(3));
  event.mutable_kv()->set_mod_revision(9);
  EXPECT_EQ(ToWatchEvent(keys, event), (WatchEvent{.revision = 9, .key = 3, .state = {.mod = 9}}));
  event.mutable_kv()->set_key("/elsewhere");
  EXPECT_EQ(ToWatchEvent(keys, event).key, keys.size());
}

}  // namespace
}  // namespace jetd::conformance::history
