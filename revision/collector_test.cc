// SPDX-License-Identifier: Apache-2.0
#include "revision/collector.h"

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fake_executor.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"

namespace jetd::revision {
namespace {

using jetstream::Log;
using jetstream::MemoryLog;
using jetstream::MemoryStream;

// Notes what is deleted and when it is synced; fails deletes on demand.
class NotingLog : public MemoryLog {
 public:
  using MemoryLog::MemoryLog;
  void Delete(StreamSeq seq, DoneFn done) override {
    if (fail_next > 0) {
      --fail_next;
      executor->Defer([done] { done(MakeError(Errc::kUnavailable)); });
      return;
    }
    events.push_back(std::to_string(seq.value()));
    executor->Defer([done] { done(absl::OkStatus()); });
  }
  void SyncDeletes(DoneFn done) override {
    events.emplace_back("sync");
    executor->Defer([done] { done(absl::OkStatus()); });
  }
  FakeExecutor* executor = nullptr;
  int fail_next = 0;
  std::vector<std::string> events;
};

// A window a millisecond, for those who count windows.
Collector::Options Quick(Collector::Options options) {
  options.pause = options.least_pause;
  return options;
}

class CollectorTest : public ::testing::Test {
 protected:
  CollectorTest() { log_.executor = &exec_; }
  static std::vector<StreamSeq> Seqs(std::vector<uint64_t> values) {
    std::vector<StreamSeq> seqs;
    for (const uint64_t value : values) seqs.emplace_back(value);
    return seqs;
  }

