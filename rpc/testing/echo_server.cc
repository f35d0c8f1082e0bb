// SPDX-License-Identifier: Apache-2.0
#include "rpc/testing/echo_server.h"

#include <future>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::rpc {

EchoServer::EchoServer() : EchoServer(Options()) {}

EchoServer::EchoServer(Options options) {
  if (options.transport.max_message_bytes == 0) options.transport.max_message_bytes = 4U << 20;
  auto socket = options.unix_path.empty()
                    ? ListeningSocket::OpenTcp("127.0.0.1", 0)
                    : ListeningSocket::OpenUnix(options.unix_path, ListeningSocket::Access::kOwner);
  JETD_CHECK(socket.ok()) << MessageOf(socket.status());
  port_ = (*socket)->port();
  address_ = options.unix_path.empty() ? Cat("127.0.0.1:", port_) : Cat("unix:", options.unix_path);
  if (options.tls != nullptr) (*socket)->UseTls(options.tls);
  transport_ =
      std::make_unique<Transport>(&loop_, &methods_.methods(), std::move(options.transport));
  std::vector<std::unique_ptr<ListeningSocket>> sockets;
  sockets.push_back(*std::move(socket));
  transport_->Serve(std::move(sockets));
  loop_.AddRoundHook([this] {
    if (after_round_) after_round_();
  });
  thread_ = std::thread([this] { loop_.Run(); });
}

EchoServer::~EchoServer() {
  Run([](Transport& transport, EchoMethods&) { transport.Close(); });
  loop_.Stop();
  thread_.join();
}

void EchoServer::Run(const std::function<void(Transport&, EchoMethods&)>& fn) {
  std::promise<void> done;
  loop_.Post([&] {
    fn(*transport_, methods_);
    done.set_value();
  });
  done.get_future().wait();
}

void EchoServer::WaitUntil(std::function<bool(Transport&, EchoMethods&)> is_so) {
  auto done = std::make_shared<std::promise<void>>();
  loop_.Post([this, done, is_so = std::move(is_so)] {
    after_round_ = [this, done, is_so] {
      if (!is_so(*transport_, methods_)) return;
      // The test may ask for the next thing as soon as it knows.
      const auto told = done;
      after_round_ = nullptr;
      told->set_value();
    };
  });
  done->get_future().wait();
}

}  // namespace jetd::rpc
