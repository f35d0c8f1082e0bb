// SPDX-License-Identifier: Apache-2.0
#include "watch/watch_hub.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/strings.h"
#include "gtest/gtest.h"
#include "watch/feed.h"
#include "watch/watch_harness.h"

namespace jetd::watch {
namespace {

const std::string kOpen(1, '\0');

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

TEST_F(WatchHubTest, AfterManyResponsesCommitsShareTheNext) {
  for (size_t i = 0; i < Feed::kManyResponses; ++i) Create({.key = "a"});
  Got();
  harness_.Put("a", "1");
  EXPECT_EQ(Got().size(), Feed::kManyResponses);
  harness_.Put("a", "2");
  EXPECT_EQ(Got(), Lines());
  harness_.Put("a", "3");
  harness_.executor.Advance(Feed::kPause - std::chrono::nanoseconds(1));
  EXPECT_EQ(Got(), Lines());
  harness_.executor.Advance(std::chrono::nanoseconds(1));
  const Lines got = Got();
  ASSERT_EQ(got.size(), Feed::kManyResponses);
  EXPECT_EQ(got.front(), "0@4 a=2 a=3");
  // A while later nothing waits.
  harness_.executor.Advance(Feed::kPause);
  harness_.Put("a", "4");
  EXPECT_EQ(Got().size(), Feed::kManyResponses);
}

TEST_F(WatchHubTest, FewWatchersNeverWait) {
  for (size_t i = 1; i < Feed::kManyResponses; ++i) Create({.key = "a"});
  Got();
  for (const char* value : {"1", "2", "3"}) {
    harness_.Put("a", value);
    EXPECT_EQ(Got().size(), Feed::kManyResponses - 1);
  }
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
  Harness harness({.batch_bytes = 250, .catch_up_batch_bytes = 250});
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
    for (const Response& r : client.Take()) {
      const Revision last = r.events.empty() ? r.revision : r.events.back().kv->mod_revision();
      out.emplace_back(last.value(), r.events.size());
    }
    return out;
  };
  using Shapes = std::vector<std::pair<int64_t, size_t>>;
  EXPECT_EQ(shapes(), Shapes({{4, 3}, {6, 7}, {7, 1}}));
  // From history the same.
  client.Watch({.key = "a", .range_end = "z", .start_revision = Revision{2}});
  harness.Settle();
  EXPECT_EQ(shapes(), Shapes({{7, 0}, {4, 3}, {6, 7}, {7, 1}}));
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

TEST_F(WatchHubTest, CountsHowLongWatchesAreThere) {
  const double before = harness_.hub->stats().watch_seconds;
  Create({.key = "a"});
  Create({.key = "b"});
  harness_.executor.Advance(std::chrono::seconds(10));
  client_.stream->Cancel(WatchId{0});
  harness_.executor.Advance(std::chrono::seconds(5));
  EXPECT_DOUBLE_EQ(harness_.hub->stats().watch_seconds - before, 25);
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

// Though the store went on far beyond what they saw: it is another store.
TEST_F(WatchHubTest, ALostHistoryEndsAllWatches) {
  Create({.key = "a"});
  Got();
  harness_.hub->OnHistoryLost();
  harness_.hub->OnFollowing(Term{2});
  EXPECT_EQ(Got(), Lines({"0@1 canceled (jetd: revisions that watchers saw were lost)"}));
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
