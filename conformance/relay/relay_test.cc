// SPDX-License-Identifier: Apache-2.0
#include "conformance/relay/relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/check.h"
#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

using Direction = Relay::Direction;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFarTooLong{30'000};

// A blocking socket. What it reads and writes is bounded by kFarTooLong.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {
    const timeval patience{.tv_sec = kFarTooLong.count() / 1000, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  }
  ~Socket() { Close(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  static std::unique_ptr<Socket> New() {
    return std::make_unique<Socket>(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  void Send(std::string_view bytes) const {
    ASSERT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // So many bytes, or fewer and what then came: "|end" or "|reset".
  [[nodiscard]] std::string Receive(size_t count) const {
    std::string all(count, '\0');
    size_t have = 0;
    while (have < count) {
      const ssize_t got = recv(fd_, all.data() + have, count - have, 0);
      // With a timeout, also of a process that was stopped and goes on.
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        all.resize(have);
        return all + (got == 0 ? "|end" : errno == ECONNRESET ? "|reset" : "|late");
      }
      have += static_cast<size_t>(got);
    }
    return all;
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

class RelayTest : public testing::Test {
 protected:
  RelayTest() {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    JETD_CHECK(bind(listener_->fd(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    JETD_CHECK(listen(listener_->fd(), 16) == 0);
    JETD_CHECK(getsockname(listener_->fd(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    auto relay = Relay::Start(ntohs(address.sin_port));
    JETD_CHECK(relay.ok()) << relay.status();
    relay_ = *std::move(relay);
  }
  static sockaddr_in Loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    return address;
  }
  // 0, or the error.
  [[nodiscard]] int Dial(const Socket& socket) const {
    sockaddr_in address = Loopback(relay_->port());
    return connect(socket.fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0
               ? 0
               : errno;
  }
  struct Pair {
    std::unique_ptr<Socket> client, server;
  };
  [[nodiscard]] Pair Connect() const {
    Pair pair{.client = Socket::New(), .server = nullptr};
    JETD_CHECK(Dial(*pair.client) == 0);
    pair.server = std::make_unique<Socket>(accept(listener_->fd(), nullptr, nullptr));
    return pair;
  }
  // Asking the relay waits for its thread.
  template <typename Fn>
  [[nodiscard]] bool Eventually(Fn fn) const {
    const auto deadline = steady_clock::now() + kFarTooLong;
    while (!fn()) {
      if (steady_clock::now() > deadline) return false;
    }
    return true;
  }

  const std::unique_ptr<Socket> listener_ = Socket::New();
  std::unique_ptr<Relay> relay_;
};

TEST_F(RelayTest, PassesBytesAndEndsBothWays) {
  Pair pair = Connect();
  pair.client->Send("up");
  EXPECT_EQ(pair.server->Receive(2), "up");
  pair.server->Send("down");
  EXPECT_EQ(pair.client->Receive(4), "down");
  // Half an end: the other direction goes on.
  shutdown(pair.client->fd(), SHUT_WR);
  EXPECT_EQ(pair.server->Receive(1), "|end");
  pair.server->Send("more");
  EXPECT_EQ(pair.client->Receive(4), "more");
  pair.server->Close();
  EXPECT_EQ(pair.client->Receive(1), "|end");
  EXPECT_TRUE(Eventually([&] { return relay_->counts().open == 0; }));
  EXPECT_EQ(relay_->counts().up_bytes, 2U);
  EXPECT_EQ(relay_->counts().down_bytes, 8U);
}

TEST_F(RelayTest, PassesMoreThanAnyBufferHolds) {
  Pair pair = Connect();
  const size_t size = 32UL << 20;
  std::thread sender([&] { pair.client->Send(std::string(size, 'x')); });
  const std::string got = pair.server->Receive(size);
  sender.join();
  EXPECT_EQ(got, std::string(size, 'x'));
}

TEST_F(RelayTest, CutResetsBothEndsAndTakesNewOnes) {
  Pair pair = Connect();
  pair.client->Send("a");
  ASSERT_EQ(pair.server->Receive(1), "a");
  relay_->Cut();
  EXPECT_EQ(pair.client->Receive(1), "|reset");
  EXPECT_EQ(pair.server->Receive(1), "|reset");
  Pair next = Connect();
  next.client->Send("b");
  EXPECT_EQ(next.server->Receive(1), "b");
  EXPECT_EQ(relay_->counts().cut, 1U);
  EXPECT_EQ(relay_->counts().accepted, 2U);
}

TEST_F(RelayTest, CutAfterLetsExactlySoManyBytesThrough) {
  for (const size_t bytes : {0UL, 1UL, 5UL, 200'000UL}) {
    Pair pair = Connect();
    relay_->CutAfter(Direction::kUp, bytes);
    pair.server->Send("other way");
    EXPECT_EQ(pair.client->Receive(9), "other way");
    EXPECT_FALSE(relay_->cut_is_due());
    pair.client->Send(std::string(bytes, 'x'));
    EXPECT_EQ(pair.server->Receive(bytes), std::string(bytes, 'x'));
    EXPECT_FALSE(relay_->cut_is_due());
    pair.client->Send("this is lost");
    const std::string seen = pair.server->Receive(1);
    EXPECT_TRUE(seen == "|end" || seen == "|reset") << seen;
    EXPECT_EQ(pair.client->Receive(1), "|reset");
    EXPECT_TRUE(relay_->cut_is_due());
  }
  // Only once.
  Pair pair = Connect();
  pair.client->Send("through");
  EXPECT_EQ(pair.server->Receive(7), "through");
}

TEST_F(RelayTest, CutAfterWithinOneWrite) {
  Pair pair = Connect();
  relay_->CutAfter(Direction::kDown, 3);
  pair.server->Send("answer");
  const std::string seen = pair.client->Receive(6);
  EXPECT_TRUE(seen == "ans|end" || seen == "ans|reset") << seen;
}

TEST_F(RelayTest, HoldsOneDirectionAndLetsItThroughLate) {
  Pair pair = Connect();
  relay_->Hold(Direction::kUp);
  pair.client->Send("late");
  pair.server->Send("now");
  EXPECT_EQ(pair.client->Receive(3), "now");
  EXPECT_EQ(relay_->counts().up_bytes, 0U);
  // The end is held too.
  pair.client->Close();
  relay_->Release();
  EXPECT_EQ(pair.server->Receive(5), "late|end");
}

TEST_F(RelayTest, HoldPresentLetsNewConnectionsPass) {
  Pair old = Connect();
  old.client->Send("x");
  ASSERT_EQ(old.server->Receive(1), "x");
  relay_->HoldPresent();
  old.client->Send("old");
  Pair fresh = Connect();
  fresh.client->Send("new");
  EXPECT_EQ(fresh.server->Receive(3), "new");
  EXPECT_EQ(relay_->counts().up_bytes, 4U);
  relay_->Release();
  EXPECT_EQ(old.server->Receive(3), "old");
}

TEST_F(RelayTest, ACutLosesWhatIsHeld) {
  Pair pair = Connect();
  relay_->Hold(Direction::kUp);
  pair.client->Send("lost");
  relay_->Cut();
  relay_->Release();
  EXPECT_EQ(pair.server->Receive(1), "|reset");
  EXPECT_EQ(relay_->counts().up_bytes, 0U);
}

TEST_F(RelayTest, RefusesUntilReleased) {
  Pair pair = Connect();
  relay_->Refuse();
  EXPECT_EQ(pair.client->Receive(1), "|reset");
  EXPECT_EQ(Dial(*Socket::New()), ECONNREFUSED);
  relay_->Release();
  Pair next = Connect();
  next.client->Send("again");
  EXPECT_EQ(next.server->Receive(5), "again");
}

TEST_F(RelayTest, DelaysAndThrottlesWithoutLoss) {
  Pair pair = Connect();
  relay_->Delay(milliseconds(30));
  auto start = steady_clock::now();
  pair.client->Send("ping");
  EXPECT_EQ(pair.server->Receive(4), "ping");
  EXPECT_GE(steady_clock::now() - start, milliseconds(30));
  relay_->Release();
  relay_->Throttle(200'000);
  start = steady_clock::now();
  pair.client->Send(std::string(20'000, 'x'));
  EXPECT_EQ(pair.server->Receive(20'000), std::string(20'000, 'x'));
  // The last piece goes out before its own time is over.
  EXPECT_GE(steady_clock::now() - start, milliseconds(70));
}

TEST_F(RelayTest, ATargetThatIsAwayEndsTheConnection) {
  listener_->Close();
  const auto client = Socket::New();
  ASSERT_EQ(Dial(*client), 0);
  EXPECT_EQ(client->Receive(1), "|reset");
}

}  // namespace
}  // namespace jetd::conformance
