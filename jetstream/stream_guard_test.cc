// SPDX-License-Identifier: Apache-2.0
//
// What others do to a stream on a real nats-server, as NATS's own tools do it, and how soon the log
// that guards it knows.
#include "jetstream/stream_guard.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/silent_observer.h"

namespace jetd::jetstream {
namespace {

using ::testing::HasSubstr;

constexpr std::chrono::seconds kFarTooLong{60};

struct Notes : SilentObserver {
  void OnConnected(const LogInfo& /*info*/) override { ++connections; }
  void OnDisconnected(const absl::Status& why) override { lost = std::string(MessageOf(why)); }
  void OnAppended(StreamSeq seq) override { appended = seq; }
  void OnForeignTerm() override { ++foreign; }
  void OnMeddling(const Meddling& meddling) override { meddlings.push_back(meddling); }

  int connections = 0;
  int foreign = 0;
  StreamSeq appended;
  std::string lost;
  std::vector<Meddling> meddlings;
};

// Somebody else, with a connection and a loop of their own: while they ask, the log's loop stands
// still, and its guard looks at nothing.
class Stranger : private LoopRunner {
 public:
  struct Question {
    std::string subject, payload = {};
    std::vector<NatsConnection::HeaderLine> headers = {};
  };
  // All at once; the last answer.
  nlohmann::json AskAll(const std::string& url, const std::vector<Question>& questions) {
    auto connection = NatsConnection::Connect(&loop_, {.url = url, .credentials = {}}, "other",
                                              std::chrono::seconds(10))
                          .value();
    connection->Start([](const absl::Status&) {});
    NatsApi api(&loop_, connection.get(), "$JS.API.", kFarTooLong);
    std::vector<nlohmann::json> answers;
    for (const Question& question : questions) {
      api.Request(
          question.subject, question.payload,
          [&](absl::StatusOr<NatsMessage*> reply) {
            answers.push_back(ParseAnswer(reply.value()->payload()));
          },
          question.headers);
    }
    connection->Flush();
    EXPECT_TRUE(RunUntil([&] { return answers.size() == questions.size(); }));
    connection->Stop();
    return answers.back();
  }
};

class StreamGuardTest : public testing::Test, protected LoopRunner {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    NatsLogOptions options;
    options.endpoint = RotateEndpoints({server_->url()}, {});
    options.stream.bucket = "b";
    options.answer_timeout = kFarTooLong;
    log_ = std::make_unique<NatsLog>(&loop_, std::move(options));
    log_->Open(&notes_, [this](const absl::Status& why) { fatal_ = std::string(MessageOf(why)); });
    ASSERT_TRUE(RunUntil([this] { return notes_.connections == 1; }));
    for (uint64_t seq = 1; seq <= 5; ++seq) {
      log_->Append(StreamSeq(seq), {.subject = Cat("$KV.b.k", seq), .header = "h", .payload = "v"});
    }
    ASSERT_TRUE(RunUntil([this] { return notes_.appended == StreamSeq(5); }));
    log_->StartGuard();
    WaitForLook();
    ASSERT_TRUE(notes_.meddlings.empty()) << notes_.meddlings.front().what;
  }
  void TearDown() override {
    if (log_ != nullptr) log_->Close();
  }

