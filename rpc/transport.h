// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TRANSPORT_H_
#define JETD_RPC_TRANSPORT_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/loop.h"
#include "rpc/methods.h"

namespace jetd::rpc {

class ListeningSocket;

// Transport is gRPC over HTTP/2 on the engine's loop: it listens, speaks TLS where that is wanted,
// and opens a CallHandler for each call. HTTP/2 is nghttp2's, TLS is OpenSSL's; what is ours is
// gRPC's framing, the sockets and the limits. No thread of its own.
//
// Cost of a unary call beside its handler: one recv and one send for all calls of a connection in a
// round of the loop.
class Transport {
 public:
  struct Options {
    // Larger messages are refused with grpc-go's text (RESOURCE_EXHAUSTED).
    size_t max_message_bytes = 0;
    // As etcd's --grpc-keepalive-…: pings more often than min_time end a connection
    // (ENHANCE_YOUR_CALM, "too_many_pings"), an idle one is asked for a sign of life.
    std::chrono::milliseconds keepalive_min_time{5'000};
    std::chrono::milliseconds keepalive_interval{2 * 60 * 60 * 1'000};
    std::chrono::milliseconds keepalive_timeout{20'000};
  };

  // `loop` and `methods` outlive it.
  Transport(Loop* loop, const Methods* methods, Options options);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Engine thread. Takes clients on sockets that listen already.
  void Serve(std::vector<std::unique_ptr<ListeningSocket>> sockets);
  // Engine thread. No new connection; those that are there are told (GOAWAY) to take no new calls
  // to this server; calls under way go on, also those that a client had sent by then.
  void Drain();
  // Engine thread. Closes all connections; each call that is left hears OnOver first.
  void Close();
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TRANSPORT_H_
