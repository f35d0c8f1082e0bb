// SPDX-License-Identifier: Apache-2.0
#include "etcdclient/caller.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "etcdclient/testing/server_process.h"
#include "gtest/gtest.h"

namespace jetd::etcdclient {
namespace {

constexpr std::chrono::seconds kLong{60};

TEST(CallerConnect, RefusesOtherEndpoints) {
  for (const char* endpoint : {"", "127.0.0.1:2379", "ftp://a:1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Caller::Connect({.endpoint = endpoint}).status()))
        << endpoint;
  }
  const auto unreadable = Caller::Connect({.endpoint = "https://a:1", .ca_file = "/no/such/ca"});
  EXPECT_TRUE(absl::IsNotFound(unreadable.status())) << unreadable.status();
}

// On a real etcd; skips where there is none.
class CallerTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto program = ServerProcess::Find(ServerKind::kEtcd);
    if (!program.ok()) GTEST_SKIP() << "JETD_ETCD is not set";
    auto server = ServerProcess::Start({.kind = ServerKind::kEtcd, .program = *program});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    const absl::Status ready = server_->WaitReady(kLong);
    ASSERT_TRUE(ready.ok()) << ready;
    auto caller = Caller::Connect({.endpoint = server_->endpoint(), .connections = 2});
    ASSERT_TRUE(caller.ok());
    caller_ = *std::move(caller);
  }

  template <typename Condition>
  void RunUntil(Condition condition) {
    while (!condition()) {
      ASSERT_TRUE(caller_->RunOnce(std::chrono::steady_clock::now() + kLong));
    }
  }

  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Caller> caller_;
};

TEST_F(CallerTest, OneCallIsMadeAgainAndAgain) {
  std::vector<absl::Status> ends;
  std::unique_ptr<ReusableCall<pb::PutRequest>> put;
  put = caller_->NewCall<pb::PutRequest>(0, [&](const absl::Status& status) {
    ends.push_back(status);
    if (ends.size() == 3) return;
    put->request().set_key(ends.size() == 1 ? "b" : "");  // etcd refuses an empty key
    put->Start();
  });
  put->request().set_key("a");
  put->Start();
  RunUntil([&] { return ends.size() == 3; });
  EXPECT_TRUE(ends[0].ok());
  EXPECT_TRUE(ends[1].ok());
  EXPECT_EQ(put->response().header().revision(), 3);
  EXPECT_EQ(MessageOf(ends[2]), "etcdserver: key is not provided");
}

TEST_F(CallerTest, AStreamReadsUntilItIsCanceled) {
  std::vector<std::string> values;
  bool created = false;
  absl::Status end;
  bool ended = false;
  const auto watch = caller_->NewStream<pb::WatchRequest, pb::WatchResponse>(
      1, {.on_message =
              [&](const pb::WatchResponse& response) {
                created = created || response.created();
                for (const auto& event : response.events()) values.push_back(event.kv().value());
              },
          .on_end =
              [&](const absl::Status& status) {
                end = status;
                ended = true;
              }});
  pb::WatchRequest request;
  request.mutable_create_request()->set_key("a");
  watch->Send(request);
  RunUntil([&] { return created; });
  int answers = 0;
  const auto put = caller_->NewCall<pb::PutRequest>(0, [&](const absl::Status&) { ++answers; });
  for (int i = 0; i < 3; ++i) {
    put->request().set_key("a");
    put->request().set_value(Cat(i));
    put->Start();
    RunUntil([&] { return answers == i + 1; });
  }
  RunUntil([&] { return values.size() == 3; });
  EXPECT_EQ(values, (std::vector<std::string>{"0", "1", "2"}));
  watch->Cancel();
  RunUntil([&] { return ended; });
  EXPECT_TRUE(absl::IsCancelled(end));
}

TEST_F(CallerTest, ACallToAServerThatIsGoneCanBeCanceled) {
  server_->Kill(ServerProcess::Scope::kTree);
  absl::Status end;
  bool ended = false;
  const auto get = caller_->NewCall<pb::RangeRequest>(0, [&](const absl::Status& status) {
    end = status;
    ended = true;
  });
  get->request().set_key("a");
  get->Start();  // waits for the server to come back
  get->Cancel();
  RunUntil([&] { return ended; });
  EXPECT_TRUE(absl::IsCancelled(end));
}

}  // namespace
}  // namespace jetd::etcdclient
