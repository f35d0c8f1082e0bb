// SPDX-License-Identifier: Apache-2.0
//
// A log and a messenger of a user who may do exactly what PermissionsOf lists: all that they do
// works, and the server has refused nothing.
#include "jetstream/bucket_access.h"

#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nats_ask.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_messenger.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/silent_observer.h"
#include "nlohmann/json.hpp"

namespace jetd::jetstream {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::chrono::seconds kFarTooLong{60};

struct Notes : SilentObserver {
  void OnConnected(const LogInfo& /*info*/) override { connected = true; }
  void OnAppended(StreamSeq seq) override { appended = seq; }
  void OnMeddling(const Meddling& meddling) override { meddling_text = meddling.what; }

  bool connected = false;
  StreamSeq appended;
  std::string meddling_text;
};

// In NATS's configuration, which takes JSON.
std::string UserConfig(const Permissions& permissions) {
  const nlohmann::json user = {{"user", "jetd"},
                               {"password", "secret"},
                               {"permissions",
                                {{"publish", {{"allow", permissions.publish}}},
                                 {"subscribe", {{"allow", permissions.subscribe}}}}}};
  return Cat("accounts { T { jetstream: enabled, users: [", user.dump(),
             ", {user: root, password: secret}] } }\n");
}

class BucketAccessTest : public testing::Test, protected LoopRunner {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER", UserConfig(PermissionsOf("b")));
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  }

  [[nodiscard]] NatsEndpoint As(const std::string& user) const {
    return {.url = server_->url(), .credentials = {.user = user, .password = "secret"}};
  }
  [[nodiscard]] std::string ServerLog() const {
    std::ifstream file(server_->log_path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // A client that has lost its patience may be there before the server.
  [[nodiscard]] bool IsLogged(const std::string& text) {
    const auto end = std::chrono::steady_clock::now() + kFarTooLong;
    while (ServerLog().find(text) == std::string::npos) {
      if (std::chrono::steady_clock::now() > end) return false;
      RunFor(std::chrono::milliseconds(10));  // a poll of another process
    }
    return true;
  }

  std::unique_ptr<NatsTestServer> server_;
};

TEST_F(BucketAccessTest, IsEnoughForALogAndAMessenger) {
  NatsMessenger messenger(&loop_, "b");
  NatsLogOptions options;
  options.endpoint = RotateEndpoints({server_->url()}, As("jetd").credentials);
  options.stream.bucket = "b";
  options.answer_timeout = kFarTooLong;
  options.messenger = &messenger;
  NatsLog log(&loop_, std::move(options));
  Notes notes;
  // Members listen before there is a connection.
  std::string news;
  std::string asked;
  messenger.Subscribe("news", [&](std::string_view text) { news = text; });
  messenger.Serve("lead.7", [&](std::string_view text, const Messenger::AnswerFn& answer) {
    asked = text;
    answer("yes");
  });
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  log.StartGuard();
  for (uint64_t seq = 1; seq <= 3; ++seq) {
    log.Append(StreamSeq(seq), {.subject = Cat("$KV.b.k", seq), .header = "h", .payload = "v"});
  }
  ASSERT_TRUE(RunUntil([&] { return notes.appended == StreamSeq(3); }));

  int left = 0;
  const auto expect_ok = [&](const auto& result) {
    EXPECT_TRUE(result.ok());
    --left;
  };
  std::vector<std::string> read;
  const auto note = [&](const Record& record) { read.emplace_back(record.subject); };
  left = 6;
  log.Barrier([&](absl::StatusOr<StreamSeq> seq) { expect_ok(seq); });
  log.Read({}, note, [&](absl::StatusOr<StreamSeq> seq) { expect_ok(seq); });
  log.Read({.subjects = {"$KV.b.k2"}}, note,
           [&](absl::StatusOr<StreamSeq> seq) { expect_ok(seq); });
  log.Get({StreamSeq(1)}, note, [&](const absl::Status& status) {
    EXPECT_TRUE(status.ok()) << status;
    --left;
  });
  log.State([&](absl::StatusOr<StreamState> state) { expect_ok(state); });
  log.Room([&](absl::StatusOr<RoomInfo> room) { expect_ok(room); });
  ASSERT_TRUE(RunUntil([&] { return left == 0; }));
  EXPECT_EQ(read.size(), 5U);
  left = 1;
  log.Delete(StreamSeq(2), [&](const absl::Status& status) {
    EXPECT_TRUE(status.ok()) << status;
    --left;
  });
  ASSERT_TRUE(RunUntil([&] { return left == 0; }));

  // Another member, on a connection of its own.
  NatsMessenger other(&loop_, "b");
  NatsLogOptions follower;
  follower.endpoint = RotateEndpoints({server_->url()}, As("jetd").credentials);
  follower.stream.bucket = "b";
  follower.answer_timeout = kFarTooLong;
  follower.messenger = &other;
  NatsLog second(&loop_, std::move(follower));
  Notes second_notes;
  second.Open(&second_notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return second_notes.connected; }));
  std::string answer;
  other.Request("lead.7", "may I", kFarTooLong,
                [&](absl::StatusOr<std::string> got) { answer = got.value(); });
  other.Publish("news", "hear");
  ASSERT_TRUE(RunUntil([&] { return !answer.empty() && !news.empty(); }));
  EXPECT_EQ(asked, "may I");

