// SPDX-License-Identifier: Apache-2.0
#include "conformance/watch_order.h"

#include <initializer_list>

#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

std::string Take(WatchOrder& order, std::initializer_list<int64_t> revisions, int64_t header,
                 bool fragment = false) {
  etcdserverpb::WatchResponse response;
  response.mutable_header()->set_revision(header);
  response.set_fragment(fragment);
  for (const int64_t revision : revisions) {
    response.add_events()->mutable_kv()->set_mod_revision(revision);
  }
  return order.TakeEvents(response);
}

WatchOrder Announced(int64_t start_revision) {
  WatchOrder order(start_revision);
  order.TakeCreated();
  return order;
}

TEST(WatchOrderTest, AcceptsRisingRevisions) {
  WatchOrder order = Announced(2);
  EXPECT_EQ(order.complete(), 1);
  EXPECT_EQ(Take(order, {2, 2, 5}, 5), "");
  EXPECT_EQ(Take(order, {6}, 9), "");
  EXPECT_EQ(order.complete(), 6);
  EXPECT_EQ(order.TakeProgress(8), "");
  EXPECT_EQ(order.complete(), 8);
  EXPECT_EQ(Take(order, {9}, 9), "");
}

TEST(WatchOrderTest, FindsFallingRevisions) {
  WatchOrder order = Announced(1);
  EXPECT_NE(Take(order, {3, 2}, 5), "");
  EXPECT_NE(Take(order, {2}, 5), "");
  WatchOrder started = Announced(7);
  EXPECT_NE(Take(started, {6}, 9), "");
}

TEST(WatchOrderTest, FindsARevisionInTwoResponses) {
  WatchOrder order = Announced(1);
  EXPECT_EQ(Take(order, {3}, 3), "");
  EXPECT_NE(Take(order, {3}, 3), "");
}

TEST(WatchOrderTest, AcceptsFragments) {
  WatchOrder order = Announced(1);
  EXPECT_EQ(Take(order, {2, 3}, 3, /*fragment=*/true), "");
  EXPECT_EQ(order.complete(), 2);
  EXPECT_EQ(Take(order, {3}, 3), "");
  EXPECT_EQ(order.complete(), 3);
  EXPECT_EQ(Take(order, {4}, 4, /*fragment=*/true), "");
  order.Reopen();
  order.TakeCreated();
  EXPECT_EQ(Take(order, {4}, 4), "");
}

TEST(WatchOrderTest, FindsAnEventAfterItsProgress) {
  WatchOrder order = Announced(1);
  EXPECT_EQ(order.TakeProgress(4), "");
  EXPECT_NE(Take(order, {4}, 5), "");
}

TEST(WatchOrderTest, ProgressBeforeTheAnnouncementSaysNothing) {
  WatchOrder order(1);
  EXPECT_EQ(order.TakeProgress(4), "");
  EXPECT_EQ(order.complete(), 0);
  order.TakeCreated();
  EXPECT_EQ(Take(order, {2}, 4), "");
  order.Reopen();
  EXPECT_EQ(order.TakeProgress(4), "");
  EXPECT_EQ(order.complete(), 2);
}

TEST(WatchOrderTest, FindsEventsBeforeTheAnnouncement) {
  WatchOrder order(1);
  EXPECT_NE(Take(order, {2}, 4), "");
}

TEST(WatchOrderTest, FindsAHeaderOlderThanItsEvents) {
  WatchOrder order = Announced(1);
  EXPECT_NE(Take(order, {4}, 3), "");
}

}  // namespace
}  // namespace jetd::conformance
