// SPDX-License-Identifier: Apache-2.0
//
// The last append of a group that answers for all of it (docs/adr/0043), over connections that
// break: what an earlier one sent may arrive late, and then only a record's own answer tells.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/silent_observer.h"

namespace jetd::jetstream {
namespace {

struct Notes : SilentObserver {
  void OnConnected(const LogInfo& /*info*/) override { connected = true; }
  void OnDisconnected(const absl::Status& /*why*/) override { connected = false; }
  void OnAppended(StreamSeq seq) override { answers.push_back(Cat("appended ", seq.value())); }
  void OnRefused(StreamSeq seq, const absl::Status& /*why*/) override {
    answers.push_back(Cat("refused ", seq.value()));
  }
  bool connected = false;
  std::vector<std::string> answers;
};

class NatsLogGroupsTest : public testing::TestWithParam<const char*>, protected LoopRunner {
 protected:
  void SetUp() override {
    server_ = NatsTestServer::StartFrom(GetParam());
    if (server_ == nullptr) GTEST_SKIP() << GetParam() << " names no nats-server";
    NatsLogOptions options;
    options.endpoint = RotateEndpoints({server_->url()}, {});
    options.stream.bucket = "b";
    options.exclusive = true;
    options.min_backoff = std::chrono::milliseconds(1);
    // A server that stands still for a while with its disk keeps its connections.
    options.answer_timeout = std::chrono::seconds(60);
    log_ = std::make_unique<NatsLog>(&loop_, std::move(options));
    log_->Open(&notes_, [](const absl::Status& why) { FAIL() << why; });
    ASSERT_TRUE(RunUntil([this] { return notes_.connected; }));
  }
  void Append(uint64_t seq, const std::string& payload) {
    log_->Append(StreamSeq(seq), {.subject = "$KV.b.k", .header = "h", .payload = payload});
  }
  std::vector<std::string> Answers(size_t count) {
    EXPECT_TRUE(RunUntil([&] { return notes_.answers.size() >= count; }));
    return std::exchange(notes_.answers, {});
  }
  // What was sent goes down with the server, and is not read any more.
  void BreakWithAppends(uint64_t first, uint64_t last) {
    server_->Freeze();
    for (uint64_t seq = first; seq <= last; ++seq) Append(seq, Cat("old ", seq));
    server_->Kill();
    ASSERT_TRUE(RunUntil([this] { return !notes_.connected; }));
    server_->Restart();
    ASSERT_TRUE(RunUntil([this] { return notes_.connected; }));
  }
  // An append of an earlier connection that was held back on its way. The server's answer.
  nlohmann::json ArriveLate(uint64_t seq) {
    auto made = NatsConnection::Connect(&loop_, {.url = server_->url(), .credentials = {}}, "late",
                                        std::chrono::seconds(10));
    JETD_CHECK(made.ok()) << made.status();
    NatsConnection* const late = made->get();
    late->Start([](const absl::Status&) {});
    const std::string reply = late->inbox() + ".late";
    std::optional<nlohmann::json> answer;
    late->Subscribe(reply, [&](NatsMessage& message) { answer = ParseAnswer(message.payload()); });
    const std::string expected = Cat(seq - 1);
    const NatsConnection::HeaderLine lines[] = {{"Nats-Expected-Last-Sequence", expected.c_str()},
                                                {"Jetd", "h"}};
    late->Publish("$KV.b.k", reply, Cat("old ", seq), lines);
    late->Flush();
    EXPECT_TRUE(RunUntil([&] { return answer.has_value(); }));
    late->Stop();
    return answer.value_or(nlohmann::json::object());
  }
  std::vector<std::string> Stored() {
    std::vector<std::string> payloads;
    bool done = false;
    log_->Read(
        {}, [&](const Record& record) { payloads.emplace_back(record.payload); },
        [&](const absl::StatusOr<StreamSeq>& last) { done = last.ok(); });
    EXPECT_TRUE(RunUntil([&] { return done; }));
    return payloads;
  }

  std::unique_ptr<NatsTestServer> server_;
  Notes notes_;
  std::unique_ptr<NatsLog> log_;
};

using Words = std::vector<std::string>;

TEST_P(NatsLogGroupsTest, OneAnswersForAll) {
  for (uint64_t seq = 1; seq <= 3; ++seq) Append(seq, "new");
  EXPECT_EQ(Answers(3), (Words{"appended 1", "appended 2", "appended 3"}));
}

// 2 and 3 were sent and never answered. Something else takes the place of 2, and behind it the old
// 3 lands, late: the new 3 must not be taken for done because 4 lands.
TEST_P(NatsLogGroupsTest, ALateAppendOfAnEarlierConnectionIsNotTakenForANewOne) {
  Append(1, "new 1");
  ASSERT_EQ(Answers(1), Words{"appended 1"});
  BreakWithAppends(2, 3);
  Append(2, "new 2");
  ASSERT_EQ(Answers(1), Words{"appended 2"});
  const nlohmann::json landed = ArriveLate(3);
  ASSERT_EQ(IntegerOf(landed, "seq", 0), 3) << landed;
  Append(3, "new 3");
  Append(4, "new 4");
  EXPECT_EQ(Answers(2), (Words{"refused 3", "appended 4"}));
  EXPECT_EQ(Stored(), (Words{"new 1", "new 2", "old 3", "new 4"}));
}

// That is so over any number of connections.
TEST_P(NatsLogGroupsTest, TheHighestOfAllConnectionsCounts) {
  BreakWithAppends(1, 5);
  BreakWithAppends(1, 2);
  for (uint64_t seq = 1; seq <= 3; ++seq) Append(seq, Cat("new ", seq));
  ASSERT_EQ(Answers(3), (Words{"appended 1", "appended 2", "appended 3"}));
  ASSERT_EQ(IntegerOf(ArriveLate(4), "seq", 0), 4);
  Append(4, "new 4");
  Append(5, "new 5");
  EXPECT_EQ(Answers(2), (Words{"refused 4", "appended 5"}));
}

INSTANTIATE_TEST_SUITE_P(Servers, NatsLogGroupsTest,
                         testing::Values("JETD_NATS_SERVER", "JETD_NATS_SERVER_2_10"));

}  // namespace
}  // namespace jetd::jetstream
