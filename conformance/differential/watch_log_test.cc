// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/watch_log.h"

#include <chrono>
#include <initializer_list>

#include "gtest/gtest.h"

namespace jetd::conformance::differential {
namespace {

using std::chrono::steady_clock;

pb::WatchResponse Events(int64_t id, std::initializer_list<int64_t> revisions) {
  pb::WatchResponse response;
  response.set_watch_id(id);
  for (const int64_t revision : revisions) {
    response.add_events()->mutable_kv()->set_mod_revision(revision);
    response.mutable_header()->set_revision(revision);
  }
  return response;
}

pb::WatchResponse Progress(int64_t id, int64_t revision) {
  pb::WatchResponse response;
  response.set_watch_id(id);
  response.mutable_header()->set_revision(revision);
  return response;
}

TEST(WatchLogTest, ResponsesMayBeCutAnywhereBetweenRevisions) {
  WatchLog one, many;
  one.Add(Events(1, {2, 3, 3, 4}));
  many.Add(Events(1, {2}));
  many.Add(Events(1, {3, 3}));
  many.Add(Events(1, {4}));
  EXPECT_TRUE(one.WaitEvents(1, {.events = 4}, steady_clock::now()));
  EXPECT_EQ(one.Take(1), many.Take(1));
  EXPECT_TRUE(one.Take(1).empty());
  EXPECT_EQ(one.violation() + many.violation(), "");
}

TEST(WatchLogTest, MoreThanExpectedIsNotEnough) {
  WatchLog log;
  log.Add(Events(1, {2, 3}));
  EXPECT_FALSE(log.WaitEvents(1, {.events = 1}, steady_clock::now()));
  EXPECT_FALSE(log.WaitEvents(1, {.events = 3}, steady_clock::now()));
}

TEST(WatchLogTest, ASplitRevisionNeedsAFragment) {
  WatchLog log;
  auto first = Events(1, {2, 3});
  first.set_fragment(true);
  log.Add(first);
  log.Add(Events(1, {3, 4}));
  EXPECT_EQ(log.violation(), "");
  EXPECT_EQ(log.fragments(), 1U);
  log.Add(Events(1, {4}));
  EXPECT_NE(log.violation(), "");
}

TEST(WatchLogTest, OlderEventsAreAViolation) {
  WatchLog log;
  log.Add(Events(1, {3}));
  log.Add(Events(1, {2}));
  EXPECT_NE(log.violation(), "");
}

TEST(WatchLogTest, NothingComesAfterItsProgress) {
  WatchLog log;
  log.Add(Events(1, {2}));
  log.Add(Progress(-1, 5));
  log.Add(Events(1, {6}));
  EXPECT_EQ(log.violation(), "");
  log.Add(Progress(1, 8));
  log.Add(Events(1, {8}));
  EXPECT_NE(log.violation(), "");
}

TEST(WatchLogTest, AHeaderIsNotOlderThanItsEvents) {
  WatchLog log;
  auto response = Events(1, {5});
  response.mutable_header()->set_revision(4);
  log.Add(response);
  EXPECT_NE(log.violation(), "");
}

TEST(WatchLogTest, AnIdThatIsTakenAgainStartsAnew) {
  WatchLog log;
  log.Add(Events(1, {9}));
  auto created = Progress(1, 9);
  created.set_created(true);
  log.Add(created);
  log.Add(Events(1, {2}));
  EXPECT_EQ(log.violation(), "");
  const auto answer = log.WaitCreated(1, steady_clock::now());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->watch_id(), 1);
  EXPECT_FALSE(log.WaitCreated(2, steady_clock::now()).ok());
}

TEST(WatchLogTest, AnEndedStreamDoesNotAnswer) {
  WatchLog log;
  log.End(absl::UnavailableError("gone"));
  EXPECT_TRUE(absl::IsUnavailable(log.WaitCreated(1, steady_clock::time_point::max()).status()));
}

}  // namespace
}  // namespace jetd::conformance::differential
