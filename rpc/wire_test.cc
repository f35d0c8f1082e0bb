// SPDX-License-Identifier: Apache-2.0
//
// A client on a wire that does what the test says: has more than its socket tells, takes nothing,
// waits for a handshake.
#include "rpc/wire.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/fake_executor.h"
#include "base/loop.h"
#include "gtest/gtest.h"
#include "rpc/client.h"
#include "rpc/testing/echo_methods.h"
#include "rpc/testing/raw_client.h"

namespace jetd::rpc {
namespace {

// The test's side of a wire. Its socket is always readable and writable.
struct Script {
  bool greets = false;
  std::string first;       // what the first Receive brings
  std::string next;        // … and each of the others
  bool ended = false;      // the client says no more
  size_t room = SIZE_MAX;  // that many bytes are taken
  Wire::Greeting greeting = Wire::Greeting::kGoesOn;

  int greeted = 0;
  int received = 0;
  std::string sent;
  bool left = false;
};

class ScriptedWire final : public Wire {
 public:
  ScriptedWire(Script* script, int fd) : script_(script), fd_(fd) {}
  ~ScriptedWire() override { close(fd_); }

  [[nodiscard]] int fd() const override { return fd_; }
  [[nodiscard]] bool greets() const override { return script_->greets; }
  [[nodiscard]] Greeting Greet() override {
    ++script_->greeted;
    return script_->greeting;
  }
  [[nodiscard]] ssize_t Receive(char* to, size_t most) override {
    if (script_->ended) return -1;
    ++script_->received;
    const std::string bytes =
        script_->first.empty() ? script_->next : std::exchange(script_->first, {});
    JETD_CHECK(bytes.size() <= most);
    bytes.copy(to, bytes.size());
    return static_cast<ssize_t>(bytes.size());
  }
  [[nodiscard]] ssize_t Send(const iovec* pieces, int count) override {
    size_t all = 0;
    for (int i = 0; i < count && script_->room > 0; ++i) {
      const size_t part = std::min(pieces[i].iov_len, script_->room);
      script_->sent.append(static_cast<const char*>(pieces[i].iov_base), part);
      script_->room -= part;
      all += part;
    }
    return static_cast<ssize_t>(all);
  }
  [[nodiscard]] bool has_more() const override {
    return !script_->first.empty() || !script_->next.empty();
  }
  [[nodiscard]] bool wants_writable() const override { return script_->room == 0; }
  void Leave() override { script_->left = true; }
  [[nodiscard]] Http1Client Release() override { return {}; }

 private:
  Script* const script_;
  const int fd_;
};

class WireTest : public ::testing::Test, public Client::Owner {
 protected:
  WireTest() {
    JETD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds_.data()) == 0);
    JETD_CHECK(write(fds_[1], "x", 1) == 1);
  }
  ~WireTest() override {
    client_.reset();
    if (fds_[1] >= 0) close(fds_[1]);
  }

  void Begin() {
    client_ = std::make_unique<Client>(&loop_, &core_, this,
                                       std::make_unique<ScriptedWire>(&script_, fds_[0]));
  }
  void Rounds(int count) {
    for (int i = 0; i < count; ++i) {
      loop_.Post([this] { loop_.Stop(); });
      loop_.Run();
      for (Client* client : std::exchange(more_, {})) client->Again();
      for (Client* client : std::exchange(work_, {})) client->Turn();
    }
  }
  // A client says `first`, and then `next` each time that it is read.
  void Speak(const std::string& first, const std::string& next) {
    script_.first = first;
    script_.next = next;
    Begin();
    while (script_.received == 0) Rounds(1);
  }

  static TransportOptions Options() {
    TransportOptions options;
    options.max_message_bytes = 1'000'000;
    return options;
  }

  Loop loop_;
  EchoMethods methods_;
  FakeExecutor executor_;
  Core core_{&executor_, &methods_.methods(), Options()};
  Script script_;
  std::array<int, 2> fds_{};
  std::unique_ptr<Client> client_;
  int asked_ = 0;  // whether a handshake may go on
  bool closed_ = false;

 private:
  void OnWork(Client* client) override { work_.push_back(client); }
  void OnMoreWork(Client* client) override {
    if (more_.empty()) more_.push_back(client);
  }
  void OnClosed(Client* /*client*/) override { closed_ = true; }
  [[nodiscard]] bool MayGreet(Client* /*client*/) override {
    ++asked_;
    return false;
  }
  [[nodiscard]] char* buffer() override { return buffer_.data(); }
  [[nodiscard]] bool HandOver(Wire* /*wire*/, std::string /*received*/) override { return false; }

  std::vector<Client*> work_, more_;
  std::vector<char> buffer_ = std::vector<char>(limits::kReceiveBytes);
};

TEST_F(WireTest, WhoIsChokedIsNotReadOn) {
  constexpr uint32_t kMost = (1U << 31) - 1;
  constexpr uint8_t kUnknownFrame = 0x20;  // which HTTP/2 ignores
  RawClient client;
  std::string hello = RawClient::Hello({{4, kMost}}) + RawClient::Window(0, kMost - 65'535);
  for (uint32_t id = 1; id < 20; id += 2) hello += client.Call(id, "/test.Echo/Large", "100000 9");
  script_.room = 0;
  Speak(hello, Frame{.type = kUnknownFrame, .payload = "x"}.Encode());
  Rounds(20);
  const int before = script_.received;
  Rounds(50);
  EXPECT_EQ(script_.received, before);
  EXPECT_FALSE(closed_);
  // It takes what is said: it is heard again.
  script_.room = SIZE_MAX;
  Rounds(20);
  EXPECT_GT(script_.received, before);
}

TEST_F(WireTest, WhoWaitsForItsHandshakeIsNotInTheWay) {
  script_.greets = true;
  Begin();
  Rounds(20);
  EXPECT_EQ(asked_, 1) << "its socket is ready all the time";
  EXPECT_EQ(script_.greeted, 0);
  EXPECT_TRUE(client_->Greet());
  EXPECT_EQ(script_.greeted, 1);
  EXPECT_FALSE(client_->Greet());
  Rounds(20);
  EXPECT_EQ(asked_, 2);
  // Its end is heard while it waits.
  close(std::exchange(fds_[1], -1));
  Rounds(2);
  EXPECT_TRUE(closed_);
  EXPECT_FALSE(client_->Greet());
}

TEST_F(WireTest, WhatWasSaidIsSentBeforeTheEnd) {
  RawClient client;
  std::string bytes = RawClient::Hello();
  bytes += client.Call(1, "/test.Echo/Unary", "hello");
  script_.room = 0;
  Speak(bytes, "");
  EXPECT_EQ(methods_.heard().over_sent, 1) << "it is in a frame";
  client_->EndNow();
  Rounds(5);
  EXPECT_FALSE(script_.left || closed_);
  script_.room = SIZE_MAX;
  Rounds(5);
  EXPECT_TRUE(script_.left);
  EXPECT_FALSE(closed_) << "it may not have read it";
  client.Receive(script_.sent);
  EXPECT_TRUE(client.answer(1).ended);
  EXPECT_EQ(client.Count(Frame::kGoAway), 1U);
  script_.ended = true;
  Rounds(2);
  EXPECT_TRUE(closed_);
}

}  // namespace
}  // namespace jetd::rpc
