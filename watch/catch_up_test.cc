// SPDX-License-Identifier: Apache-2.0
#include "watch/catch_up.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "watch/watch_harness.h"

namespace jetd::watch {
namespace {

TEST(CatchUpTest, AFullStreamHoldsNothingAndCatchesUp) {
  Harness harness({.stream_buffer_bytes = 1'000, .batch_bytes = 300, .catch_up_batch_bytes = 300});
  Client slow(&harness);
  Client quick(&harness);
  slow.Watch({.key = "a"});
  quick.Watch({.key = "a"});
  slow.Drain();
  quick.Drain();
  slow.Take();
  quick.Take();
  const std::string value(100, 'v');
  for (int i = 0; i < 1'000; ++i) {
    harness.Put("a", value);
    harness.Settle();
    quick.Write();
  }
  EXPECT_EQ(quick.responses.size(), 1'000U);
  EXPECT_LT(slow.stream->buffered_bytes(), 1'300U);
  EXPECT_LT(slow.responses.size(), 10U);
  EXPECT_EQ(harness.hub->stats().unsynced, 1U);
  EXPECT_EQ(harness.executor.timers(), 0U);  // nobody asks in vain
  slow.stream->RequestProgress();
  slow.Drain();
  EXPECT_EQ(harness.hub->stats().unsynced, 0U);
  int64_t expected = 2;
  for (const Response& response : slow.responses) {
    if (response.watch_id == WatchId{-1}) {
      EXPECT_EQ(response.revision, Revision{1'001});
      EXPECT_EQ(expected, 1'002);
    }
    for (const revision::Change& event : response.events) {
      ASSERT_EQ(event.kv->mod_revision(), Revision{expected++});
    }
  }
  EXPECT_EQ(expected, 1'002);
  EXPECT_EQ(slow.responses.back().watch_id, WatchId{-1});
}

TEST(CatchUpTest, CompactionOvertakesASlowStream) {
  Harness harness({.stream_buffer_bytes = 500});
  Client slow(&harness);
  slow.Watch({.key = "a"});
  slow.Watch({.key = "quiet"});
  slow.Drain();
  slow.Take();
  for (int i = 0; i < 20; ++i) {
    harness.Put("a", std::string(200, 'v'));
    harness.Settle();
  }
  harness.Compact(Revision{15});
  harness.Settle();
  const size_t before = slow.responses.size();
  slow.Drain();
  ASSERT_EQ(slow.responses.size(), before + 1);
  EXPECT_EQ(Text(slow.responses.back()), "0@0 canceled compacted:15");
  harness.Put("quiet", "1");
  harness.Settle();
  EXPECT_EQ(Text(slow.responses.back()), "1@22 quiet=1");
}

// As etcd, which the tests of its client rely on; and a header that names the newest revision.
TEST(CatchUpTest, TenLargeValuesComeInOneResponse) {
  Harness harness;
  Client client(&harness);
  for (int i = 0; i < 10; ++i) harness.Put("a", std::string(1UL << 20, 'v'));
  client.Watch({.key = "a", .start_revision = Revision{1}});
  client.Take();
  harness.Settle();
  ASSERT_EQ(client.responses.size(), 1U);
  EXPECT_EQ(client.responses[0].events.size(), 10U);
  EXPECT_EQ(client.responses[0].revision, Revision{11});
}

TEST(CatchUpTest, TheHeaderNamesTheNewestWhileMoreIsToCome) {
  Harness harness;
  Client client(&harness);
  for (int i = 0; i < 1'500; ++i) harness.Put("a", "v");
  client.Watch({.key = "a", .start_revision = Revision{1}});
  client.Take();
  client.Drain();
  ASSERT_GT(client.responses.size(), 1U);
  for (const Response& response : client.responses) {
    EXPECT_EQ(response.revision, Revision{1'501});
  }
}

// What slow clients hold together stays bounded: with much of it waiting, responses get small.
TEST(CatchUpTest, ManySlowOnesGetSmallResponses) {
  Harness harness({.stream_buffer_bytes = 1'000,
                   .batch_bytes = 300,
                   .catch_up_batch_bytes = 10'000,
                   .plenty_bytes = 25'000});
  for (int i = 0; i < 200; ++i) harness.Put("a", std::string(100, 'v'));
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(&harness));
    clients.back()->Watch({.key = "a", .start_revision = Revision{1}});
    harness.Settle();
  }
  for (const auto& client : clients) EXPECT_GT(client->responses.size(), 1U);
  EXPECT_GT(clients.front()->responses[1].size_bytes(), 10'000U);
  EXPECT_LT(clients.back()->responses[1].size_bytes(), 500U);
  // Room again, once those before have gone.
  for (int i = 0; i < 10; ++i) clients[i].reset();
  clients.back()->Write();
  harness.Settle();
  EXPECT_GT(clients.back()->responses.back().size_bytes(), 10'000U);
}

TEST(CatchUpTest, OneNearTheEndDoesNotWaitForOneFromTheStart) {
  Harness harness;
  Client client(&harness);
  for (int i = 0; i < 10'000; ++i) harness.Put("a", "v");
  client.Watch({.key = "a", .start_revision = Revision{2}});
  client.Watch({.key = "a", .start_revision = Revision{9'990}});
  client.Take();
  client.Drain();
  ASSERT_GT(client.responses.size(), 5U);
  EXPECT_EQ(client.responses[0].watch_id, WatchId{0});
  EXPECT_EQ(client.responses[1].watch_id, WatchId{1});
  EXPECT_EQ(client.responses[1].events.size(), 12U);
}

}  // namespace
}  // namespace jetd::watch
