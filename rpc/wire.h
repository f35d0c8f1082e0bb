// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_WIRE_H_
#define JETD_RPC_WIRE_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>

#include "rpc/http1.h"
#include "rpc/status.h"

namespace jetd::rpc {

// Wire is one client's socket, as bytes: plain, or what TLS makes of it. It does not block. It owns
// the descriptor; whoever watches that stops before the wire goes. Engine thread.
class Wire {
 public:
  enum class Greeting { kDone, kGoesOn, kFailed };

  // Takes over a connected, non-blocking socket.
  [[nodiscard]] static std::unique_ptr<Wire> Plain(int fd);

  virtual ~Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  [[nodiscard]] virtual int fd() const = 0;
  // False: there is nothing to Greet with.
  [[nodiscard]] virtual bool greets() const = 0;
  // What comes before the client's first byte: a handshake's next step.
  [[nodiscard]] virtual Greeting Greet() = 0;
  // Before a call is opened: an error is its end.
  [[nodiscard]] virtual Status Admit() { return {}; }
  // How many bytes were moved; 0: none now; -1: the client is gone.
  [[nodiscard]] virtual ssize_t Receive(char* to, size_t most) = 0;
  [[nodiscard]] virtual ssize_t Send(const iovec* pieces, int count) = 0;
  // Bytes are here already that the descriptor does not announce.
  [[nodiscard]] virtual bool has_more() const = 0;
  // It goes on when the socket is writable, whoever wanted something.
  [[nodiscard]] virtual bool wants_writable() const = 0;
  // Nothing more is sent.
  virtual void Leave() = 0;
  // Gives socket and TLS session away. The wire is at its end.
  [[nodiscard]] virtual Http1Client Release() = 0;

 protected:
  Wire() = default;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_WIRE_H_