  FakeExecutor exec_;
  MemoryStream stream_;
  NotingLog log_{&exec_, &stream_};
  Collector collector_{&exec_, &log_, Quick({.window = 2, .max_window = 2})};
};

using Events = std::vector<std::string>;

TEST_F(CollectorTest, WhatIsForgottenStays) {
  collector_.Resume();
  collector_.Add({.hidden = Seqs({1, 2, 3, 4, 5}), .markers = Seqs({6})});
  exec_.Advance(std::chrono::milliseconds(1));
  const Events begun = std::exchange(log_.events, {});
  EXPECT_EQ(begun, (Events{"1", "2"}));
  collector_.Forget();
  collector_.Resume();
  exec_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(log_.events, Events{});
  EXPECT_EQ(collector_.waiting(), 0U);
  collector_.Add({.hidden = Seqs({9})});
  exec_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(log_.events, Events{"9"});
}

TEST_F(CollectorTest, MarkersGoAfterWhatTheyHideIsGoneAndSynced) {
  collector_.Resume();
  bool done = false;
  collector_.Add(
      {.hidden = Seqs({9, 3, 5, 3}), .markers = Seqs({10, 4}), .done = [&] { done = true; }});
  exec_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(log_.events, (Events{"3", "5", "9", "sync", "4", "10"}));
  EXPECT_TRUE(done);
  EXPECT_EQ(collector_.deleted(), 5U);
  EXPECT_EQ(collector_.waiting(), 0U);
}

TEST_F(CollectorTest, WithoutMarkersNothingIsSynced) {
  collector_.Resume();
  collector_.Add({.hidden = Seqs({1}), .markers = {}, .done = nullptr});
  collector_.Add({.hidden = Seqs({2}), .markers = {}, .done = nullptr});
  exec_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(log_.events, (Events{"1", "2"}));
}

TEST_F(CollectorTest, AFailedWindowIsRepeated) {
  collector_.Resume();
  log_.fail_next = 1;
  collector_.Add({.hidden = Seqs({1, 2, 3}), .markers = {}, .done = nullptr});
  exec_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(log_.events, (Events{"2", "1", "2", "3"}));
}

TEST_F(CollectorTest, SuspendedItDoesNothingAndGoesOnLater) {
  collector_.Add({.hidden = Seqs({1, 2, 3}), .markers = Seqs({4}), .done = nullptr});
  exec_.Advance(std::chrono::seconds(1));
  EXPECT_TRUE(log_.events.empty());
  collector_.Resume();
  exec_.Advance(std::chrono::microseconds(1'100));  // the first window
  collector_.Suspend();
  exec_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(log_.events, (Events{"1", "2"}));
  collector_.Resume();
  exec_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(log_.events.back(), "4");
}

// What was deleted after each of the first windows.
std::vector<size_t> Windows(FakeExecutor* exec, NotingLog* log, Collector* collector,
                            size_t windows, bool beside_writes) {
  std::vector<size_t> sizes;
  for (size_t i = 0; i < windows; ++i) {
    const size_t before = log->events.size();
    if (beside_writes) collector->NoteWrite();
    exec->Advance(std::chrono::milliseconds(1));
    sizes.push_back(log->events.size() - before);
  }
  return sizes;
}

Collector::Batch Garbage(uint64_t records) {
  Collector::Batch batch;
  for (uint64_t seq = 1; seq <= records; ++seq) batch.hidden.emplace_back(seq);
  return batch;
}

TEST_F(CollectorTest, BesideWritesWindowsStaySmall) {
  Collector collector(&exec_, &log_, Quick({.window = 4, .max_window = 32, .calm_windows = 3}));
  collector.Resume();
  collector.Add(Garbage(1'000));
  EXPECT_EQ(Windows(&exec_, &log_, &collector, 6, true), (std::vector<size_t>{4, 4, 4, 4, 4, 4}));
}

TEST_F(CollectorTest, WithoutWritesItSpeedsUpAndSlowsDownAgain) {
  Collector collector(&exec_, &log_, Quick({.window = 4, .max_window = 32, .calm_windows = 3}));
  collector.Resume();
  collector.Add(Garbage(1'000));
  EXPECT_EQ(Windows(&exec_, &log_, &collector, 5, false), (std::vector<size_t>{4, 4, 32, 32, 32}));
  EXPECT_EQ(Windows(&exec_, &log_, &collector, 2, true), (std::vector<size_t>{4, 4}));
}

TEST_F(CollectorTest, TheMoreWaitsTheLargerAreItsWindows) {
  Collector collector(&exec_, &log_,
                      Quick({.window = 4, .max_window = 32, .horizon = std::chrono::seconds(1)}));
  collector.Resume();
  collector.Add(Garbage(20'500));
  EXPECT_EQ(Windows(&exec_, &log_, &collector, 2, true), (std::vector<size_t>{20, 20}));
  collector.Add(Garbage(60'000));
  EXPECT_EQ(Windows(&exec_, &log_, &collector, 2, true), (std::vector<size_t>{32, 32}));
}

// Beside writes windows come far apart; closer ones, once they are as large as may be.
TEST_F(CollectorTest, PausesAreLongUnlessTooMuchWaits) {
  struct Case {
    uint64_t garbage;
    uint64_t deleted;  // within 100 ms
  };
  for (const Case& one : {Case{1'000, 6 * 4},          // after 16, 32, … ms
                          Case{200'000, 11 * 8},       // 16, 24, …
                          Case{3'000'000, 85 * 8}}) {  // 16, 17, …
    SCOPED_TRACE(one.garbage);
    Collector collector(&exec_, &log_,
                        {.window = 4,
                         .max_window = 8,
                         .pause = std::chrono::milliseconds(16),
                         .least_pause = std::chrono::milliseconds(1),
                         .horizon = std::chrono::seconds(200)});
    collector.Resume();
    collector.Add(Garbage(one.garbage));
    Windows(&exec_, &log_, &collector, 100, true);
    EXPECT_EQ(collector.deleted(), one.deleted);
  }
}

TEST_F(CollectorTest, NoTimerWithoutWork) {
  collector_.Resume();
  EXPECT_EQ(exec_.timers(), 0U);
  collector_.Add({.hidden = Seqs({1}), .markers = {}, .done = nullptr});
  exec_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(exec_.timers(), 0U);
}

}  // namespace
}  // namespace jetd::revision