  // Somebody with more rights edits the stream; the guard hears of it.
  const auto edited = AskNats(As("root"), {.subject = "$JS.API.STREAM.PURGE.KV_b"}, kFarTooLong);
  ASSERT_TRUE(edited.ok()) << edited.status();
  // A look may find the records gone before the guard has heard who asked for it.
  ASSERT_TRUE(RunUntil([&] {
    return notes.meddling_text.find("somebody asked for a purge") != std::string::npos;
  })) << notes.meddling_text;
  // Mirrors are asked for, whether or not there is such a domain.
  for (const char* subject : {"$JS.dr.API.STREAM.INFO.KV_b", "$JS.dr.API.STREAM.MSG.GET.KV_b"}) {
    const auto nobody =
        AskNats(As("jetd"), {.subject = subject, .inbox_prefix = InboxPrefix("b")}, kFarTooLong);
    EXPECT_TRUE(absl::IsNotFound(nobody.status())) << nobody.status();
  }
  second.Close();
  log.Close();
  EXPECT_THAT(ServerLog(), Not(HasSubstr("Violation")));
}

// The server drops what its user asks, and says why on the side.
TEST_F(BucketAccessTest, AnotherBucketsLogSaysWhyItHasNoConnection) {
  NatsLogOptions options;
  options.endpoint = RotateEndpoints({server_->url()}, As("jetd").credentials);
  options.stream.bucket = "other";
  options.answer_timeout = std::chrono::milliseconds(500);
  NatsLog log(&loop_, std::move(options));
  Notes notes;
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  EXPECT_TRUE(RunUntil([&] {
    return log.trouble().find("no answer from JetStream: the user may not ask") !=
               std::string::npos &&
           log.trouble().find("Permissions Violation for ") != std::string::npos;
  })) << log.trouble();
  EXPECT_FALSE(notes.connected);
  log.Close();
}

TEST_F(BucketAccessTest, IsNotMore) {
  const std::chrono::milliseconds soon(1'000);
  const std::string inbox = InboxPrefix("b");
  for (const char* subject : {"$JS.API.STREAM.DELETE.KV_b", "$JS.API.STREAM.NAMES", "$KV.bb.key",
                              "$JS.API.STREAM.INFO.KV_bb", "$JS.dr.API.STREAM.INFO.KV_bb",
                              "$JS.dr.API.STREAM.UPDATE.KV_b", "other"}) {
    const auto answer = AskNats(As("jetd"), {.subject = subject, .inbox_prefix = inbox}, soon);
    EXPECT_TRUE(absl::IsDeadlineExceeded(answer.status())) << answer.status();
    EXPECT_TRUE(IsLogged(Cat("Subject \"", subject, "\""))) << subject;
  }
  // Answers come to its own inbox alone.
  const auto info = AskNats(As("jetd"), {.subject = "$JS.API.INFO"}, soon);
  EXPECT_TRUE(absl::IsDeadlineExceeded(info.status())) << info.status();
  EXPECT_TRUE(IsLogged("Subscription Violation"));
  EXPECT_TRUE(
      AskNats(As("jetd"), {.subject = "$JS.API.INFO", .inbox_prefix = inbox}, kFarTooLong).ok());
}

TEST(BucketAccess, NamesOneBucketOnly) {
  const Permissions permissions = PermissionsOf("b");
  EXPECT_THAT(permissions.publish, Contains("$KV.b.>"));
  for (const auto* list : {&permissions.publish, &permissions.subscribe}) {
    for (const std::string& subject : *list) {
      const bool of_bucket = subject.find(".b.") != std::string::npos ||
                             subject.find(".KV_b") != std::string::npos ||
                             subject == "$JS.API.INFO";
      EXPECT_TRUE(of_bucket) << subject;
    }
  }
}

}  // namespace
}  // namespace jetd::jetstream
