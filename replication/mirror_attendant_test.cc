// SPDX-License-Identifier: Apache-2.0
#include "replication/mirror_attendant.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/api_session.h"
#include "jetstream/mirror_config.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_test_server.h"
#include "replication/mirrored_bucket.h"

namespace jetd::replication {
namespace {

using ::testing::HasSubstr;

// As jetctl does it: a server that does not answer in time is asked again.
absl::Status AttendInTime(const AttendOptions& options) {
  while (true) {
    const absl::Status ended = AttendMirror(options);
    if (!absl::IsUnavailable(ended) && !absl::IsDeadlineExceeded(ended)) return ended;
  }
}

class MirrorAttendantTest : public MirroredBucketTest, protected LoopRunner {
 protected:
  [[nodiscard]] AttendOptions Options() {
    return {.mirror = Leaf(),
            .say =
                [this](std::string_view line) {
                  if (line.starts_with("the mirror's server asks")) asked_ = true;
                  if (line.starts_with("the origin answers")) asked_again_ = true;
                },
            .interrupted = &over_};
  }

  // Counts on the mirror's server what is asked of origins, by where the answer is to go: the
  // server asks anew from another place each time, so only a question that was repeated comes
  // twice.
  std::unique_ptr<jetstream::NatsConnection> ListenOnLeaf() {
    auto connection = jetstream::NatsConnection::Connect(&loop_, {.url = domains_->leaf().url()},
                                                         "probe", std::chrono::seconds(10));
    EXPECT_TRUE(connection.ok()) << connection.status();
    loop_.AddRoundHook([leaf = connection->get()] { leaf->Flush(); });  // its pongs too
    (*connection)->Start([](const absl::Status& why) { ADD_FAILURE() << why; });
    (*connection)
        ->Subscribe(Cat("$JS.*.API.CONSUMER.CREATE.", kStream),
                    [this](const jetstream::NatsMessage& message) {
                      if (!message.reply().empty()) ++asked_by_[std::string(message.reply())];
                    });
    // Once this is answered, the server has taken what came before it.
    bool heard = false;
    const std::string answer = (*connection)->inbox() + ".ping";
    const uint64_t listening =
        (*connection)->Subscribe(answer, [&heard](const jetstream::NatsMessage&) { heard = true; });
    (*connection)->Publish("$JS.API.INFO", answer, "");
    EXPECT_TRUE(RunUntil([&] { return heard; }));
    (*connection)->Unsubscribe(listening);
    return *std::move(connection);
  }
  // The loop runs meanwhile: a connection that answers no pings is closed.
  bool RunAndWaitUntil(const std::function<bool()>& so) {
    for (int i = 0; i < 2400 && !so(); ++i) RunFor(std::chrono::milliseconds(50));  // of threads
    return so();
  }
  [[nodiscard]] bool Repeated() const {
    return std::any_of(asked_by_.begin(), asked_by_.end(),
                       [](const auto& one) { return one.second > 1; });
  }

  std::map<std::string, int> asked_by_;
  std::atomic<bool> over_{false}, asked_{false}, asked_again_{false};
};

// The origin is away for as long as it takes the mirror's server to ask for it, in vain.
TEST_F(MirrorAttendantTest, AsksAgainWhatWentNowhere) {
  AddMirror();
  const AttendOptions options = Options();
  auto attendant = std::async(std::launch::async, [&] { return AttendInTime(options); });
  ASSERT_TRUE(WaitUntil([&] { return Ask("dr", "STREAM.INFO").ok(); }));
  const auto leaf = ListenOnLeaf();
  domains_->hub().Kill();
  EXPECT_TRUE(RunAndWaitUntil([&] { return asked_.load(); }));
  domains_->hub().Restart();
  EXPECT_TRUE(RunAndWaitUntil([&] { return asked_again_.load(); }));
  EXPECT_TRUE(RunUntil([this] { return Repeated(); })) << "nothing was asked again";
  over_ = true;
  EXPECT_TRUE(attendant.get().ok());
  leaf->Stop();
  writer_->Put("/late", "v");
  writer_->Flush();
  mirrors_ = Mirrors::Open(Leaf()).value();
  EXPECT_TRUE(WaitForAll());
}

TEST_F(MirrorAttendantTest, StandsBesideMirrorsAlone) {
  AttendOptions options = Options();
  options.mirror = Hub();
  EXPECT_TRUE(absl::IsFailedPrecondition(AttendInTime(options)));
  options.mirror = Leaf();
  EXPECT_TRUE(absl::IsNotFound(AttendInTime(options)));
}

// What the user may not do is said at once, and not when the link was cut for the first time.
TEST(AttendantTest, SaysWhatItMayNotDo) {
  constexpr char kUsers[] = R"(accounts { T { jetstream: enabled, users: [
    {user: u, password: p, permissions: {subscribe: {allow: ["_INBOX.>"]}}},
    {user: root, password: p}] } }
)";
  log::Init({.level = log::Level::kError});
  const auto server =
      jetstream::NatsTestServer::StartFrom("JETD_NATS_SERVER", kUsers, ", domain: dr");
  if (server == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  const auto root = jetstream::ApiSession::Open(
      {.urls = {server->url()}, .credentials = {.user = "root", .password = "p"}});
  const absl::Status made =
      (*root)
          ->Ask("", "STREAM.CREATE.KV_b",
                jetstream::MirrorStreamConfig("b", 1, {.domain = "hub", .created_ns = 7}))
          .status();
  ASSERT_TRUE(made.ok()) << made;
  const std::atomic<bool> never{false};
  const AttendOptions options{.mirror = {.bucket = "b",
                                         .nats_urls = {server->url()},
                                         .credentials = {.user = "u", .password = "p"}},
                              .interrupted = &never};
  const absl::Status refused = AttendInTime(options);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(MessageOf(refused)),
              HasSubstr("Permissions Violation for Subscription to "
                        "\"$JS.*.API.CONSUMER.CREATE.KV_b\""));
}

}  // namespace
}  // namespace jetd::replication
