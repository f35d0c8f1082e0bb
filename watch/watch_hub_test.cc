// SPDX-License-Identifier: Apache-2.0
#include "watch/watch_hub.h"

#include <chrono>
#include <string>
#include <vector>

#include "base/strings.h"
#include "gtest/gtest.h"
#include "watch/watch_harness.h"

namespace jetd::watch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kOpen(1, '\0');

// "3@7 a=1 b=2(was 1) -c(was 2)": watch 3, header revision 7, and the events.
std::string Text(const Response& response) {
  std::string out = Cat(response.watch_id.value(), "@", response.revision.value());
  if (response.created) out += " created";
  if (response.canceled) out += " canceled";
  if (response.fragment) out += " fragment";
  if (response.compact_revision != Revision{0}) {
    CatTo(out, " compacted:", response.compact_revision.value());
  }
  if (!response.cancel_reason.empty()) CatTo(out, " (", response.cancel_reason, ")");
  for (const revision::Change& event : response.events) {
    if (event.kv->tombstone()) {
      CatTo(out, " -", event.kv->key());
    } else {
      CatTo(out, " ", event.kv->key(), "=", event.kv->value());
    }
    if (event.prev) CatTo(out, "(was ", event.prev->value(), ")");
  }
  return out;
}

std::vector<std::string> Texts(const std::vector<Response>& responses) {
  std::vector<std::string> out;
  for (const Response& response : responses) out.push_back(Text(response));
  return out;
}

using Lines = std::vector<std::string>;

class WatchHubTest : public testing::Test {
 protected:
  Lines Got() {
    harness_.Settle();
    return Texts(client_.Take());
  }
  void Create(const CreateRequest& request) { client_.stream->Create(request); }

  Harness harness_;
  Client client_{&harness_};
};

TEST_F(WatchHubTest, EventsFromNowOn) {
  harness_.Put("a", "0");
  Create({.key = "a"});
  EXPECT_EQ(Got(), Lines({"0@2 created"}));
  harness_.Put("a", "1");
  harness_.Put("b", "1");
  harness_.Delete("a");
  EXPECT_EQ(Got(), Lines({"0@5 a=1 -a"}));
}

TEST_F(WatchHubTest, OneRoundIsOneResponseAndTwoRoundsAreTwo) {
  Create({.key = "a", .range_end = "c"});
  Create({.key = "b"});
  Got();
  harness_.Put("a", "1");
  harness_.Put("b", "2");
  harness_.Put("a", "3");
  EXPECT_EQ(Got(), Lines({"0@4 a=1 b=2 a=3", "1@3 b=2"}));
  harness_.Put("a", "4");
  EXPECT_EQ(Got(), Lines({"0@5 a=4"}));
}

TEST_F(WatchHubTest, NothingIsDeliveredInsideACommit) {
  Create({.key = "a"});
  Got();
  harness_.Put("a", "1");
  EXPECT_TRUE(client_.responses.empty());
}

TEST_F(WatchHubTest, IdsAreChosenFromZeroAroundTheClientsOwn) {
  Create({.key = "a", .watch_id = WatchId{1}});
  Create({.key = "a"});
  Create({.key = "a"});
  Create({.key = "a", .watch_id = WatchId{2}});
  Create({.key = "a", .watch_id = WatchId{-7}});
  EXPECT_EQ(Got(), Lines({"1@1 created", "0@1 created", "2@1 created",
                          "-1@1 created canceled (mvcc: duplicate watch ID provided on the "
                          "WatchStream)",
                          "-7@1 created"}));
  client_.stream->Cancel(WatchId{2});
  Create({.key = "a"});
  EXPECT_EQ(Got(), Lines({"2@1 canceled", "3@1 created"}));
}

TEST_F(WatchHubTest, RefusedRequests) {
  harness_.Put("x", "1");
  Create({.key = "b", .range_end = "b"});
  Create({.key = "b", .range_end = "a"});
  Create({.key = "a", .start_revision = Revision{-1}});
  EXPECT_EQ(Got(), Lines({"-1@2 created canceled (mvcc: watcher range is empty)",
                          "-1@2 created canceled (mvcc: watcher range is empty)",
                          "-1@2 created canceled (etcdserver: mvcc: required revision has been "
                          "compacted)"}));
  EXPECT_EQ(harness_.hub->stats().watchers, 0U);
}

