// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TESTING_ECHO_SERVER_H_
#define JETD_RPC_TESTING_ECHO_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/loop.h"
#include "rpc/testing/echo_methods.h"
#include "rpc/transport.h"

namespace jetd::rpc {

// EchoServer is EchoMethods behind a transport on a port of its own, with a thread that runs its
// loop. Its methods are for the test's thread.
class EchoServer {
 public:
  struct Options {
    Transport::Options transport{};
    std::shared_ptr<TlsSource> tls{};
    std::string unix_path{};  // a unix socket instead of a port
  };
  // 4 MiB are as much as a message may have, unless `options` say otherwise.
  EchoServer();
  explicit EchoServer(Options options);
  ~EchoServer();
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  // As gRPC's clients take it.
  [[nodiscard]] const std::string& address() const { return address_; }

  // Runs `fn` on the engine thread, and waits for it.
  void Run(const std::function<void(Transport&, EchoMethods&)>& fn);
  // Waits until `is_so` is, asked on the engine thread after each of its rounds.
  void WaitUntil(std::function<bool(Transport&, EchoMethods&)> is_so);

 private:
  Loop loop_;
  EchoMethods methods_;
  std::unique_ptr<Transport> transport_;
  int port_ = 0;
  std::string address_;
  std::function<void()> after_round_;  // the engine's
  std::thread thread_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TESTING_ECHO_SERVER_H_
