// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/http_door.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "etcdapi/event_base.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using ::testing::HasSubstr;

constexpr char kRequest[] = "GET / HTTP/1.1\r\n\r\n";

// The port that this process listens on, which a door has while somebody waits.
sockaddr_in Listening() {
  for (int fd = 0; fd < 1'000; ++fd) {
    int listens = 0;
    socklen_t size = sizeof(listens);
    sockaddr_in address{};
    socklen_t address_size = sizeof(address);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 1 &&
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &address_size) == 0 &&
        address.sin_family == AF_INET) {
      return address;
    }
  }
  JETD_CHECK(false) << "nothing listens";
  return {};
}

std::string ReadAll(int fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t got = 0; (got = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
    all.append(buffer, static_cast<size_t>(got));
  }
  return all;
}

class HttpDoorTest : public ::testing::Test {
 protected:
  explicit HttpDoorTest(std::chrono::milliseconds patience = HttpDoor::kPatience)
      : base_(NewEventBase()), http_(evhttp_new(base_)) {
    door_ = std::make_unique<HttpDoor>(base_, http_, patience);
    evhttp_set_bevcb(
        http_, [](event_base*, void* door) { return static_cast<HttpDoor*>(door)->MakeBuffer(); },
        door_.get());
    evhttp_set_gencb(
        http_,
        [](evhttp_request* request, void* served) {
          ++*static_cast<int*>(served);
          evhttp_send_reply(request, 200, nullptr, nullptr);
        },
        &served_);
  }
  ~HttpDoorTest() override {
    if (http_ != nullptr) End();
  }
  void End() {
    door_.reset();
    evhttp_free(std::exchange(http_, nullptr));
    event_base_loop(base_, EVLOOP_NONBLOCK);
    event_base_free(base_);
  }
  // Our end of a client that is brought.
  [[nodiscard]] int Bring() const {
    int ends[2];
    JETD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    JETD_CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    HttpClient client(new rpc::Http1Client);
    client->fd = ends[1];
    client->received = kRequest;
    door_->Bring(std::move(client));
    return ends[0];
  }
  // Somebody of this machine, who has found the port.
  [[nodiscard]] static int Intrude() {
    const sockaddr_in address = Listening();
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    JETD_CHECK(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    JETD_CHECK(write(fd, kRequest, sizeof(kRequest) - 1) == sizeof(kRequest) - 1);
    return fd;
  }
  // Or closed.
  void RunUntilAnswered(int client) const {
    char first = 0;
    while (recv(client, &first, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
      event_base_loop(base_, EVLOOP_ONCE);
    }
  }

  void ExpectOnlyTheClientIsServed() {
    const int client = Bring();
    const int stranger = Intrude();
    RunUntilAnswered(client);
    End();
    EXPECT_THAT(ReadAll(client), HasSubstr("200 OK"));
    EXPECT_EQ(ReadAll(stranger), "");
    EXPECT_EQ(served_, 1);
    close(client);
    close(stranger);
  }

  event_base* const base_;
  evhttp* http_;
  std::unique_ptr<HttpDoor> door_;
  int served_ = 0;
};

class ImpatientHttpDoorTest : public HttpDoorTest {
 protected:
  ImpatientHttpDoorTest() : HttpDoorTest(std::chrono::milliseconds(0)) {}
};

TEST_F(HttpDoorTest, AStrangerIsNotServed) { ExpectOnlyTheClientIsServed(); }

// The patience is over in the turn of the loop in which they have come in.
TEST_F(ImpatientHttpDoorTest, AStrangerIsNotServed) { ExpectOnlyTheClientIsServed(); }

TEST_F(HttpDoorTest, WhoIsDroppedOrForsakenIsClosed) {
  const int dropped = Bring();
  const int client = Bring();
  EXPECT_EQ(door_->waiting(), 2U);
  EXPECT_TRUE(door_->DropFirst());
  EXPECT_EQ(ReadAll(dropped), "");
  EXPECT_FALSE(door_->Forsake(nullptr));
  RunUntilAnswered(client);
  EXPECT_FALSE(door_->DropFirst());
  End();
  EXPECT_THAT(ReadAll(client), HasSubstr("200 OK"));
  close(dropped);
  close(client);
}

}  // namespace
}  // namespace jetd::etcdapi