TEST_F(WatchHubTest, EmptyKeyIsTheSmallestKey) {
  Create({.key = ""});
  Create({.key = "", .range_end = kOpen});
  Create({.key = "b", .range_end = kOpen});
  Got();
  harness_.Put(kOpen, "1");
  harness_.Put("b", "2");
  harness_.Put("zz", "3");
  Lines got = Got();
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, Lines({"0@2 " + kOpen + "=1", "1@4 " + kOpen + "=1 b=2 zz=3", "2@4 b=2 zz=3"}));
}

TEST_F(WatchHubTest, PastStart) {
  harness_.Put("a", "1");
  harness_.Put("b", "2");
  harness_.Put("a", "3");
  harness_.Delete("a");
  Create({.key = "a", .start_revision = Revision{1}});
  Create({.key = "a", .range_end = "z", .start_revision = Revision{3}});
  Create({.key = "a", .start_revision = Revision{5}});
  EXPECT_EQ(harness_.hub->stats().unsynced, 3U);
  EXPECT_EQ(Got(), Lines({"0@5 created", "1@5 created", "2@5 created", "0@5 a=1 a=3 -a",
                          "1@5 b=2 a=3 -a", "2@5 -a"}));
  EXPECT_EQ(harness_.hub->stats().unsynced, 0U);
  harness_.Put("a", "6");
  EXPECT_EQ(Got().size(), 3U);
}

TEST_F(WatchHubTest, PastStartMeetsNewCommitsWithoutGapOrDouble) {
  harness_.Put("a", "1");
  Create({.key = "a", .start_revision = Revision{2}});
  harness_.Put("a", "2");  // committed before the first step
  EXPECT_EQ(Got(), Lines({"0@2 created", "0@3 a=1 a=2"}));
  harness_.Put("a", "3");
  EXPECT_EQ(Got(), Lines({"0@4 a=3"}));
}

TEST_F(WatchHubTest, FutureStart) {
  Create({.key = "a", .start_revision = Revision{4}});
  harness_.Put("a", "1");
  harness_.Put("a", "2");
  harness_.Put("a", "3");
  harness_.Put("a", "4");
  EXPECT_EQ(Got(), Lines({"0@1 created", "0@5 a=3 a=4"}));
}

TEST_F(WatchHubTest, FiltersAndPreviousValues) {
  harness_.Put("a", "1");
  Create({.key = "a", .no_put = true, .prev_kv = true});
  Create({.key = "a", .no_delete = true, .prev_kv = true});
  Create({.key = "a", .no_put = true, .no_delete = true});
  Create({.key = "a", .start_revision = Revision{2}, .prev_kv = true});
  Create({.key = "a"});
  Got();
  harness_.Put("a", "2");
  harness_.Delete("a");
  harness_.Put("a", "3");
  Lines got = Got();
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, Lines({"0@4 -a(was 2)", "1@5 a=2(was 1) a=3", "3@5 a=2(was 1) -a(was 2) a=3",
                        "4@5 a=2 -a a=3"}));
}

TEST_F(WatchHubTest, BelowTheCompactRevisionIsCanceledAtItIsNot) {
  for (int i = 2; i <= 6; ++i) harness_.Put("a", Cat(i));
  harness_.Compact(Revision{4});
  Create({.key = "a", .start_revision = Revision{3}});
  Create({.key = "a", .start_revision = Revision{4}, .prev_kv = true});
  EXPECT_EQ(Got(), Lines({"0@6 created", "1@6 created", "0@0 canceled compacted:4",
                          "1@6 a=4 a=5(was 4) a=6(was 5)"}));
  // The id stays taken until the client cancels it too, which is answered.
  Create({.key = "a", .watch_id = WatchId{0}});
  client_.stream->Cancel(WatchId{0});
  client_.stream->Cancel(WatchId{0});
  EXPECT_EQ(Got(), Lines({"2@6 created", "0@6 canceled"}));
}

TEST_F(WatchHubTest, SyncedWatchersDoNotCareForCompaction) {
  Create({.key = "a", .start_revision = Revision{1}});
  Create({.key = "b", .range_end = "c"});
  Got();
  for (int i = 2; i <= 6; ++i) harness_.Put("x", Cat(i));
  harness_.Compact(Revision{6});
  harness_.Put("a", "7");
  harness_.Put("b", "8");
  EXPECT_EQ(Got(), Lines({"0@7 a=7", "1@8 b=8"}));
}

