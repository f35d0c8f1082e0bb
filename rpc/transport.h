// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TRANSPORT_H_
#define JETD_RPC_TRANSPORT_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/loop.h"
#include "rpc/http1.h"
#include "rpc/listening_socket.h"
#include "rpc/methods.h"
#include "rpc/options.h"

namespace jetd::rpc {

// Transport is gRPC over HTTP/2 on the engine's loop: it listens, speaks TLS where that is wanted,
// and opens a CallHandler for each call. HTTP/2 is nghttp2's, TLS is OpenSSL's; what is ours is
// gRPC's framing, the sockets and the limits. No thread of its own, and no timer but for clients.
//
// Cost of a unary call beside its handler: one recv and one send for all calls of a connection in a
// round of the loop. Requests reach their handlers as they come; answers go out at the end of the
// round, by a hook that runs behind those that were added to the loop before Serve.
//
// Engine thread, but for the constructor. Not from inside a handler: Drain, EndNow, Close, the
// destructor.
class Transport {
 public:
  struct Options : TransportOptions {
    // Gets clients that speak HTTP/1; null: they are closed.
    Http1Handler http1;
  };

  // `loop` and `methods` outlive it.
  Transport(Loop* loop, const Methods* methods, Options options);
  // As Close.
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Takes clients on sockets that listen already. Once.
  void Serve(std::vector<std::unique_ptr<ListeningSocket>> sockets);
  // No new connection; those that are there are told (GOAWAY) to take no new calls to this server;
  // calls under way go on, also those that a client had sent by then. A connection without calls
  // is closed then.
  void Drain();
  // For a server whose calls have all been answered: each connection ends as soon as its client has
  // taken what was said, and calls `gone` when none is left, as Close does. One that takes nothing
  // stays until Close. Once.
  void EndNow(std::function<void()> gone);
  // Closes all connections; each call that is left hears OnOver first.
  void Close();

  // What is there now.
  [[nodiscard]] size_t connections() const;
  [[nodiscard]] size_t calls() const;

 private:
  class Impl;
  Loop* const loop_;
  std::shared_ptr<Impl> impl_;  // and the loop's hook looks whether it is there
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TRANSPORT_H_
