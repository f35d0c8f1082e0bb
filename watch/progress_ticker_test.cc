// SPDX-License-Identifier: Apache-2.0
#include "watch/progress_ticker.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "watch/watch_harness.h"

namespace jetd::watch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ProgressTickerTest, ByIntervalUnlessEventsWereSent) {
  Harness harness({.progress_interval = seconds(10)});
  Client client(&harness);
  const auto got = [&] { return Texts(client.Take()); };
  EXPECT_EQ(harness.executor.timers(), 0U);
  client.Watch({.key = "a", .progress_notify = true});
  client.Watch({.key = "b", .progress_notify = true});
  client.Watch({.key = "c"});
  client.Watch({.key = "d", .start_revision = Revision{9}, .progress_notify = true});
  client.Take();
  EXPECT_EQ(harness.executor.timers(), 1U);
  harness.executor.Advance(milliseconds(9'999));
  EXPECT_EQ(got(), Lines());
  harness.Put("a", "1");
  harness.Settle();
  EXPECT_EQ(got(), Lines({"0@2 a=1"}));
  harness.executor.Advance(milliseconds(1'001));  // 11 s: the interval and at most a tenth
  EXPECT_EQ(got(), Lines({"1@2"}));
  harness.executor.Advance(milliseconds(11'000));
  Lines second = got();
  std::sort(second.begin(), second.end());
  EXPECT_EQ(second, Lines({"0@2", "1@2"}));
  client.stream->Cancel(WatchId{0});
  client.stream->Cancel(WatchId{1});
  client.stream->Cancel(WatchId{3});
  EXPECT_EQ(harness.executor.timers(), 0U);
}

TEST(ProgressTickerTest, StreamsOpenedLaterTickLater) {
  Harness harness({.progress_interval = seconds(10)});
  Client first(&harness);
  first.Watch({.key = "a", .progress_notify = true});
  harness.executor.Advance(seconds(5));
  auto second = std::make_unique<Client>(&harness);
  second->Watch({.key = "a", .progress_notify = true});
  first.Take();
  second->Take();
  EXPECT_EQ(harness.executor.timers(), 1U);
  harness.executor.Advance(seconds(6));
  EXPECT_EQ(Texts(first.Take()), Lines({"0@1"}));
  EXPECT_EQ(Texts(second->Take()), Lines());
  harness.executor.Advance(seconds(5));
  EXPECT_EQ(Texts(second->Take()), Lines({"0@1"}));
  second.reset();
  first.Take();
  harness.executor.Advance(seconds(11));
  EXPECT_EQ(Texts(first.Take()), Lines({"0@1"}));
}

}  // namespace
}  // namespace jetd::watch