TEST_F(WatchHubTest, CancelAnswersOnceAndEndsEvents) {
  Create({.key = "a"});
  Create({.key = "a"});
  Got();
  harness_.Put("a", "1");  // collected, not delivered yet
  client_.stream->Cancel(WatchId{0});
  client_.stream->Cancel(WatchId{0});
  client_.stream->Cancel(WatchId{77});
  harness_.Put("a", "2");
  EXPECT_EQ(Got(), Lines({"0@2 a=1", "0@2 canceled", "1@3 a=1 a=2"}));
  EXPECT_EQ(harness_.hub->stats().watchers, 1U);
}

TEST_F(WatchHubTest, TransactionStaysWhole) {
  Create({.key = "a", .range_end = "z"});
  Got();
  harness_.Txn([&] {
    for (int i = 0; i < 5; ++i) {
      harness_.store.Put(Cat("k", i), "v", LeaseId{}, harness_.NextSeq());
    }
  });
  EXPECT_EQ(Got(), Lines({"0@2 k0=v k1=v k2=v k3=v k4=v"}));
}

TEST(WatchHubBatchTest, ResponsesAreBoundedButRevisionsNeverCut) {
  Harness harness({.batch_bytes = 250});
  Client client(&harness);
  client.Watch({.key = "a", .range_end = "z"});
  client.Take();
  const std::string value(100, 'v');
  const auto burst = [&] {
    for (int i = 0; i < 4; ++i) harness.Put("k", value);
    harness.Txn([&] {
      for (int i = 0; i < 6; ++i) harness.store.Put(Cat("t", i), value, LeaseId{}, {});
    });
    harness.Put("k", value);
  };
  burst();
  harness.Settle();
  const auto shapes = [&] {
    std::vector<std::pair<int64_t, size_t>> out;
    for (const Response& r : client.Take()) out.emplace_back(r.revision.value(), r.events.size());
    return out;
  };
  using Shapes = std::vector<std::pair<int64_t, size_t>>;
  EXPECT_EQ(shapes(), Shapes({{4, 3}, {6, 7}, {7, 1}}));
  // From history the same.
  client.Watch({.key = "a", .range_end = "z", .start_revision = Revision{2}});
  harness.Settle();
  EXPECT_EQ(shapes(), Shapes({{7, 0}, {4, 3}, {6, 7}, {7, 1}}));
}

