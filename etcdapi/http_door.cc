// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/http_door.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "etcdapi/event_base.h"

namespace jetd::etcdapi {
namespace {

// One that leaves nothing behind when it is closed.
int ConnectToSelf(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const linger none{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
      errno == EINPROGRESS) {
    return fd;
  }
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

struct HttpDoor::Entering {
  Entering(HttpDoor* owner, Waiting who) : door(owner), waiting(std::move(who)) {}
  ~Entering() {
    if (soon != nullptr) event_free(soon);
    if (buffer != nullptr) bufferevent_decref(buffer);
    if (waiting.knock >= 0) close(waiting.knock);
  }
  Entering(const Entering&) = delete;
  Entering& operator=(const Entering&) = delete;

  HttpDoor* const door;
  Waiting waiting;                // no client: somebody else has knocked
  bufferevent* buffer = nullptr;  // a reference of ours
  event* soon = nullptr;
};

HttpDoor::HttpDoor(event_base* base, evhttp* http, std::chrono::milliseconds patience)
    : base_(base),
      http_(http),
      patience_(patience),
      over_(evtimer_new(
          base, [](evutil_socket_t, short, void* door) { static_cast<HttpDoor*>(door)->GiveUp(); },
          this)) {
  JETD_CHECK(over_ != nullptr) << "event_new";
}

HttpDoor::~HttpDoor() {
  entering_.clear();
  Close();
  event_free(over_);
}

void HttpDoor::Bring(HttpClient client) {
  if (!Open()) return;
  const int knock = ConnectToSelf(socket_->port());
  if (knock >= 0) {
    waiting_.push_back({.client = std::move(client), .knock = knock});
    return;
  }
  Complain(std::strerror(errno));
  if (waiting_.empty() && entering_.empty()) Close();
}

// Strangers bring it about, and there is a reason that stays.
void HttpDoor::Complain(std::string_view why) {
  if (!complaints_.Due(std::chrono::steady_clock::now().time_since_epoch())) return;
  log::Warn("a client's HTTP request is not taken: {}", why);
}

bool HttpDoor::DropFirst() {
  if (waiting_.empty()) return false;
  close(waiting_.front().knock);
  waiting_.pop_front();
  return true;
}

bool HttpDoor::Forsake(const bufferevent* buffer) {
  for (const auto& entering : entering_) {
    if (entering->buffer != buffer) continue;
    entering->waiting.client = nullptr;
    return true;
  }
  return false;
}

void HttpDoor::BePatient() {
  const timeval patience = TimevalOf(patience_);
  evtimer_add(over_, &patience);
}

bool HttpDoor::Open() {
  if (socket_ != nullptr) return true;
  auto socket = rpc::ListeningSocket::OpenTcp("127.0.0.1", 0);
  if (!socket.ok()) {
    Complain(MessageOf(socket.status()));
    return false;
  }
  socket_ = *std::move(socket);
  evconnlistener* const listener =
      evconnlistener_new(base_, nullptr, nullptr, LEV_OPT_CLOSE_ON_EXEC, 0, socket_->fd());
  JETD_CHECK(listener != nullptr) << "evconnlistener_new";
  // Where no descriptor is left, it would be told of the same client again and again.
  evconnlistener_set_error_cb(
      listener, [](evconnlistener* failed, void*) { evconnlistener_disable(failed); });
  bound_ = evhttp_bind_listener(http_, listener);
  JETD_CHECK(bound_ != nullptr) << "evhttp_bind_listener";
  BePatient();
  return true;
}

bufferevent* HttpDoor::MakeBuffer() {
  BePatient();
  Waiting next{.client = nullptr, .knock = -1};
  if (!waiting_.empty()) {
    next = std::move(waiting_.front());
    waiting_.pop_front();
  }
  auto entering = std::make_unique<Entering>(this, std::move(next));
  rpc::Http1Client* const client = entering->waiting.client.get();
  if (client != nullptr && client->ssl != nullptr) {
    SSL* const ssl = std::exchange(client->ssl, nullptr);
    SSL_set_bio(ssl, nullptr, nullptr);
    // libevent asks for what was read of a record, not for what was read ahead.
    SSL_set_read_ahead(ssl, 0);
    entering->buffer =
        bufferevent_openssl_socket_new(base_, -1, ssl, BUFFEREVENT_SSL_OPEN, BEV_OPT_CLOSE_ON_FREE);
  } else {
    entering->buffer = bufferevent_socket_new(base_, -1, BEV_OPT_CLOSE_ON_FREE);
  }
  JETD_CHECK(entering->buffer != nullptr) << "bufferevent_new";
  bufferevent_incref(entering->buffer);
  // When evhttp has made a connection of it, and before anything is read.
  entering->soon = evtimer_new(
      base_,
      [](evutil_socket_t, short, void* arg) {
        auto* const self = static_cast<Entering*>(arg);
        self->door->Enter(self);
      },
      entering.get());
  JETD_CHECK(entering->soon != nullptr) << "event_new";
  event_active(entering->soon, EV_TIMEOUT, 0);
  entering_.push_back(std::move(entering));
  return entering_.back()->buffer;
}

void HttpDoor::Enter(Entering* entering) {
  bufferevent* const buffer = entering->buffer;
  const HttpClient& client = entering->waiting.client;
  const int fd = bufferevent_getfd(buffer);
  // epoll forgets a descriptor that becomes another's, and is told of it again below.
  bufferevent_disable(buffer, EV_READ | EV_WRITE);
  if (client == nullptr || fd < 0 || dup3(client->fd, fd, O_CLOEXEC) < 0) {
    // To evhttp its client has gone.
    bufferevent_trigger_event(buffer, BEV_EVENT_EOF | BEV_EVENT_READING, 0);
  } else {
    bufferevent_enable(buffer, EV_READ);
    evbuffer_prepend(bufferevent_get_input(buffer), client->received.data(),
                     client->received.size());
    bufferevent_trigger(buffer, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
  }
  std::erase_if(entering_, [entering](const auto& one) { return one.get() == entering; });
  if (waiting_.empty() && entering_.empty()) Close();
}

// Those who are about to enter do, and who is nobody's is closed then: evhttp has him already.
void HttpDoor::GiveUp() {
  if (!waiting_.empty()) Complain("the way to it through 127.0.0.1 takes too long");
  Close();
}

void HttpDoor::Close() {
  while (DropFirst()) {
  }
  if (socket_ == nullptr) return;
  evtimer_del(over_);
  evhttp_del_accept_socket(http_, bound_);
  socket_.reset();
}

}  // namespace jetd::etcdapi
