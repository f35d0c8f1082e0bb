// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/service_notice.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

// A service manager's end, under a name that is no file's.
class Manager {
 public:
  explicit Manager(const std::string& name) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(name.begin(), name.end(), address.sun_path + 1);
    const int bound =
        bind(fd_, reinterpret_cast<const sockaddr*>(&address),
             static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size()));
    JETD_CHECK(fd_ >= 0 && bound == 0) << "a socket of the test";
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager() { close(fd_); }

  // What came first; empty: nothing has come.
  [[nodiscard]] std::string Heard() const {
    char buffer[64];
    const ssize_t got = recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
    return got <= 0 ? std::string() : std::string(buffer, static_cast<size_t>(got));
  }

 private:
  const int fd_;
};

TEST(ServiceNoticeTest, ReachesTheManager) {
  const std::string name = Cat("jetd-service-notice-", getpid());
  const Manager manager(name);
  setenv("NOTIFY_SOCKET", Cat("@", name).c_str(), 1);
  TellServiceManager(kNoticeReady);
  TellServiceManager(kNoticeStopping);
  EXPECT_EQ(manager.Heard(), "READY=1");
  EXPECT_EQ(manager.Heard(), "STOPPING=1");
  unsetenv("NOTIFY_SOCKET");
  TellServiceManager(kNoticeReady);
  EXPECT_EQ(manager.Heard(), "");
}

TEST(ServiceNoticeTest, WithoutAManagerNothingHappens) {
  for (const std::string& value : {std::string(), std::string("@"), std::string("relative"),
                                   std::string("/no/such/socket"), "/" + std::string(200, 'x')}) {
    setenv("NOTIFY_SOCKET", value.c_str(), 1);
    TellServiceManager(kNoticeReady);
  }
  unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace jetd::etcdapi
