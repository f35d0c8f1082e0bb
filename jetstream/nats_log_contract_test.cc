// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/log_contract_test.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"

namespace jetd::jetstream {
namespace {

constexpr std::chrono::seconds kFarTooLong{60};

// One server for all tests of a program; each test has a bucket of its own.
NatsTestServer* SharedServer(const char* variable) {
  static std::map<std::string, std::unique_ptr<NatsTestServer>> servers;
  auto& server = servers[variable];
  if (server == nullptr) server = NatsTestServer::StartFrom(variable);
  return server.get();
}

class NatsLogWorld : public LogWorld, private LoopRunner {
 public:
  explicit NatsLogWorld(NatsTestServer* server) : server_(server) {
    static int worlds = 0;
    bucket_ = Cat("w", ++worlds);
    loop_.AddRoundHook([this] {
      if (other_ != nullptr) other_->Flush();
    });
  }
  ~NatsLogWorld() override { DropOther(); }

  std::unique_ptr<Log> MakeLog() override {
    NatsLogOptions options;
    options.endpoint = RotateEndpoints({server_->url()}, {});
    options.stream.bucket = bucket_;
    // A server that stands still for a while with its disk keeps its connections.
    options.answer_timeout = kFarTooLong;
    return std::make_unique<NatsLog>(&loop_, std::move(options));
  }

  bool RunUntil(const std::function<bool()>& done) override { return LoopRunner::RunUntil(done); }

  void BreakConnection(Log* /*log*/) override {
    DropOther();
    server_->Kill();
  }
  void RestoreConnection(Log* /*log*/) override { server_->Restart(); }

  StreamSeq AppendForeign(const NewRecord& record) override {
    const std::string header(record.header);
    std::vector<NatsConnection::HeaderLine> lines;
    if (!header.empty()) lines.push_back({"Jetd", header.c_str()});
    if (record.is_delete) lines.push_back({"KV-Operation", "DEL"});
    const std::string reply = Other().inbox() + ".foreign";
    std::optional<nlohmann::json> ack;
    const uint64_t subscription =
        Other().Subscribe(reply, [&](NatsMessage& m) { ack = ParseAnswer(m.payload()); });
    Other().Publish(std::string(record.subject), reply, record.payload, lines);
    JETD_CHECK(RunUntil([&] { return ack.has_value(); }));
    Other().Unsubscribe(subscription);
    return StreamSeq(static_cast<uint64_t>(IntegerOf(*ack, "seq", 0)));
  }

  void LimitRoom(uint64_t records) override {
    const std::string stream = StreamName(bucket_);
    const nlohmann::json info = Ask("$JS.API.STREAM.INFO." + stream, "");
    nlohmann::json config = info.at("config");
    config["max_msgs"] = info.at("state").at("messages").get<uint64_t>() + records;
    Ask("$JS.API.STREAM.UPDATE." + stream, config.dump());
  }

 private:
  // A connection of somebody else.
  NatsConnection& Other() {
    if (other_ == nullptr) {
      auto made = NatsConnection::Connect(&loop_, {.url = server_->url()}, "other",
                                          std::chrono::milliseconds(10'000));
      JETD_CHECK(made.ok()) << made.status();
      other_ = *std::move(made);
      other_->Start([](const absl::Status&) {});
    }
    return *other_;
  }
  void DropOther() {
    if (other_ != nullptr) other_->Stop();
    other_.reset();
  }
  nlohmann::json Ask(const std::string& subject, const std::string& payload) {
    NatsApi api(&loop_, &Other(), "$JS.API.", kFarTooLong);
    std::optional<nlohmann::json> answer;
    api.Request(subject, payload, [&](absl::StatusOr<NatsMessage*> reply) {
      answer = ParseAnswer(reply.value()->payload());
    });
    JETD_CHECK(RunUntil([&] { return answer.has_value(); }));
    JETD_CHECK(ApiErrorOf(*answer).code == 0) << *answer;
    DropOther();  // it holds the api
    return *answer;
  }

  NatsTestServer* const server_;
  std::string bucket_;
  std::unique_ptr<NatsConnection> other_;
};

std::vector<LogWorldFactory> Factories() {
  std::vector<LogWorldFactory> factories;
  for (const auto& [name, variable] :
       {std::pair("Nats", "JETD_NATS_SERVER"), std::pair("Nats210", "JETD_NATS_SERVER_2_10")}) {
    const char* program = std::getenv(variable);
    if (program == nullptr || *program == '\0') continue;
    factories.push_back({name, [variable = variable] {
                           return std::make_unique<NatsLogWorld>(SharedServer(variable));
                         }});
  }
  return factories;
}

INSTANTIATE_TEST_SUITE_P(Nats, LogContractTest, testing::ValuesIn(Factories()),
                         [](const auto& info) { return info.param.name; });

// Says why there is nothing to run.
TEST(NatsLogContract, HasServers) {
  if (Factories().size() < 2) {
    GTEST_SKIP() << "JETD_NATS_SERVER or JETD_NATS_SERVER_2_10 names no nats-server";
  }
}

}  // namespace
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LogContractTest);
}  // namespace jetd::jetstream