  // One that is under way has its answer: those of one connection come in order.
  void WaitForLook() {
    bool answered = false;
    log_->State([&](const absl::StatusOr<StreamState>& state) {
      EXPECT_TRUE(state.ok()) << state.status();
      answered = true;
    });
    ASSERT_TRUE(RunUntil([&] { return answered; }));
  }
  nlohmann::json AskAll(const std::vector<Stranger::Question>& questions) {
    return Stranger().AskAll(server_->url(), questions);
  }
  nlohmann::json Ask(const std::string& subject, const std::string& payload = "",
                     std::vector<NatsConnection::HeaderLine> headers = {}) {
    return AskAll({{subject, payload, std::move(headers)}});
  }
  nlohmann::json Config() { return Ask("$JS.API.STREAM.INFO.KV_b").at("config"); }
  // Milliseconds until `done`; a test of a second, with room for a busy machine.
  template <typename Fn>
  void ExpectSoon(const Fn& done) {
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(RunUntil(done)) << "never noticed";
    const auto took = std::chrono::steady_clock::now() - begin;
    RecordProperty(
        "noticed_after_ms",
        static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  }
  // Maybe among others: a look that was under way when something was asked for tells one thing, and
  // the next one another.
  [[nodiscard]] bool Told(Meddling::Kind kind, const std::string& text) const {
    return std::any_of(notes_.meddlings.begin(), notes_.meddlings.end(), [&](const Meddling& one) {
      return one.kind == kind && one.what.find(text) != std::string::npos;
    });
  }

  std::unique_ptr<NatsTestServer> server_;
  std::unique_ptr<NatsLog> log_;
  Notes notes_;
  std::string fatal_;
};

TEST_F(StreamGuardTest, AForeignRecord) {
  Ask("$KV.b.intruder", "x");
  ExpectSoon([this] { return notes_.foreign > 0; });
  RunFor(std::chrono::milliseconds(1'500));
  EXPECT_TRUE(notes_.meddlings.empty()) << "it removed nothing";
}

TEST_F(StreamGuardTest, AMessageDeleted) {
  Ask("$JS.API.STREAM.MSG.DELETE.KV_b", R"({"seq":3})");
  ExpectSoon([this] { return Told(Meddling::Kind::kRemoved, "the deletion of a message"); });
}

TEST_F(StreamGuardTest, APurge) {
  Ask("$JS.API.STREAM.PURGE.KV_b");
  ExpectSoon([this] {
    return Told(Meddling::Kind::kRemoved, "5 records are gone") &&
           Told(Meddling::Kind::kRemoved, "a purge");
  });
}

// As `nats kv purge`: it comes by as a record, and the count tells what it took.
TEST_F(StreamGuardTest, AKeyPurged) {
  Ask("$KV.b.k2", "", {{"KV-Operation", "PURGE"}, {"Nats-Rollup", "sub"}});
  ExpectSoon([this] { return notes_.foreign > 0; });
}

TEST_F(StreamGuardTest, EveryEditThatLosesRecords) {
  struct Edit {
    const char* member;
    nlohmann::json value;
    const char* complaint;
  };
  for (const Edit& edit : {Edit{"max_age", 3'600'000'000'000, "max_age"},
                           Edit{"max_msgs_per_subject", 1, "max_msgs_per_subject"},
                           Edit{"discard", "old", "discards old records"},
                           Edit{"deny_delete", true, "denies deletes"}}) {
    SCOPED_TRACE(edit.member);
    const nlohmann::json before = Config();
    nlohmann::json edited = before;
    edited[edit.member] = edit.value;
    const nlohmann::json answer = Ask("$JS.API.STREAM.UPDATE.KV_b", edited.dump());
    ASSERT_FALSE(answer.contains("error")) << answer.dump();
    ExpectSoon([&] { return Told(Meddling::Kind::kConfig, edit.complaint); });
    if (std::string(edit.member) == "deny_delete") break;  // cannot be taken back
    Ask("$JS.API.STREAM.UPDATE.KV_b", before.dump());
  }
}

TEST_F(StreamGuardTest, AStreamThatIsGoneEndsTheLog) {
  Ask("$JS.API.STREAM.DELETE.KV_b");
  ExpectSoon([this] { return !fatal_.empty(); });
  EXPECT_THAT(fatal_, HasSubstr("is gone, while jetd was using it"));
}

TEST_F(StreamGuardTest, AStreamMadeAnewEndsTheConnection) {
  const nlohmann::json config = Config();
  // Once this is answered, so is a look that was on its way; and no other begins before the stream
  // is there again.
  log_->Append(StreamSeq(6), {.subject = "$KV.b.k6", .header = "h", .payload = "v"});
  ASSERT_TRUE(RunUntil([this] { return notes_.appended == StreamSeq(6); }));
  AskAll({{.subject = "$JS.API.STREAM.DELETE.KV_b"},
          {.subject = "$JS.API.STREAM.CREATE.KV_b", .payload = config.dump()}});
  ExpectSoon([this] { return notes_.connections == 2; });
  EXPECT_THAT(notes_.lost, HasSubstr("made anew"));
}

// Neither its own writes nor its own deletions, however many are on their way.
TEST_F(StreamGuardTest, NothingOfItsOwn) {
  uint64_t next = 6;
  int deleted = 0;
  std::function<void()> work = [&] {
    for (int i = 0; i < 50; ++i, ++next) {
      log_->Append(StreamSeq(next), {.subject = "$KV.b.k", .header = "h", .payload = "v"});
    }
    for (uint64_t seq = next - 100; next > 300 && seq < next - 60; ++seq) {
      log_->Delete(StreamSeq(seq), [&](const absl::Status&) { ++deleted; });
    }
    if (next < 20'000) loop_.RunAfter(std::chrono::milliseconds(10), work);
  };
  work();
  ASSERT_TRUE(RunUntil([&] { return next >= 20'000 && notes_.appended == StreamSeq(next - 1); }));
  RunFor(std::chrono::milliseconds(2'500));
  EXPECT_TRUE(notes_.meddlings.empty()) << notes_.meddlings.front().what;
  EXPECT_EQ(notes_.foreign, 0);
  EXPECT_GT(deleted, 1'000);
}

}  // namespace
}  // namespace jetd::jetstream
