// SPDX-License-Identifier: Apache-2.0
//
// AppendChain on a real connection. What it sends is seen by a subscriber beside the stream; where
// the test wants to choose the answers, there is no stream and the subscriber gives them.
#include "jetstream/append_chain.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_test_server.h"

namespace jetd::jetstream {
namespace {

constexpr std::chrono::seconds kFarTooLong{30};
using Numbers = std::vector<uint64_t>;

class AppendChainTest : public testing::Test, protected LoopRunner {
 protected:
  struct Seen {
    std::string reply;  // empty: no answer was asked for
    std::string expected;
    std::string payload;
  };

  void SetUp() override {
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    loop_.AddRoundHook([this] { Flush(); });
    ours_ = Connect();
    other_ = Connect();
    our_api_ = std::make_unique<NatsApi>(&loop_, ours_.get(), "$JS.API.", kFarTooLong);
    other_api_ = std::make_unique<NatsApi>(&loop_, other_.get(), "$JS.API.", kFarTooLong);
    other_->Subscribe("$KV.b.>", [this](NatsMessage& message) {
      seen_.push_back({std::string(message.reply()),
                       std::string(message.Header("Nats-Expected-Last-Sequence")),
                       std::string(message.payload())});
    });
    RoundTrip();
  }
  void TearDown() override {
    chain_.reset();
    for (NatsConnection* const one : {ours_.get(), other_.get()}) {
      if (one != nullptr) one->Stop();
    }
  }

  std::unique_ptr<NatsConnection> Connect() {
    auto made = NatsConnection::Connect(&loop_, {.url = server_->url(), .credentials = {}}, "test",
                                        std::chrono::seconds(10));
    JETD_CHECK(made.ok()) << made.status();
    (*made)->Start([this](const absl::Status& why) { closed_ = why; });
    return *std::move(made);
  }

  void RunUntil(const std::function<bool()>& done) {
    Flush();
    EXPECT_TRUE(LoopRunner::RunUntil(done)) << "it never came about";
  }

  void Flush() {
    for (NatsConnection* const one : {ours_.get(), other_.get()}) {
      if (one != nullptr) one->Flush();
    }
  }

  // All that either has sent so far has arrived at the other.
  void RoundTrip() {
    for (NatsApi* const api : {other_api_.get(), our_api_.get()}) {
      bool back = false;
      api->Request("$JS.API.INFO", "", [&](const absl::StatusOr<NatsMessage*>&) { back = true; });
      RunUntil([&] { return back; });
    }
  }

  void MakeStream(const std::string& more = "") {
    bool made = false;
    our_api_->Request(
        our_api_->Subject("STREAM.CREATE.KV_b"),
        Cat(R"({"name":"KV_b","subjects":["$KV.b.>"],"storage":"file","discard":"new")", more, "}"),
        [&](const absl::StatusOr<NatsMessage*>& reply) {
          const ApiError error = ApiErrorOf(ParseAnswer(reply.value()->payload()));
          EXPECT_EQ(error.code, 0) << error.description;
          made = true;
        });
    RunUntil([&] { return made; });
  }

  void MakeChain(bool answer_for_group, StreamSeq sent_before = StreamSeq()) {
    chain_ = std::make_unique<AppendChain>(
        &loop_, ours_.get(),
        AppendChain::Options{.publish_prefix = "",
                             .subject_prefix = "$KV.b.",
                             .barrier_subject = "$KV.b._jetd.barrier",
                             .patience = kFarTooLong,
                             .answer_for_group = answer_for_group,
                             .sent_before = sent_before},
        AppendChain::Callbacks{
            .appended = [this](StreamSeq seq) { appended_.push_back(seq.value()); },
            .refused =
                [this](StreamSeq seq, const absl::Status& why) {
                  refused_.push_back(seq.value());
                  why_ = why;
                },
            .broken =
                [this](const absl::Status& why) {
                  chain_->Drop();
                  broken_ = why;
                }});
  }

