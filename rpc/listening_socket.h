// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_LISTENING_SOCKET_H_
#define JETD_RPC_LISTENING_SOCKET_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "rpc/tls.h"

namespace jetd::rpc {

// ListeningSocket is an address that is ours: clients that connect wait in the kernel until a
// Transport takes them. Made on any thread, before anything is begun that others would notice;
// given to a Transport, it is the engine's.
//
// Errors are the system's word ("Address already in use"): AlreadyExists if somebody else has the
// address, otherwise Unavailable.
class ListeningSocket {
 public:
  enum class Access { kUmask, kOwner };

  // `host` is an IP address or "localhost"; port 0 lets the system choose. Nobody else can share
  // the port, and one that was in use a moment ago can be had.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ListeningSocket>> OpenTcp(
      const std::string& host, int port);
  // A socket that nobody answers on is left over and replaced; any other file is in the way.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ListeningSocket>> OpenUnix(
      const std::string& path, Access access);
  // Closes it, and removes the file of a unix socket.
  ~ListeningSocket();
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  // Clients speak TLS here.
  void UseTls(std::shared_ptr<TlsSource> source) { tls_ = std::move(source); }

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] int port() const { return port_; }  // 0: a unix socket
  [[nodiscard]] const std::shared_ptr<TlsSource>& tls() const { return tls_; }

 private:
  ListeningSocket(int fd, int port, std::string path)
      : fd_(fd), port_(port), path_(std::move(path)) {}

  const int fd_;
  const int port_;
  const std::string path_;
  std::shared_ptr<TlsSource> tls_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_LISTENING_SOCKET_H_