TEST(WatchHubFragmentTest, CutsAsEtcdDoes) {
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

// ---- Progress -----------------------------------------------------------------------------------

TEST_F(WatchHubTest, ProgressOnRequestComesAfterTheEvents) {
  client_.stream->RequestProgress();
  EXPECT_EQ(Got(), Lines());  // no watch, no answer
  Create({.key = "a"});
  client_.stream->RequestProgress();
  EXPECT_EQ(Got(), Lines({"0@1 created", "-1@1"}));
  harness_.Put("a", "1");
  harness_.Put("b", "2");
  client_.stream->RequestProgress();
  EXPECT_EQ(Texts(client_.Take()), Lines({"0@2 a=1", "-1@3"}));
  EXPECT_EQ(Got(), Lines());
}

TEST_F(WatchHubTest, ProgressOnRequestWaitsForThoseBehind) {
  harness_.Put("a", "1");
  Create({.key = "a", .start_revision = Revision{1}});
  client_.stream->RequestProgress();
  client_.stream->RequestProgress();
  EXPECT_EQ(Texts(client_.Take()), Lines({"0@2 created"}));
  EXPECT_EQ(Got(), Lines({"0@2 a=1", "-1@2"}));
}

TEST_F(WatchHubTest, ProgressOnRequestAfterTheOneBehindIsCanceled) {
  harness_.Put("a", "1");
  Create({.key = "a"});
  Create({.key = "a", .start_revision = Revision{1}});
  client_.stream->RequestProgress();
  client_.stream->Cancel(WatchId{1});
  EXPECT_EQ(Got(), Lines({"0@2 created", "1@2 created", "1@2 canceled", "-1@2"}));
}

TEST_F(WatchHubTest, ProgressOnRequestIsDroppedAsInEtcd) {
  harness_.Put("a", "1");
  Create({.key = "a", .start_revision = Revision{4}});
  client_.stream->RequestProgress();
  EXPECT_EQ(Got(), Lines({"0@2 created"}));  // one that starts in the future
  harness_.Put("a", "2");
  harness_.Put("a", "3");
  client_.stream->RequestProgress();
  EXPECT_EQ(Got(), Lines({"0@4 a=3", "-1@4"}));
  harness_.Compact(Revision{4});
  Create({.key = "a", .start_revision = Revision{2}});
  EXPECT_EQ(Got(), Lines({"1@4 created", "1@0 canceled compacted:4"}));
  client_.stream->RequestProgress();
  EXPECT_EQ(Got(), Lines());  // one that was compacted away and not canceled by the client
  client_.stream->Cancel(WatchId{1});
  client_.stream->RequestProgress();
  EXPECT_EQ(Got(), Lines({"1@4 canceled", "-1@4"}));
}

TEST(WatchHubProgressTest, ByIntervalUnlessEventsWereSent) {
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

TEST(WatchHubProgressTest, StreamsOpenedLaterTickLater) {
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

// ---- Slow streams -------------------------------------------------------------------------------

TEST(WatchHubSlowTest, AFullStreamHoldsNothingAndCatchesUp) {
  Harness harness({.stream_buffer_bytes = 1'000, .batch_bytes = 300});
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

TEST(WatchHubSlowTest, CompactionOvertakesASlowStream) {
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

TEST(WatchHubSlowTest, OneNearTheEndDoesNotWaitForOneFromTheStart) {
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

// ---- Life ---------------------------------------------------------------------------------------

TEST(WatchHubLifeTest, StreamsAndHubEndWithWorkDeferred) {
  Harness harness;
  auto client = std::make_unique<Client>(&harness);
  client->Watch({.key = "a", .progress_notify = true});
  client->Watch({.key = "a", .start_revision = Revision{1}});
  client->stream->RequestProgress();
  harness.Put("a", "1");
  client.reset();
  EXPECT_EQ(harness.hub->stats().watchers, 0U);
  EXPECT_EQ(harness.hub->stats().unsynced, 0U);
  harness.hub.reset();
  harness.Settle();
  EXPECT_EQ(harness.executor.timers(), 0U);
}

TEST_F(WatchHubTest, AfterAnotherLedTheMissedEventsCome) {
  Create({.key = "a"});
  Create({.key = "a", .start_revision = Revision{3}});
  Got();
  harness_.hub->OnStepDown(absl::UnavailableError("superseded"));
  for (int i = 0; i < 3; ++i) {  // another member's, which this one reads later
    harness_.store.Begin();
    harness_.store.Put("a", Cat(i), LeaseId{}, harness_.NextSeq());
    ASSERT_TRUE(harness_.store.End());
    harness_.store.CommitOldest();
  }
  EXPECT_EQ(Got(), Lines());
  harness_.hub->OnLeading(Term{3});
  EXPECT_EQ(Got(), Lines({"0@4 a=0 a=1 a=2", "1@4 a=1 a=2"}));
  harness_.Put("a", "3");
  EXPECT_EQ(Got().size(), 2U);
}

TEST_F(WatchHubTest, CancelAllSaysWhy) {
  Create({.key = "a"});
  Got();
  harness_.hub->CancelAll("because");
  EXPECT_EQ(Got(), Lines({"0@1 canceled (because)"}));
  Create({.key = "a", .watch_id = WatchId{5}});
  harness_.Put("a", "1");
  EXPECT_EQ(Got(), Lines({"5@1 created", "5@2 a=1"}));
}

TEST(WatchHubScaleTest, FiveThousandWatchesOnOneStream) {
  Harness harness;
  Client client(&harness);
  for (int i = 0; i < 5'000; ++i) {
    client.Watch({.key = Cat("/k/", i % 2'500), .range_end = i % 5 == 0 ? "/k0" : ""});
  }
  client.Drain();
  client.Take();
  EXPECT_EQ(harness.hub->stats().watchers, 5'000U);
  harness.Put("/k/99", "v");
  harness.Settle();
  // Single watches of it: 99 and 2599, less those that are ranges (every fifth: none of the two);
  // the ranges [/k/j, /k0) with j <= 99 in byte order.
  size_t expected = 2;
  for (int i = 0; i < 5'000; i += 5) {
    if (Cat("/k/", i % 2'500) <= "/k/99") ++expected;
  }
  EXPECT_EQ(client.responses.size(), expected);
}

}  // namespace
}  // namespace jetd::watch
