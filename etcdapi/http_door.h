// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HTTP_DOOR_H_
#define JETD_ETCDAPI_HTTP_DOOR_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "etcdapi/http_mailbox.h"
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
// Whoever else connects there in that moment is closed unheard.
//
// Thread rules: the one that runs the event base.
class HttpDoor {
 public:
  // Both outlive it; `http` asks MakeBuffer for its buffers (evhttp_set_bevcb).
  HttpDoor(event_base* base, evhttp* http);
  ~HttpDoor();
  HttpDoor(const HttpDoor&) = delete;
  HttpDoor& operator=(const HttpDoor&) = delete;

  // Closes the client if it cannot be brought in.
  void Bring(HttpClient client);
  [[nodiscard]] bufferevent* MakeBuffer();
  // Who was brought and has no buffer yet.
  [[nodiscard]] size_t waiting() const { return waiting_.size(); }

 private:
  struct Waiting {
    HttpClient client;
    int knock;  // our end of the connection that evhttp accepts
  };
  // One whose buffer is evhttp's, and not yet the client's.
  struct Entering;

  [[nodiscard]] bool Open();
  void Enter(Entering* entering);
  void GiveUp();
  void Close();

  event_base* const base_;
  evhttp* const http_;
  event* patience_;
  std::unique_ptr<rpc::ListeningSocket> socket_;  // null: nobody waits
  evhttp_bound_socket* bound_ = nullptr;          // evhttp's, of that
  std::deque<Waiting> waiting_;
  std::vector<std::unique_ptr<Entering>> entering_;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HTTP_DOOR_H_
