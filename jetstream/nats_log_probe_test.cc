// SPDX-License-Identifier: Apache-2.0
// What a log makes of connections that are lost while it tries how long a line may be.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/loop.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/silent_observer.h"

namespace jetd::jetstream {
namespace {

constexpr std::chrono::seconds kFarTooLong{60};
// Only the probe expects this sequence before anything is served.
constexpr std::string_view kProbe = "Nats-Expected-Last-Sequence: 18446744073709551615";

// Stands before a server and ends the first `cuts` connections on which a probe comes, without a
// word, as a server does that is restarted at that moment.
class CuttingProxy {
 public:
  CuttingProxy(int server_port, int cuts) : server_port_(server_port), cuts_left_(cuts) {
    sockaddr_in address = LoopbackAddress(0);
    socklen_t size = sizeof(address);
    JETD_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    JETD_CHECK(listen(listener_, 16) == 0);
    JETD_CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    url_ = Cat("nats://127.0.0.1:", ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~CuttingProxy() {
    JETD_CHECK(eventfd_write(stop_, 1) == 0);
    thread_.join();
    close(listener_);
    close(stop_);
  }
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  [[nodiscard]] const std::string& url() const { return url_; }
  [[nodiscard]] int cuts_left() const { return cuts_left_; }

 private:
  struct Pair {
    int client, server;
    bool ended = false;
  };

  void Serve() {
    std::vector<Pair> pairs;
    while (true) {
      std::vector<pollfd> polled = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
      for (const Pair& pair : pairs) {
        polled.push_back({pair.client, POLLIN, 0});
        polled.push_back({pair.server, POLLIN, 0});
      }
      if (poll(polled.data(), polled.size(), -1) < 0) continue;
      const bool stop = polled[1].revents != 0;
      for (size_t i = 0; i < pairs.size(); ++i) {
        Pair& pair = pairs[i];
        if (polled[2 + 2 * i].revents != 0) pair.ended = !Forward(pair.client, pair.server);
        if (polled[3 + 2 * i].revents != 0 && !Forward(pair.server, pair.client)) pair.ended = true;
      }
      std::erase_if(pairs, [stop](const Pair& pair) {
        if (!pair.ended && !stop) return false;
        close(pair.client);
        close(pair.server);
        return true;
      });
      if (stop) return;
      if (polled[0].revents != 0) pairs.push_back(Accept());
    }
  }

  Pair Accept() const {
    const Pair pair{accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC),
                    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_in address = LoopbackAddress(server_port_);
    JETD_CHECK(connect(pair.server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
               0);
    return pair;
  }

  // False: the connection is over.
  bool Forward(int from, int to) {
    char buffer[64 << 10];
    const ssize_t n = read(from, buffer, sizeof(buffer));
    if (n <= 0) return false;
    const std::string_view text(buffer, static_cast<size_t>(n));
    if (cuts_left_ > 0 && text.find(kProbe) != text.npos) {
      --cuts_left_;
      return false;
    }
    return send(to, text.data(), text.size(), MSG_NOSIGNAL) == n;
  }

  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int stop_ = eventfd(0, EFD_CLOEXEC);
  const int server_port_;
  std::string url_;
  std::atomic<int> cuts_left_;
  std::thread thread_;
};

TEST(NatsLogProbeTest, LostConnectionsAreNotTakenForAShortControlLine) {
  const auto server = NatsTestServer::StartFrom("JETD_NATS_SERVER");
  if (server == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  const std::string url = server->url();
  CuttingProxy proxy(std::stoi(url.substr(url.rfind(':') + 1)), /*cuts=*/5);

  Loop loop;
  struct Observer : SilentObserver {
    explicit Observer(Loop* l) : loop(l) {}
    void OnConnected(const LogInfo& /*info*/) override {
      connected = true;
      loop->Stop();
    }
    Loop* loop;
    bool connected = false;
  } observer(&loop);
  NatsLogOptions options;
  options.endpoint = RotateEndpoints({proxy.url()}, {});
  options.stream.bucket = "b";
  options.min_backoff = std::chrono::milliseconds(1);
  NatsLog log(&loop, std::move(options));
  log.Open(&observer, [&](const absl::Status& why) {
    ADD_FAILURE() << why;
    loop.Stop();
  });
  loop.RunAfter(kFarTooLong, [&] { loop.Stop(); });
  loop.Run();
  EXPECT_TRUE(observer.connected);
  EXPECT_EQ(proxy.cuts_left(), 0);
}

}  // namespace
}  // namespace jetd::jetstream
