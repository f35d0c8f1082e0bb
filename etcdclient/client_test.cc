// SPDX-License-Identifier: Apache-2.0
#include "etcdclient/client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "base/strings.h"
#include "etcdclient/testing/server_process.h"
#include "gtest/gtest.h"

namespace jetd::etcdclient {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLong{60};

TEST(ClientConnect, RefusesOtherEndpoints) {
  for (const char* endpoint : {"", "127.0.0.1:2379", "ftp://a:1", "http://"}) {
    const auto client = Client::Connect({.endpoint = endpoint});
    EXPECT_TRUE(absl::IsInvalidArgument(client.status())) << endpoint;
  }
}

TEST(ClientConnect, NamesTheFileThatIsMissing) {
  const auto client = Client::Connect({.endpoint = "https://a:1", .ca_file = "/no/such/ca"});
  EXPECT_TRUE(absl::IsNotFound(client.status()));
  EXPECT_NE(MessageOf(client.status()).find("/no/such/ca"), std::string_view::npos);
}

TEST(ClientConnect, FailsAtOnceWhenNobodyListens) {
  // A port that is taken, so that nobody else comes to listen there, but not listened on: refused.
  const int held = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(held, generic, size), 0);
  ASSERT_EQ(getsockname(held, generic, &size), 0);
  auto client =
      Client::Connect({.endpoint = Cat("http://127.0.0.1:", int{ntohs(address.sin_port)})});
  ASSERT_TRUE(client.ok());
  EXPECT_TRUE(absl::IsUnavailable((*client)->Call(pb::StatusRequest()).status()));
  const auto watch = (*client)->OpenWatch();
  EXPECT_TRUE(absl::IsUnavailable(watch->Next(kLong).status()));
  EXPECT_TRUE(absl::IsUnavailable((*client)->CallRangeStream(pb::RangeRequest()).status()));
  close(held);
}

// On a real etcd; skips where there is none.
class ClientTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto program = ServerProcess::Find(ServerKind::kEtcd);
    if (!program.ok()) return;
    auto server = ServerProcess::Start({.kind = ServerKind::kEtcd, .program = *program});
    ASSERT_TRUE(server.ok()) << server.status();
    const absl::Status ready = (*server)->WaitReady(kLong);
    ASSERT_TRUE(ready.ok()) << ready;
    server_ = server->release();
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "JETD_ETCD is not set";
    auto client = server_->Connect();
    ASSERT_TRUE(client.ok());
    client_ = *std::move(client);
  }

  static pb::PutRequest Put(const std::string& key, const std::string& value) {
    pb::PutRequest put;
    put.set_key(key);
    put.set_value(value);
    return put;
  }
  static pb::WatchRequest Watch(const std::string& key) {
    pb::WatchRequest request;
    request.mutable_create_request()->set_key(key);
    return request;
  }

  static ServerProcess* server_;
  std::unique_ptr<Client> client_;
};
ServerProcess* ClientTest::server_ = nullptr;

TEST_F(ClientTest, GivesTheServersErrorToTheLetter) {
  const absl::Status status = client_->Call(pb::PutRequest()).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(MessageOf(status), "etcdserver: key is not provided");
}

TEST_F(ClientTest, CallsByBytes) {
  const auto answer =
      client_->CallBytes("/etcdserverpb.KV/Put", Put("bytes", "1").SerializeAsString());
  ASSERT_TRUE(answer.ok()) << answer.status();
  pb::PutResponse response;
  ASSERT_TRUE(response.ParseFromString(*answer));
  EXPECT_GT(response.header().revision(), 1);
  EXPECT_EQ(client_->CallBytes("/etcdserverpb.KV/NoSuch", "").status().code(),
            absl::StatusCode::kUnimplemented);
}

TEST_F(ClientTest, AnswersEachAsyncCallOnce) {
  constexpr int kCalls = 200;
  std::atomic<int> answered = 0;
  std::promise<void> all;
  for (int i = 0; i < kCalls; ++i) {
    client_->CallAsync<pb::PutRequest>(Put("async", std::to_string(i)), [&](auto response) {
      EXPECT_TRUE(response.ok()) << response.status();
      if (++answered == kCalls) all.set_value();
    });
  }
  ASSERT_EQ(all.get_future().wait_for(kLong), std::future_status::ready);
}

TEST_F(ClientTest, DestructorCancelsWhatIsUnderWay) {
  server_->Suspend(ServerProcess::Scope::kProcess);
  std::atomic<int> answered = 0;
  for (int i = 0; i < 10; ++i) {
    client_->CallAsync<pb::PutRequest>(Put("suspended", "1"),
                                       [&](auto response) {
                                         EXPECT_FALSE(response.ok());
                                         ++answered;
                                       },
                                       {.timeout = kLong});
  }
  client_.reset();
  EXPECT_EQ(answered, 10);
  server_->Resume(ServerProcess::Scope::kProcess);
}

TEST_F(ClientTest, WatchDeliversEventsInOrder) {
  const auto watch = client_->OpenWatch();
  watch->Send(Watch("watched"));
  const auto created = watch->Next(kLong);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_TRUE(created->created());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client_->Call(Put("watched", std::to_string(i)), {.timeout = kLong}).ok());
  }
  std::vector<std::string> values;
  while (values.size() < 5) {
    const auto response = watch->Next(kLong);
    ASSERT_TRUE(response.ok()) << response.status();
    for (const auto& event : response->events()) values.push_back(event.kv().value());
  }
  EXPECT_EQ(values, (std::vector<std::string>{"0", "1", "2", "3", "4"}));
  EXPECT_TRUE(absl::IsDeadlineExceeded(watch->Next(milliseconds(1)).status()));
}

TEST_F(ClientTest, CloseSendEndsAKeepAliveCleanly) {
  const auto keep = client_->OpenKeepAlive();
  pb::LeaseKeepAliveRequest request;
  request.set_id(12345);
  keep->Send(request);
  const auto answer = keep->Next(kLong);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->ttl(), 0);  // there is no such lease
  keep->CloseSend();
  EXPECT_TRUE(absl::IsOutOfRange(keep->Next(kLong).status()));
}

TEST_F(ClientTest, HandlerHearsOfTheEnd) {
  std::promise<absl::Status> end;
  std::promise<void> first;
  auto watch =
      client_->OpenWatch({.on_message = [&](const pb::WatchResponse&) { first.set_value(); },
                          .on_end = [&](const absl::Status& status) { end.set_value(status); }});
  watch->Send(Watch("handled"));
  ASSERT_EQ(first.get_future().wait_for(kLong), std::future_status::ready);
  watch.reset();
  EXPECT_TRUE(absl::IsCancelled(end.get_future().get()));
}

TEST_F(ClientTest, AStreamNobodyReadsStopsTakingMessages) {
  auto watch = client_->OpenWatch();
  watch->Send(Watch("slow"));
  for (int i = 0; i < 300; ++i)
    ASSERT_TRUE(client_->Call(Put("slow", "x"), {.timeout = kLong}).ok());
  // Destroying it with messages unread must not hang.
  watch.reset();
}

TEST_F(ClientTest, EtcdHasNoRangeStream) {
  EXPECT_EQ(client_->CallRangeStream(pb::RangeRequest()).status().code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace jetd::etcdclient