  void Append(uint64_t predicted, const std::string& payload = "value") {
    chain_->Append(StreamSeq(predicted), {.subject = "$KV.b.key", .payload = payload});
  }
  void AppendGroup(uint64_t first, uint64_t last) {
    for (uint64_t seq = first; seq <= last; ++seq) Append(seq);
    chain_->EndGroup();
  }

  // The sequences of the appends that asked for an answer.
  Numbers Asked() const {
    Numbers asked;
    for (const Seen& one : seen_) {
      if (!one.reply.empty()) asked.push_back(std::stoull(one.expected) + 1);
    }
    return asked;
  }

  void Answer(const std::string& reply, const std::string& json) {
    other_->Publish(reply, "", json);
  }

  std::unique_ptr<NatsTestServer> server_;
  std::unique_ptr<NatsConnection> ours_, other_;
  std::unique_ptr<NatsApi> our_api_, other_api_;
  std::unique_ptr<AppendChain> chain_;
  std::vector<Seen> seen_;
  Numbers appended_, refused_;
  absl::Status why_, broken_, closed_;
};

TEST_F(AppendChainTest, OnlyTheLastOfAGroupAsks) {
  MakeStream();
  MakeChain(/*answer_for_group=*/true);
  AppendGroup(1, 5);
  RunUntil([&] { return appended_.size() == 5 && seen_.size() == 5; });
  AppendGroup(6, 6);
  RunUntil([&] { return appended_.size() == 6 && seen_.size() == 6; });
  EXPECT_EQ(appended_, (Numbers{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(Asked(), (Numbers{5, 6}));
  EXPECT_EQ(seen_[3].expected, "3");
  EXPECT_EQ(seen_[3].payload, "value");
}

TEST_F(AppendChainTest, WhereOthersMayAppendEachAsks) {
  MakeStream();
  MakeChain(/*answer_for_group=*/false);
  AppendGroup(1, 4);
  RunUntil([&] { return appended_.size() == 4 && seen_.size() == 4; });
  EXPECT_EQ(Asked(), (Numbers{1, 2, 3, 4}));
}

// An append of an earlier connection may still land at 3; what lands behind it proves nothing.
TEST_F(AppendChainTest, WhatAnEarlierConnectionSentAsks) {
  MakeStream();
  MakeChain(/*answer_for_group=*/true, StreamSeq(3));
  AppendGroup(1, 6);
  RunUntil([&] { return appended_.size() == 6 && seen_.size() == 6; });
  EXPECT_EQ(Asked(), (Numbers{1, 2, 3, 6}));
}

TEST_F(AppendChainTest, ABarrierComesBehindAllThatWasAppended) {
  MakeStream();
  MakeChain(/*answer_for_group=*/true);
  Append(1);
  Append(2);
  StreamSeq last;
  chain_->Barrier([&](absl::StatusOr<StreamSeq> seq) {
    EXPECT_EQ(appended_, (Numbers{1, 2}));
    last = seq.value();
  });
  RunUntil([&] { return last == StreamSeq(2); });
}

TEST_F(AppendChainTest, ALargeOneIsNotHeldBack) {
  MakeStream();
  MakeChain(/*answer_for_group=*/true);
  Append(1);
  EXPECT_EQ(chain_->held(), 1U);
  Append(2, std::string(AppendChain::kMaxHeldBytes + 1, 'x'));
  EXPECT_EQ(chain_->held(), 0U);
  RunUntil([&] { return appended_.size() == 2 && seen_.size() == 2; });
  EXPECT_EQ(Asked(), (Numbers{2}));
}

// Those before the one that was refused may have landed or not: the tail says which. From then on
// each is told its own reason.
TEST_F(AppendChainTest, AfterARefusalEachAsks) {
  MakeStream(R"(,"max_msgs":3)");
  MakeChain(/*answer_for_group=*/true);
  AppendGroup(1, 5);
  RunUntil([&] { return refused_.size() == 5 && seen_.size() == 5; });
  EXPECT_EQ(refused_, (Numbers{1, 2, 3, 4, 5}));
  EXPECT_EQ(appended_, (Numbers{}));
  EXPECT_EQ(GetErrc(why_), Errc::kUnavailable) << why_;  // 5 came behind 3
  refused_.clear();
  AppendGroup(4, 5);
  RunUntil([&] { return !refused_.empty(); });
  EXPECT_EQ(refused_.front(), 4U);
  RunUntil([&] { return refused_.size() == 2 && seen_.size() == 7; });
  EXPECT_EQ(Asked(), (Numbers{5, 4, 5}));
}

TEST_F(AppendChainTest, TheReasonIsFoundByAskingAgain) {
  MakeStream(R"(,"max_msgs":3)");
  MakeChain(/*answer_for_group=*/true);
  AppendGroup(1, 5);
  RunUntil([&] { return refused_.size() == 5; });
  AppendGroup(4, 4);
  RunUntil([&] { return refused_.size() == 6; });
  EXPECT_EQ(GetErrc(why_), Errc::kNoSpace) << why_;
}

// That refusal overtakes the queue, in which those before it still are: nothing is known of them.
TEST_F(AppendChainTest, AFullQueueEndsTheConnection) {
  MakeChain(/*answer_for_group=*/true);
  AppendGroup(1, 3);
  RunUntil([&] { return seen_.size() == 3; });
  Answer(seen_[2].reply, R"({"error":{"code":429,"err_code":10167,"description":"full"}})");
  RunUntil([&] { return !broken_.ok(); });
  EXPECT_EQ(appended_, (Numbers{}));
  EXPECT_EQ(refused_, (Numbers{}));
}

TEST_F(AppendChainTest, AFullQueueWhereEachAsksIsARefusal) {
  MakeChain(/*answer_for_group=*/false);
  AppendGroup(1, 2);
  RunUntil([&] { return seen_.size() == 2; });
  Answer(seen_[1].reply, R"({"error":{"code":429,"err_code":10167,"description":"full"}})");
  Answer(seen_[0].reply, R"({"stream":"KV_b","seq":1})");
  RunUntil([&] { return refused_.size() == 1; });
  EXPECT_EQ(appended_, (Numbers{1}));
  EXPECT_EQ(refused_, (Numbers{2}));
  EXPECT_EQ(GetErrc(why_), Errc::kTooManyRequests);
}

// Two groups are on their way; the answer of the second does not stand for the first.
TEST_F(AppendChainTest, AnAnswerIsForItsGroupAlone) {
  MakeChain(/*answer_for_group=*/true);
  AppendGroup(1, 2);
  AppendGroup(3, 4);
  RunUntil([&] { return seen_.size() == 4; });
  Answer(seen_[3].reply, R"({"stream":"KV_b","seq":4})");
  RoundTrip();
  RoundTrip();
  EXPECT_EQ(appended_, (Numbers{}));
  Answer(seen_[1].reply, R"({"stream":"KV_b","seq":2})");
  RunUntil([&] { return appended_.size() == 4; });
  EXPECT_EQ(appended_, (Numbers{1, 2, 3, 4}));
}

TEST_F(AppendChainTest, AnAckOfAnotherSequenceEndsTheConnection) {
  MakeChain(/*answer_for_group=*/true);
  AppendGroup(1, 2);
  RunUntil([&] { return seen_.size() == 2; });
  Answer(seen_[1].reply, R"({"stream":"KV_b","seq":7})");
  RunUntil([&] { return !broken_.ok(); });
  EXPECT_EQ(GetErrc(broken_), Errc::kCorrupt);
  EXPECT_EQ(appended_, (Numbers{}));
}

}  // namespace
}  // namespace jetd::jetstream
