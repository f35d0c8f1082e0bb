// SPDX-License-Identifier: Apache-2.0
//
// The HTTP server in a process that has no descriptor left, or no room to watch one.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/testing/no_watches.h"
#include "base/testing/sanitizers.h"
#include "etcdapi/http_server.h"
#include "etcdapi/testing/raw_http_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using ::testing::EndsWith;

std::unique_ptr<HttpServer> Serve(std::vector<ListenUrl> urls) {
  auto server = HttpServer::Listen({.urls = std::move(urls)});
  JETD_CHECK(server.ok()) << server.status();
  (*server)->Start([](const HttpRequest& request, const HttpServer::ReplyFn& reply) {
    reply({.body = Cat(request.method, " ", request.path)});
  });
  return *std::move(server);
}

// From here to its end no descriptor is left to the process.
class NoDescriptors {
 public:
  // But for so many.
  explicit NoDescriptors(int left) {
    JETD_CHECK(getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const int next = dup(STDERR_FILENO);
    close(next);
    const rlimit none{.rlim_cur = static_cast<rlim_t>(next + left), .rlim_max = before_.rlim_max};
    JETD_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

// What the process says to stderr.
class Said {
 public:
  Said() : before_(dup(STDERR_FILENO)) {
    JETD_CHECK(pipe2(ends_, O_CLOEXEC) == 0 && dup2(ends_[1], STDERR_FILENO) == STDERR_FILENO);
    close(ends_[1]);
  }
  ~Said() { close(ends_[0]); }
  Said(const Said&) = delete;
  Said& operator=(const Said&) = delete;

  void WaitFor(std::string_view text) {
    while (all_.find(text) == all_.npos && Read()) {
    }
  }
  // To the end, which is now.
  [[nodiscard]] std::string All() {
    JETD_CHECK(dup2(before_, STDERR_FILENO) == STDERR_FILENO);
    close(before_);
    while (Read()) {
    }
    return all_;
  }

 private:
  bool Read() {
    char buffer[4096];
    const ssize_t got = read(ends_[0], buffer, sizeof(buffer));
    if (got > 0) all_.append(buffer, static_cast<size_t>(got));
    return got > 0;
  }

  const int before_;
  int ends_[2] = {-1, -1};
  std::string all_;
};

int Count(const std::string& text, std::string_view part) {
  int count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++count;
  return count;
}

class HttpWithoutDescriptorsTest : public ::testing::Test {
 protected:
  // UBSan looks at an object's type through a pipe, and takes it for a wrong one without.
  void SetUp() override {
    if (kAddressSanitized) GTEST_SKIP() << "needs every descriptor";
    log::Init({.level = log::Level::kWarn});
  }
};

// Who connects waits, and the thread sleeps meanwhile.
TEST_F(HttpWithoutDescriptorsTest, WhoConnectsWaits) {
  constexpr char kLine[] = "no descriptor is left for a client's HTTP request";
  Said said;
  const auto server = Serve({ParseListenUrl("http://127.0.0.1:0").value()});
  auto none = std::make_unique<NoDescriptors>(1);
  const RawHttpClient client(server->port(0));  // has the last one
  client.Send("GET /a HTTP/1.1\r\n\r\n");
  said.WaitFor(kLine);
  none.reset();
  EXPECT_THAT(client.ReadAll(), EndsWith("GET /a"));
  EXPECT_EQ(Count(said.All(), kLine), 1);
}

// The first one on the client port, which would make the thread.
TEST_F(HttpWithoutDescriptorsTest, TheFirstClientIsClosed) {
  Said said;
  const auto server = Serve({});
  {
    auto few = std::make_unique<NoDescriptors>(4);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(RawHttpClient(server.get(), "GET / HTTP/1.1\r\n\r\n").ReadAll(), "");
    }
  }
  EXPECT_EQ(Count(said.All(), "a client's HTTP request is not taken"), 1) << "not for each";
  EXPECT_THAT(RawHttpClient(server.get(), "GET /b HTTP/1.1\r\n\r\n").ReadAll(), EndsWith("GET /b"));
}

// The listener rests while there is no descriptor, and may find no room to be watched again.
TEST_F(HttpWithoutDescriptorsTest, WhoConnectsWaitsForTheListenerToo) {
  Said said;
  const auto server = Serve({ParseListenUrl("http://127.0.0.1:0").value()});
  auto none = std::make_unique<NoDescriptors>(1);
  const RawHttpClient client(server->port(0));
  client.Send("GET /a HTTP/1.1\r\n\r\n");
  said.WaitFor("no descriptor is left for a client's HTTP request");
  auto no_watches = std::make_unique<NoWatches>();
  while (no_watches->refused() == 0) std::this_thread::yield();
  none.reset();
  no_watches.reset();
  EXPECT_THAT(client.ReadAll(), EndsWith("GET /a"));
  (void)said.All();
}

// … where the system has descriptors, and no room to watch one.
TEST(HttpWithoutWatchesTest, TheFirstClientIsClosed) {
  const auto server = Serve({});
  {
    const NoWatches none;
    EXPECT_EQ(RawHttpClient(server.get(), "GET / HTTP/1.1\r\n\r\n").ReadAll(), "");
  }
  EXPECT_THAT(RawHttpClient(server.get(), "GET /b HTTP/1.1\r\n\r\n").ReadAll(), EndsWith("GET /b"));
}

}  // namespace
}  // namespace jetd::etcdapi
