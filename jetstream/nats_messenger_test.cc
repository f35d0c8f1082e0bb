// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_messenger.h"

#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.h"
#include "base/loop_runner.h"
#include "jetstream/messenger_contract_test.h"
#include "jetstream/nats_test_server.h"

namespace jetd::jetstream {
namespace {

constexpr std::chrono::seconds kFarTooLong{60};

NatsTestServer* SharedServer() {
  static std::unique_ptr<NatsTestServer> server = NatsTestServer::StartFrom("JETD_NATS_SERVER");
  return server.get();
}

// Messengers on connections that the test makes and breaks itself, as NatsLog does.
class NatsMessengerWorld : public MessengerWorld, private LoopRunner {
 public:
  NatsMessengerWorld() {
    loop_.AddRoundHook([this] {
      for (Member& member : members_) {
        if (member.connection != nullptr) member.connection->Flush();
      }
    });
    for (int i = 0; i < 3; ++i) {
      members_[i].messenger.emplace(&loop_, "B");
      Restore(i);
    }
  }
  ~NatsMessengerWorld() override {
    for (int i = 0; i < 3; ++i) Break(i);
    loop_.Defer([] {});
  }

  Messenger& member(int number) override { return *members_[number].messenger; }
  bool RunUntil(const std::function<bool()>& done) override { return LoopRunner::RunUntil(done); }
  // A round trip of each connection behind its subscriptions: a question that nobody answers.
  void Settle() override {
    for (Member& member : members_) {
      if (member.connection == nullptr) continue;
      bool answered = false;
      member.messenger->Request("lead.0", "", kFarTooLong,
                                [&](const absl::StatusOr<std::string>&) { answered = true; });
      JETD_CHECK(RunUntil([&] { return answered; }));
    }
  }
  void Break(int number) override {
    Member& member = members_[number];
    if (member.connection == nullptr) return;
    member.messenger->Detach();
    member.connection->Stop();
    member.connection.reset();
  }
  void Restore(int number) override {
    auto made = NatsConnection::Connect(&loop_, {.url = SharedServer()->url()}, "member",
                                        std::chrono::milliseconds(10'000));
    JETD_CHECK(made.ok()) << made.status();
    Member& member = members_[number];
    member.connection = *std::move(made);
    member.connection->Start([](const absl::Status& why) { ADD_FAILURE() << why; });
    member.messenger->Attach(member.connection.get());
  }

 private:
  struct Member {
    std::optional<NatsMessenger> messenger;
    std::unique_ptr<NatsConnection> connection;
  };
  Member members_[3];
};

std::vector<MessengerWorldFactory> Factories() {
  const char* program = std::getenv("JETD_NATS_SERVER");
  if (program == nullptr || *program == '\0') return {};
  return {{"Nats", [] { return std::make_unique<NatsMessengerWorld>(); }}};
}

INSTANTIATE_TEST_SUITE_P(Nats, MessengerContractTest, testing::ValuesIn(Factories()),
                         [](const auto& info) { return info.param.name; });

TEST(NatsMessenger, KeepsFewReplySubjectsBehindABurst) {
  if (SharedServer() == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  NatsMessengerWorld world;
  auto& asking = dynamic_cast<NatsMessenger&>(world.member(0));
  world.member(1).Serve("lead.1", [](std::string_view request, const Messenger::AnswerFn& answer) {
    answer(request);
  });
  world.Settle();
  constexpr size_t kBurst = 1'000;
  for (int round = 0; round < 2; ++round) {
    size_t answered = 0;
    for (size_t i = 0; i < kBurst; ++i) {
      asking.Request("lead.1", "x", kFarTooLong, [&](const absl::StatusOr<std::string>& answer) {
        EXPECT_TRUE(answer.ok()) << answer.status();
        ++answered;
      });
    }
    EXPECT_GE(asking.slots(), kBurst);
    ASSERT_TRUE(world.RunUntil([&] { return answered == kBurst; }));
    EXPECT_LE(asking.slots(), NatsMessenger::kKeptSlots);
  }
}

// Says why there is nothing to run.
TEST(NatsMessenger, HasAServer) {
  if (Factories().empty()) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
}

}  // namespace
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MessengerContractTest);
}  // namespace jetd::jetstream
