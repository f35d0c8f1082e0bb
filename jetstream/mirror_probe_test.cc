// SPDX-License-Identifier: Apache-2.0
//
// A stream and its mirror whose JetStream is this test, so that an answer can be left out.
#include "jetstream/mirror_probe.h"

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/domain_api.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/record.h"

namespace jetd::jetstream {
namespace {

constexpr char kCreated[] = "2026-11-20T15:10:00Z";

class MirrorProbeTest : public testing::Test, protected LoopRunner {
 protected:
  void SetUp() override {
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    for (auto* const connection : {&asks_, &answers_}) {
      *connection =
          NatsConnection::Connect(&loop_, {.url = server_->url()}, "test", std::chrono::seconds(5))
              .value();
    }
    loop_.AddRoundHook([this] {
      if (asks_ == nullptr) return;
      asks_->Flush();
      answers_->Flush();
    });
    for (auto* const connection : {&asks_, &answers_}) {
      (*connection)->Start([](const absl::Status& why) { ADD_FAILURE() << why; });
    }
    answers_->Subscribe("$JS.*.API.>", [this](NatsMessage& message) {
      const nlohmann::json answer = AnswerTo(message);
      answers_->Publish(std::string(message.reply()), "", answer.dump());
    });
    // The server says that it knows of the one above by what it says of a later question.
    bool listens = false;
    const std::string inbox = answers_->inbox() + ".1";
    const uint64_t waits = answers_->Subscribe(
        inbox, [](NatsMessage&) {}, [&listens] { listens = true; });
    loop_.Post([this, inbox] { answers_->Publish("nobody.listens", inbox, ""); });
    ASSERT_TRUE(RunUntil([&listens] { return listens; }));
    answers_->Unsubscribe(waits);
    api_ = std::make_unique<DomainApi>(&loop_, asks_.get(), std::chrono::seconds(30));
  }
  void TearDown() override {
    if (server_ == nullptr) return;
    api_.reset();
    asks_->Stop();
    answers_->Stop();
    asks_.reset();
    answers_.reset();
  }

  nlohmann::json AnswerTo(const NatsMessage& message) {
    const bool of_mirror = message.subject().starts_with("$JS.dr.");
    if (message.subject().find(".STREAM.INFO.") != std::string_view::npos) return Info(of_mirror);
    const nlohmann::json question = ParseAnswer(message.payload());
    const nlohmann::json none = {
        {"error", {{"code", 404}, {"err_code", 10037}, {"description", "none"}}}};
    if (question.contains("last_by_subj")) {
      return alarms_.empty() ? none : nlohmann::json{{"message", {{"data", alarms_}}}};
    }
    const auto at_or_above = terms_.lower_bound(question.at("seq").get<uint64_t>());
    if (at_or_above == terms_.end()) return none;
    if (of_mirror) asked_.push_back(*at_or_above);
    if (of_mirror && *at_or_above == unanswered_) {
      return {{"error", {{"code", 503}, {"err_code", 10008}, {"description", "busy"}}}};
    }
    return {{"message", {{"seq", *at_or_above}, {"subject", "$KV.b._jetd.term"}}}};
  }
  [[nodiscard]] nlohmann::json Info(bool of_mirror) const {
    nlohmann::json config = NewStreamConfig({.bucket = "b"});
    DeclareMirror({.name = "m", .domain = "dr"}, &config);
    nlohmann::json origin = {{"config", config},
                             {"created", kCreated},
                             {"state", {{"messages", 3}, {"first_seq", 1}, {"last_seq", 20}}}};
    if (!of_mirror) return origin;
    origin["config"] = MirrorStreamConfig(
        "b", 1, {.domain = "hub", .created_ns = FactsOf(origin).value().created_ns});
    return origin;
  }
  // The only mirror.
  MirrorState Look(std::vector<MirrorState> known) {
    std::optional<absl::StatusOr<std::vector<MirrorReport>>> found;
    loop_.Post([&] {
      AskMirrors(api_.get(), api_.get(),
                 {.bucket = "b", .domain = "hub", .look = {.known = std::move(known)}},
                 [&](absl::StatusOr<std::vector<MirrorReport>> reports) { found = reports; });
    });
    EXPECT_TRUE(RunUntil([&] { return found.has_value(); }));
    if (!found.has_value() || !found->ok() || (*found)->size() != 1) {
      ADD_FAILURE() << "no report";
      return {};
    }
    return (*found)->front().state;
  }

  std::unique_ptr<NatsTestServer> server_;
  std::unique_ptr<NatsConnection> asks_, answers_;
  std::unique_ptr<DomainApi> api_;
  const std::set<uint64_t> terms_ = {2, 5, 9};
  uint64_t unanswered_ = 9;      // by the mirror
  std::string alarms_;           // of the origin, in base64
  std::vector<uint64_t> asked_;  // the mirror
};

// Or a link that often fails would never see the end of many.
TEST_F(MirrorProbeTest, WhatWasComparedBeforeAnAnswerFailedStaysCompared) {
  MirrorState state = Look({});
  EXPECT_EQ(state.fit, MirrorState::Fit::kUnheard);
  EXPECT_EQ(state.compared, StreamSeq(5));
  EXPECT_GT(state.made_ns, 0);
  EXPECT_EQ(asked_, (std::vector<uint64_t>{2, 5, 9}));
  asked_.clear();
  state = Look({state});
  EXPECT_EQ(state.fit, MirrorState::Fit::kUnheard);
  EXPECT_EQ(state.compared, StreamSeq(5));
  unanswered_ = 0;
  state = Look({state});
  EXPECT_EQ(state.fit, MirrorState::Fit::kFits) << state.what;
  EXPECT_EQ(state.compared, StreamSeq(9));
  EXPECT_EQ(asked_, (std::vector<uint64_t>{9, 9}));
}

TEST_F(MirrorProbeTest, WhatALeaderFoundIsBelievedOfThatStreamAlone) {
  unanswered_ = 0;
  const int64_t made_ns = Look({}).made_ns;
  const auto say = [&](int64_t of) {
    const AlarmRecord record{.alarms = {{AlarmType::kMirror, static_cast<uint64_t>(of)}}};
    alarms_ = absl::Base64Escape(EncodeAlarms(record));
  };
  say(made_ns + 1);
  EXPECT_EQ(Look({}).fit, MirrorState::Fit::kFits);
  say(made_ns);
  EXPECT_EQ(Look({}).fit, MirrorState::Fit::kOther);
  alarms_ = absl::Base64Escape("of a later version");
  EXPECT_EQ(Look({}).fit, MirrorState::Fit::kFits);
}

}  // namespace
}  // namespace jetd::jetstream
