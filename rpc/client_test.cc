// SPDX-License-Identifier: Apache-2.0
//
// Sockets and who comes on them: clients that speak otherwise, break off, or take nothing.
#include "rpc/client.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/strings.h"
#include "base/testing/sanitizers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/bounds.h"
#include "rpc/testing/echo_server.h"
#include "rpc/testing/raw_client.h"

namespace jetd::rpc {
namespace {

using ::testing::HasSubstr;

// A blocking socket to a server.
class RawSocket {
 public:
  explicit RawSocket(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    JETD_CHECK(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }
  ~RawSocket() { close(fd_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  // False: the server is gone.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // Empty: the server is gone.
  std::string Receive() {
    std::string bytes(65'536, '\0');
    const ssize_t got = recv(fd_, bytes.data(), bytes.size(), 0);
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }
  std::string ReceiveAll() {
    std::string all;
    for (std::string part = Receive(); !part.empty(); part = Receive()) all += part;
    return all;
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  const int fd_;
};

TEST(ClientTest, WhoeverSpeaksHttp1IsHandedOver) {
  EchoServer::Options options;
  std::atomic<int> handed{0};
  options.transport.http1 = [&](Http1Client client) {
    EXPECT_EQ(client.ssl, nullptr);
    EXPECT_EQ(client.received, "GET /version HTTP/1.1\r\n\r\n");
    const std::string answer = "HTTP/1.1 200 OK\r\n\r\n";
    EXPECT_EQ(write(client.fd, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
    handed.fetch_add(1);  // before the client can know
    close(client.fd);
  };
  EchoServer server(std::move(options));
  RawSocket socket(server.port());
  EXPECT_TRUE(socket.Send("GET /version HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(socket.ReceiveAll(), HasSubstr("200 OK"));
  EXPECT_EQ(handed.load(), 1);
  server.Run([](Transport& t, EchoMethods&) { EXPECT_EQ(t.connections(), 0U); });
}

TEST(ClientTest, NobodyThereForHttp1) {
  EchoServer server;
  RawSocket socket(server.port());
  EXPECT_TRUE(socket.Send("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(socket.ReceiveAll(), "");
}

TEST(ClientTest, APrefaceByteByByte) {
  EchoServer server;
  RawSocket socket(server.port());
  RawClient client;
  std::string bytes = RawClient::Hello();
  bytes += client.Call(1, "/test.Echo/Unary", "hello");
  for (const char byte : bytes) ASSERT_TRUE(socket.Send(std::string(1, byte)));
  while (!client.answer(1).ended) client.Receive(socket.Receive());
  EXPECT_EQ(client.answer(1).fields.at("grpc-status"), "0");
}

TEST(ClientTest, HalfAPrefaceIsClosedInTime) {
  EchoServer::Options options;
  options.transport.greeting_timeout = std::chrono::milliseconds(50);
  EchoServer server(std::move(options));
  RawSocket half(server.port());
  EXPECT_TRUE(half.Send("PRI * HT"));
  // The preface, and no settings behind it.
  RawSocket whole(server.port());
  EXPECT_TRUE(whole.Send(RawClient::Hello().substr(0, 24)));
  EXPECT_EQ(half.ReceiveAll(), "");
  (void)whole.ReceiveAll();
  // One that has greeted stays, for longer than another one has to greet. On a busy machine it may
  // be late itself.
  for (bool greeted = false; !greeted;) {
    RawSocket good(server.port());
    RawClient client;
    const auto call = [&](uint32_t id) {
      (void)good.Send(client.Call(id, "/test.Echo/Unary", "hello"));
      for (std::string got = "-"; !client.answer(id).ended && !got.empty();) {
        client.Receive(got = good.Receive());
      }
      return client.answer(id).ended;
    };
    (void)good.Send(RawClient::Hello());
    greeted = call(1);
    if (!greeted) continue;
    (void)RawSocket(server.port()).ReceiveAll();
    EXPECT_TRUE(call(3));
  }
}

// It has windows without end, and reads nothing: what waits for it is bounded, and others are
// served meanwhile.
TEST(ClientTest, WhoTakesNothingHoldsLittle) {
  EchoServer server;
  RawSocket greedy(server.port());
  RawClient client;
  constexpr uint32_t kMost = (1U << 31) - 1;
  EXPECT_TRUE(greedy.Send(RawClient::Hello({{4, kMost}}) + RawClient::Window(0, kMost - 65'535)));
  EXPECT_TRUE(greedy.Send(client.Call(1, "/test.Echo/Repeat", "60 1000000 x")));
  int written = 0;
  for (int before = -1; written == 0 || written != before;) {
    // It has come to a halt: nothing was written since the last round.
    server.Run([&](Transport&, EchoMethods& methods) {
      before = std::exchange(written, methods.heard().written);
    });
  }
  EXPECT_LT(written, 40);
  RawSocket other(server.port());
  RawClient polite;
  std::string bytes = RawClient::Hello();
  bytes += polite.Call(1, "/test.Echo/Unary", "hello");
  EXPECT_TRUE(other.Send(bytes));
  while (!polite.answer(1).ended) polite.Receive(other.Receive());
  // And it goes on where it was.
  while (!client.answer(1).ended) client.Receive(greedy.Receive());
  EXPECT_EQ(client.answer(1).bytes.size(), 60U * 1'000'005);
}

TEST(ClientTest, LastWordsArrive) {
  EchoServer server;
  RawSocket socket(server.port());
  RawClient client;
  EXPECT_TRUE(socket.Send(RawClient::Hello() + RawClient::Data(1, "data of no stream")));
  client.Receive(socket.ReceiveAll());
  EXPECT_EQ(client.Count(Frame::kGoAway), 1U);
}

TEST(ClientTest, AConnectionThatBreaksEndsItsCalls) {
  EchoServer server;
  auto socket = std::make_unique<RawSocket>(server.port());
  RawClient client;
  std::string bytes = RawClient::Hello();
  for (uint32_t id = 1; id < 20; id += 2) {
    bytes += client.Headers(id, RawClient::CallOf("/test.Echo/Hold"));
  }
  EXPECT_TRUE(socket->Send(bytes));
  server.WaitUntil([](Transport&, EchoMethods& methods) { return methods.held() == 10; });
  const linger reset{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket->fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  socket.reset();
  server.WaitUntil([](Transport& transport, EchoMethods& methods) {
    return methods.held() == 0 && transport.connections() == 0;
  });
}

TEST(ClientTest, ClientsBeyondTheLimitWait) {
  EchoServer::Options options;
  options.transport.max_connections = 2;
  EchoServer server(std::move(options));
  auto first = std::make_unique<RawSocket>(server.port());
  RawSocket second(server.port());
  server.WaitUntil([](Transport& t, EchoMethods&) { return t.connections() == 2; });
  RawSocket third(server.port());
  RawClient client;
  std::string bytes = RawClient::Hello();
  bytes += client.Call(1, "/test.Echo/Unary", "hello");
  EXPECT_TRUE(third.Send(bytes));
  RawClient other;
  bytes = RawClient::Hello();
  bytes += other.Call(1, "/test.Echo/Unary", "hello");
  EXPECT_TRUE(second.Send(bytes));
  while (!other.answer(1).ended) other.Receive(second.Receive());
  server.Run([](Transport& t, EchoMethods& methods) {
    EXPECT_EQ(t.connections(), 2U);
    EXPECT_EQ(methods.heard().opened, 1);
  });
  first.reset();
  while (!client.answer(1).ended) client.Receive(third.Receive());
}

// The rest of the process has files to open.
TEST(ClientTest, ClientsLeaveDescriptorsToOthers) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{.rlim_cur = kSpareDescriptors + 20, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  EchoServer server;
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (int i = 0; i < 30; ++i) sockets.push_back(std::make_unique<RawSocket>(server.port()));
  server.WaitUntil([](Transport& t, EchoMethods&) { return t.connections() == 20; });
  RawClient client;
  std::string bytes = RawClient::Hello();
  bytes += client.Call(1, "/test.Echo/Unary", "hello");
  EXPECT_TRUE(sockets.back()->Send(bytes));
  sockets.erase(sockets.begin(), sockets.begin() + 15);
  while (!client.answer(1).ended) client.Receive(sockets.back()->Receive());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

class ListeningSocketTest : public ::testing::Test {
 protected:
  ListeningSocketTest() {
    JETD_CHECK(mkdtemp(folder_.data()) != nullptr);
    path_ = folder_ + "/socket";
  }
  ~ListeningSocketTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_ = ::testing::TempDir() + "jetd-rpc-XXXXXX";
  std::string path_;
};

TEST_F(ListeningSocketTest, APortThatIsTaken) {
  const auto first = ListeningSocket::OpenTcp("127.0.0.1", 0);
  ASSERT_TRUE(first.ok());
  EXPECT_GT((*first)->port(), 0);
  const auto second = ListeningSocket::OpenTcp("127.0.0.1", (*first)->port());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(MessageOf(second.status()), "Address already in use");
  const auto strange = ListeningSocket::OpenTcp("192.0.2.1", 0);
  EXPECT_EQ(strange.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ListeningSocketTest, NamesAndFamilies) {
  const auto name = ListeningSocket::OpenTcp("localhost", 0);
  ASSERT_TRUE(name.ok());
  const RawSocket over_ipv4((*name)->port());
  const auto all = ListeningSocket::OpenTcp("::", 0);
  if (!all.ok()) GTEST_SKIP() << "no IPv6 here";
  const RawSocket mapped((*all)->port());
}

TEST_F(ListeningSocketTest, AUnixSocketIsServedAndRemoved) {
  {
    EchoServer::Options options;
    options.unix_path = path_;
    EchoServer server(std::move(options));
    struct stat info {};
    ASSERT_EQ(stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600);
    const auto taken = ListeningSocket::OpenUnix(path_, ListeningSocket::Access::kUmask);
    EXPECT_EQ(taken.status().code(), absl::StatusCode::kAlreadyExists);
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ListeningSocketTest, WhatIsLeftOfASocketIsReplaced) {
  {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, path_.size());
    ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    close(fd);
  }
  EXPECT_TRUE(ListeningSocket::OpenUnix(path_, ListeningSocket::Access::kUmask).ok());
  std::ofstream(path_) << "a file of somebody";
  const auto refused = ListeningSocket::OpenUnix(path_, ListeningSocket::Access::kUmask);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_FALSE(
      ListeningSocket::OpenUnix(std::string(200, 'x'), ListeningSocket::Access::kUmask).ok());
}

// With no descriptor left, a server waits for one, and serves who has waited.
TEST(AcceptTest, WithoutDescriptorsItWaits) {
  // UBSan looks at an object's type through a pipe, and takes it for a wrong one without.
  if (kAddressSanitized) GTEST_SKIP() << "needs every descriptor";
  EchoServer server;
  RawSocket first(server.port());
  EXPECT_TRUE(first.Send(RawClient::Hello()));
  server.WaitUntil([](Transport& t, EchoMethods&) { return t.connections() == 1; });
  const int last = dup(first.fd());
  close(last);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = static_cast<rlim_t>(last) + 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  RawSocket second(server.port());  // has the last one
  RawClient client;
  std::string bytes = RawClient::Hello();
  bytes += client.Call(1, "/test.Echo/Unary", "hello");
  EXPECT_TRUE(second.Send(bytes));
  RawClient other;
  EXPECT_TRUE(first.Send(other.Call(1, "/test.Echo/Unary", "hello")));
  while (!other.answer(1).ended) other.Receive(first.Receive());
  server.Run([](Transport& t, EchoMethods&) { EXPECT_EQ(t.connections(), 1U); });
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  while (!client.answer(1).ended) client.Receive(second.Receive());
}

}  // namespace
}  // namespace jetd::rpc
