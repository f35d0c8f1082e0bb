// SPDX-License-Identifier: Apache-2.0
//
// What a request that gets no answer is told, by a user who may ask one thing and not another.
#include "jetstream/nats_api.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/domain_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/no_answer.h"

namespace jetd::jetstream {
namespace {

using ::testing::HasSubstr;

constexpr char kUsers[] = R"(accounts { T { jetstream: enabled, users: [
  {user: u, password: p, permissions: {
    publish: {allow: ["open.>", "$JS.open.API.>"]}, subscribe: {allow: ["_INBOX.>"]}}},
  {user: deaf, password: p, permissions: {
    publish: {allow: ["open.>", "$JS.open.API.>"]}, subscribe: {allow: ["nothing"]}}},
  {user: root, password: p}] } }
)";
constexpr char kNoAnswer[] = "no answer from JetStream";

class NatsApiTest : public ::testing::Test, protected LoopRunner {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER", kUsers);
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    // Listens and says nothing.
    other_ = Connect("root");
    other_->Subscribe("open.>", [](const NatsMessage& /*message*/) {});
    other_->Subscribe("$JS.open.API.>", [](const NatsMessage& /*message*/) {});
    AwaitTaken(other_.get());
  }
  void TearDown() override {
    for (const auto* connection : {&other_, &connection_}) {
      if (*connection != nullptr) (*connection)->Stop();
    }
  }

  std::unique_ptr<NatsConnection> Connect(const std::string& user) {
    NatsEndpoint endpoint{.url = server_->url(), .credentials = {.user = user, .password = "p"}};
    auto connection =
        NatsConnection::Connect(&loop_, endpoint, "test", std::chrono::seconds(10)).value();
    connection->Start([](const absl::Status& why) { FAIL() << why; });
    loop_.AddRoundHook([raw = connection.get()] { raw->Flush(); });
    return connection;
  }
  // Until the server has taken what was said on a connection: others are not in order with it.
  void AwaitTaken(NatsConnection* connection) {
    DomainApi api(&loop_, connection, std::chrono::minutes(1));
    bool answered = false;
    api.Ask("", "INFO", "", [&](const absl::StatusOr<nlohmann::json>&) { answered = true; });
    EXPECT_TRUE(RunUntil([&] { return answered; }));
  }
  void Use(const std::string& user) {
    constexpr std::chrono::milliseconds kSoon{200};
    connection_ = Connect(user);
    api_ = std::make_unique<NatsApi>(&loop_, connection_.get(), "", kSoon);
    domain_api_ = std::make_unique<DomainApi>(&loop_, connection_.get(), kSoon);
  }
  // How asking there ended.
  std::string Ask(const std::string& subject) {
    std::string text;
    api_->Request(subject, "", [&](const absl::StatusOr<NatsMessage*>& answer) {
      text = MessageOf(answer.status());
    });
    EXPECT_TRUE(RunUntil([&] { return !text.empty(); }));
    return text;
  }
  std::string AskDomain(const std::string& domain) {
    std::string text;
    domain_api_->Ask(domain, "INFO", "", [&](const absl::StatusOr<nlohmann::json>& answer) {
      text = MessageOf(answer.status());
    });
    EXPECT_TRUE(RunUntil([&] { return !text.empty(); }));
    return text;
  }

  std::unique_ptr<NatsTestServer> server_;
  std::unique_ptr<NatsConnection> other_, connection_;
  std::unique_ptr<NatsApi> api_;
  std::unique_ptr<DomainApi> domain_api_;
};

TEST_F(NatsApiTest, ARefusalIsNamedToWhomItRefused) {
  Use("u");
  EXPECT_EQ(Ask("open.a"), kNoAnswer);
  // The server's word may come later than patience ends.
  std::string refused;
  do refused = Ask("closed.a");
  while (refused == kNoAnswer);
  EXPECT_THAT(refused, HasSubstr("the user may not ask (Permissions Violation for Publish to "
                                 "\"closed.a\")"));
  EXPECT_EQ(Ask("open.a"), kNoAnswer);
  do refused = Ask("closed.b");
  while (refused == kNoAnswer);
  EXPECT_THAT(refused, HasSubstr("\"closed.b\""));
  EXPECT_EQ(Ask("open.a"), kNoAnswer);
  EXPECT_NE(RefusalOf(*connection_, "closed.a"), "");
  EXPECT_EQ(RefusalOf(*connection_, "closed"), "");
}

TEST_F(NatsApiTest, TheSameOfDomains) {
  Use("u");
  std::string refused;
  do refused = AskDomain("closed");
  while (refused == "no answer from the JetStream domain closed");
  EXPECT_THAT(refused, HasSubstr("the user may not ask (Permissions Violation for Publish to "
                                 "\"$JS.closed.API.INFO\")"));
  EXPECT_EQ(AskDomain("open"), "no answer from the JetStream domain open");
}

// As with its whole machine: it has not waited meanwhile.
TEST_F(NatsApiTest, AProcessThatStoodStillHearsTheAnswerOfADomain) {
  constexpr std::chrono::milliseconds kPatience{3'000};
  connection_ = Connect("root");
  domain_api_ = std::make_unique<DomainApi>(&loop_, connection_.get(), kPatience);
  other_->Subscribe("$JS.slow.API.INFO", [this](const NatsMessage& question) {
    other_->Publish(std::string(question.reply()), "", "{}");
  });
  AwaitTaken(other_.get());
  std::optional<absl::Status> status;
  domain_api_->Ask("slow", "INFO", "",
                   [&](const absl::StatusOr<nlohmann::json>& answer) { status = answer.status(); });
  loop_.Post([&] { std::this_thread::sleep_for(kPatience); });  // it, and who would answer
  ASSERT_TRUE(RunUntil([&] { return status.has_value(); }));
  EXPECT_TRUE(status->ok()) << *status;
}

TEST_F(NatsApiTest, AnAnswerThatMayNotBeHeardIsNamed) {
  Use("deaf");
  std::string refused;
  do refused = Ask("open.a");
  while (refused == kNoAnswer);
  EXPECT_THAT(refused,
              HasSubstr("the user may not hear it (Permissions Violation for Subscription"));
  EXPECT_EQ(Ask("open.a"), refused);
}

TEST_F(NatsApiTest, WhatAServerRefusesIsRememberedInBounds) {
  Use("u");
  for (int i = 0; i < 20; ++i) {
    const std::string subject = Cat("closed.", i);
    connection_->Publish(subject, "", "");
    // nats.c tells of it on a thread of its own.
    while (RefusalOf(*connection_, subject).empty()) RunFor(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(RefusalOf(*connection_, "closed.0"), "");
  EXPECT_NE(RefusalOf(*connection_, "closed.10"), "");
}

}  // namespace
}  // namespace jetd::jetstream
