// SPDX-License-Identifier: Apache-2.0
#include "watch/response.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "watch/watch_harness.h"

namespace jetd::watch {
namespace {

TEST(FragmentTest, CutsAsEtcdDoes) {
  Harness harness({.fragment_bytes = 400});
  Client client(&harness);
  client.Watch({.key = "a", .range_end = "z", .fragment = true});
  client.Watch({.key = "a", .range_end = "z"});
  client.Take();
  const std::string value(100, 'v');
  harness.Txn([&] {
    for (int i = 0; i < 5; ++i) harness.store.Put(Cat("t", i), value, LeaseId{}, {});
    harness.store.Put("u", std::string(1'000, 'u'), LeaseId{}, {});
    harness.store.Put("v", "small", LeaseId{}, {});
  });
  harness.Settle();
  std::vector<Response> pieces;
  size_t whole = 0;
  for (Response& response : client.Take()) {
    EXPECT_EQ(response.revision, Revision{2});
    if (response.watch_id == WatchId{0}) {
      pieces.push_back(std::move(response));
    } else {
      EXPECT_FALSE(response.fragment);
      whole = response.events.size();
    }
  }
  EXPECT_EQ(whole, 7U);
  size_t events = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    events += pieces[i].events.size();
    EXPECT_EQ(pieces[i].fragment, i + 1 < pieces.size());
    EXPECT_TRUE(pieces[i].events.size() == 1 || pieces[i].size_bytes() < 400);
    if (i + 1 == pieces.size()) break;
    // It holds as many as fit.
    EXPECT_GE(pieces[i].size_bytes() + 2 + EventBytes(pieces[i + 1].events.front()), 400U);
  }
  EXPECT_EQ(events, 7U);
  EXPECT_GE(pieces.size(), 4U);
  // A small response and a single large event stay whole.
  harness.Put("a", "1");
  harness.Settle();
  harness.Put("a", std::string(1'000, 'w'));
  harness.Settle();
  for (const Response& response : client.Take()) EXPECT_FALSE(response.fragment);
}

}  // namespace
}  // namespace jetd::watch
