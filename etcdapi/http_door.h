// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HTTP_DOOR_H_
#define JETD_ETCDAPI_HTTP_DOOR_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "etcdapi/http_mailbox.h"
#include "rpc/complaints.h"
#include "rpc/listening_socket.h"

struct bufferevent;
struct event;
struct event_base;
struct evhttp;
struct evhttp_bound_socket;

namespace jetd::etcdapi {

// HttpDoor brings clients to libevent's evhttp that are connected already, of which something was
// read, and whose TLS is past its handshake. evhttp serves nothing but what its own listeners have
// accepted, so this process knocks for the client, on a port of 127.0.0.1 that is there only while
// somebody waits, and the descriptor that evhttp gets is made the client's (dup3):
//
//   Bring ─ connect ─> evhttp accepts ─> MakeBuffer ─> evhttp has a connection ─> Enter: dup3
//
// Whoever else connects there in that moment is closed unheard. Who waits while nobody enters for
// `patience` is closed.
//
// Thread rules: the one that runs the event base.
class HttpDoor {
 public:
  // How long the way through our own machine may take.
  static constexpr std::chrono::seconds kPatience{5};

  // Both outlive it; `http` asks MakeBuffer for its buffers (evhttp_set_bevcb).
  HttpDoor(event_base* base, evhttp* http, std::chrono::milliseconds patience = kPatience);
  ~HttpDoor();
  HttpDoor(const HttpDoor&) = delete;
  HttpDoor& operator=(const HttpDoor&) = delete;

  // Closes the client if it cannot be brought in.
  void Bring(HttpClient client);
  [[nodiscard]] bufferevent* MakeBuffer();
  // Who was brought and has no buffer yet.
  [[nodiscard]] size_t waiting() const { return waiting_.size(); }
  // Closes the first of them. False: there is none.
  [[nodiscard]] bool DropFirst();
  // Closes the client whose buffer that is, if it is evhttp's and not yet the client's: evhttp
  // hears of it in a moment. False: it is none.
  [[nodiscard]] bool Forsake(const bufferevent* buffer);

 private:
  struct Waiting {
    HttpClient client;
    int knock;  // our end of the connection that evhttp accepts
  };
  // One whose buffer is evhttp's, and not yet the client's.
  struct Entering;

  [[nodiscard]] bool Open();
  void Enter(Entering* entering);
  void BePatient();
  void GiveUp();
  void Close();
  void Complain(std::string_view why);

  event_base* const base_;
  evhttp* const http_;
  const std::chrono::milliseconds patience_;
  event* over_;  // the patience is
  rpc::Complaints complaints_;
  std::unique_ptr<rpc::ListeningSocket> socket_;  // null: nobody waits
  evhttp_bound_socket* bound_ = nullptr;          // evhttp's, of that
  std::deque<Waiting> waiting_;
  std::vector<std::unique_ptr<Entering>> entering_;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HTTP_DOOR_H_
