// SPDX-License-Identifier: Apache-2.0
//
// How a reading goes on where its consumer is not known yet. In a cluster it is made at one server
// and pulled from through another, and the answer to its making may be there before the word that
// it listens is.
#include "jetstream/nats_reader.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/stream_setup.h"

namespace jetd::jetstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::chrono::seconds kFarTooLong{90};

// The other connection stands between the reader and JetStream, and may not hear pulls.
class NatsReaderTest : public ::testing::Test, protected LoopRunner {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    other_ = Connect();
    jetstream_ = std::make_unique<NatsApi>(&loop_, other_.get(), "$JS.API.", kFarTooLong);
    Ask("$JS.API.STREAM.CREATE.KV_b", NewStreamConfig({.bucket = "b"}).dump());
    for (int i = 0; i < 3; ++i) Ask("$KV.b.k", "v");

    other_->Subscribe("js.CONSUMER.CREATE.>", [this](const NatsMessage& message) {
      ++made_;
      jetstream_->Request(TrueSubject(message), message.payload(),
                          [this, reply = std::string(message.reply())](auto answer) {
                            if (answer.ok()) other_->Publish(reply, "", (*answer)->payload());
                            // It comes behind that, and so back behind the first pull.
                            other_->Publish("reader", "", "");
                          });
    });
    other_->Subscribe("pulled", [this](const NatsMessage& /*message*/) {
      if (on_pulled_) on_pulled_();
    });
    connection_ = Connect();
    api_ = std::make_unique<NatsApi>(&loop_, connection_.get(), "js.", kFarTooLong);
    connection_->Subscribe("reader", [this](const NatsMessage& /*message*/) {
      connection_->Publish("pulled", "", "");
    });
    // The server has all of these when one behind them works.
    Pass(connection_.get(), other_.get());
    Pass(other_.get(), connection_.get());
  }
  void TearDown() override {
    for (const auto* connection : {&other_, &connection_}) {
      if (*connection != nullptr) (*connection)->Stop();
    }
  }

  std::unique_ptr<NatsConnection> Connect() {
    NatsEndpoint endpoint{.url = server_->url(), .credentials = {}};
    auto connection =
        NatsConnection::Connect(&loop_, endpoint, "test", std::chrono::seconds(10)).value();
    connection->Start([this](const absl::Status& why) { lost_ = why; });
    loop_.AddRoundHook([raw = connection.get()] { raw->Flush(); });
    return connection;
  }
  static std::string TrueSubject(const NatsMessage& message) {
    return Cat("$JS.API.", message.subject().substr(std::string_view("js.").size()));
  }
  void Ask(const std::string& subject, const std::string& payload) {
    std::optional<absl::Status> told;
    jetstream_->Request(subject, payload, [&](const auto& answer) { told = answer.status(); });
    ASSERT_TRUE(RunUntil([&] { return told.has_value(); }));
    ASSERT_TRUE(told->ok()) << *told;
  }
  void Pass(NatsConnection* from, NatsConnection* to) {
    bool passed = false;
    const std::string inbox = Cat(to->inbox(), ".pass");
    const uint64_t subscription =
        to->Subscribe(inbox, [&](const NatsMessage& /*message*/) { passed = true; });
    to->Flush();
    while (!passed) {
      from->Publish(inbox, "", "");
      bool round = false;
      loop_.Defer([&] { round = true; });
      ASSERT_TRUE(RunUntil([&] { return round; }));
    }
    to->Unsubscribe(subscription);
  }
  // From here on pulls are heard.
  void ServePulls() {
    other_->Subscribe("js.CONSUMER.MSG.NEXT.>", [this](const NatsMessage& message) {
      ++pulls_heard_;
      other_->Publish(TrueSubject(message), std::string(message.reply()), message.payload());
    });
  }
  void Follow() {
    Log::ReadOptions options;
    options.follow = true;
    options.wanted = wanted_;
    reader_ = std::make_unique<NatsReader>(
        &loop_, connection_.get(), api_.get(), StreamOptions{.bucket = "b"}, 1, options,
        [this](const Record& record) { read_.push_back(record.seq.value()); },
        [this](const absl::StatusOr<StreamSeq>& end) { ended_ = end.status(); });
    reader_->Start();
  }

  std::unique_ptr<NatsTestServer> server_;
  std::unique_ptr<NatsConnection> other_, connection_;
  std::unique_ptr<NatsApi> jetstream_, api_;
  std::shared_ptr<char> wanted_ = std::make_shared<char>();
  std::unique_ptr<NatsReader> reader_;
  int made_ = 0;
  int pulls_heard_ = 0;
  std::function<void()> on_pulled_;
  std::vector<uint64_t> read_;
  absl::Status lost_;
  std::optional<absl::Status> ended_;
};

TEST_F(NatsReaderTest, PullsAgainFromAConsumerThatIsNotKnownYet) {
  on_pulled_ = [this] {
    on_pulled_ = nullptr;
    ServePulls();
  };
  Follow();
  ASSERT_TRUE(RunUntil([&] { return read_.size() == 3 || !lost_.ok() || ended_.has_value(); }));
  EXPECT_TRUE(lost_.ok()) << lost_;
  EXPECT_THAT(read_, ElementsAre(1, 2, 3));
  EXPECT_EQ(made_, 1);
  EXPECT_EQ(pulls_heard_, 1);
}

TEST_F(NatsReaderTest, MakesAnotherConsumerInThePlaceOfOneThatIsGone) {
  Follow();
  ASSERT_TRUE(RunUntil([&] { return made_ == 2 || !lost_.ok() || ended_.has_value(); }));
  ServePulls();
  ASSERT_TRUE(RunUntil([&] { return read_.size() == 3 || !lost_.ok() || ended_.has_value(); }));
  EXPECT_TRUE(lost_.ok()) << lost_;
  EXPECT_THAT(read_, ElementsAre(1, 2, 3));
}

// Another server may know more.
TEST_F(NatsReaderTest, EndsTheConnectionWhereNoneOfSeveralConsumersIsHeard) {
  Follow();
  ASSERT_TRUE(RunUntil([&] { return !lost_.ok() || ended_.has_value(); }));
  EXPECT_FALSE(ended_.has_value());
  EXPECT_THAT(std::string(lost_.message()), HasSubstr("nobody answers"));
  EXPECT_EQ(made_, 4);
}

}  // namespace
}  // namespace jetd::jetstream
