// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/slow_calls.h"

#include <string>
#include <vector>

#include "base/etcdpb/rpc.pb.h"
#include "base/fake_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SlowCallsTest : public ::testing::Test {
 protected:
  // Begins a call in a round of its own.
  SlowCalls::Call Begin() {
    SlowCalls::Call call{.method = put_,
                         .started = calls_.Now(),
                         .behind = calls_.Behind(),
                         .request_bytes = 10,
                         .answer_bytes = 20};
    calls_.EndRound();
    return call;
  }
  void End(const SlowCalls::Call& call) {
    calls_.OnAnswer(call);
    calls_.EndRound();
  }
  // One that takes so long, with nothing to show why.
  void Take(std::chrono::nanoseconds time) {
    const SlowCalls::Call call = Begin();
    executor_.Advance(time);
    End(call);
  }

  const google::protobuf::MethodDescriptor* const put_ =
      etcdserverpb::PutRequest::descriptor()->file()->FindServiceByName("KV")->FindMethodByName(
          "Put");
  FakeExecutor executor_;
  SlowCalls::Waits waits_;
  std::vector<std::string> lines_;
  SlowCalls::Report told_;  // the last
  SlowCalls calls_{&executor_, 300ms, [this] { return waits_; },
                   [this](const SlowCalls::Report& report) {
                     told_ = report;
                     lines_.push_back(report.text);
                   }};
};

TEST_F(SlowCallsTest, NamesACallThatTakesLong) {
  Take(299ms);
  EXPECT_THAT(lines_, IsEmpty());
  Take(300ms);
  EXPECT_THAT(lines_, ElementsAre("slow request: etcdserverpb.KV/Put took 300 ms, for its turn "
                                  "among others or for its own work (10 bytes in, 20 out)"));
}

TEST_F(SlowCallsTest, NamesWhatItWaitedFor) {
  const auto cause_of = [this](auto set) {
    executor_.Advance(2s);
    waits_ = {};
    lines_.clear();
    SlowCalls::Call call = Begin();
    executor_.Advance(400ms);
    set(call);
    End(call);
    EXPECT_EQ(lines_.size(), 1U);
    const std::string& line = lines_.at(0);
    const size_t begin = line.find("ms, ") + 4;
    return line.substr(begin, line.find(" (10 bytes") - begin);
  };
  const auto now = [this] { return executor_.Now(); };
  EXPECT_EQ(cause_of([&](auto&) {
              waits_.sync = {390ms, now()};
            }),
            "of which 390 ms for the disk to sync");
  EXPECT_EQ(told_.method, "etcdserverpb.KV/Put");
  EXPECT_EQ(told_.took, 400ms);
  EXPECT_STREQ(told_.cause, "sync");
  EXPECT_EQ(told_.waited, 390ms);
  EXPECT_EQ(told_.request_bytes, 10U);
  EXPECT_EQ(told_.answer_bytes, 20U);
  EXPECT_EQ(told_.left_out, 0U);
  EXPECT_EQ(cause_of([&](auto&) {
              waits_.ack = {300ms, now()};
              waits_.sync = {50ms, now()};
            }),
            "of which 300 ms for NATS to take the record");
  EXPECT_EQ(cause_of([&](auto&) {
              waits_.room = {350ms, now()};
            }),
            "of which 350 ms for NATS to say how much room there is");
  EXPECT_EQ(cause_of([&](auto&) {
              waits_.barrier = {900ms, now()};
            }),
            "of which 400 ms for NATS to say that nobody else has written (a read's barrier)");
  EXPECT_EQ(cause_of([&](auto&) { waits_.connected = now() - 100ms; }),
            "of which 300 ms for the connection to NATS");
  EXPECT_EQ(cause_of([&](auto& call) { call.forwarded = true; }),
            "of which 400 ms for the member that leads");
  // What ended before is not to blame, nor what was short.
  EXPECT_EQ(cause_of([&](auto& call) {
              waits_.sync = {390ms, call.started - 1ns};
              waits_.ack = {99ms, now()};
            }),
            "for its turn among others or for its own work");
  EXPECT_STREQ(told_.cause, "work");
  EXPECT_EQ(told_.waited, 0ms);
}

// The engine looks at the clock when a round begins, so a call that comes while it is at work has
// waited for up to all of that.
TEST_F(SlowCallsTest, WaitingForTheEngineCounts) {
  (void)calls_.Now();
  executor_.Stall(500ms);
  calls_.EndRound();
  End(Begin());
  EXPECT_THAT(lines_, ElementsAre("slow request: etcdserverpb.KV/Put took 500 ms, of which 500 ms "
                                  "for the engine, which was at work on something else (10 bytes "
                                  "in, 20 out)"));
  lines_.clear();
  executor_.Advance(5s);
  End(Begin());
  EXPECT_THAT(lines_, IsEmpty()) << "one round is what it was behind";
}

TEST_F(SlowCallsTest, OneLineASecondAndOneForTheRest) {
  std::vector<SlowCalls::Call> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(Begin());
  executor_.Advance(400ms);
  const SlowCalls::Call last = Begin();
  for (const SlowCalls::Call& call : calls) calls_.OnAnswer(call);
  calls_.EndRound();
  EXPECT_EQ(lines_.size(), 1U);
  executor_.Advance(600ms);
  End(last);
  EXPECT_EQ(lines_.size(), 1U);
  executor_.Advance(500ms);
  ASSERT_EQ(lines_.size(), 2U);
  EXPECT_EQ(lines_[1],
            "slow requests: 100 more, the slowest: etcdserverpb.KV/Put took 600 ms, for its turn "
            "among others or for its own work (10 bytes in, 20 out)");
  EXPECT_EQ(told_.left_out, 100U);
  EXPECT_EQ(told_.took, 600ms);
  executor_.Advance(10s);
  EXPECT_EQ(lines_.size(), 2U);
  EXPECT_EQ(executor_.timers(), 0U) << "nothing runs where nothing is slow";
}

}  // namespace
}  // namespace jetd::etcdapi
