// SPDX-License-Identifier: Apache-2.0
#include "base/testing/free_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <random>
#include <string>

#include "base/check.h"
#include "base/mutex.h"
#include "base/strings.h"

namespace jetd {
namespace {

constexpr int kFirst = 10'000;
constexpr int kTries = 10'000;

// Below those that the system gives away.
int Last() {
  int first_given = 32'768;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first_given;
  JETD_CHECK(first_given > kFirst + 1'000) << "no ports are left to tests below " << first_given;
  return first_given - 1;
}

bool IsFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  JETD_CHECK(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return free;
}

// Takes the port's name among the local sockets that have a name and no file: they belong to a
// network namespace, as ports do, and are free again when the process is gone, however it ends.
bool Reserve(int port) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  JETD_CHECK(fd >= 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = Cat("jetd-test-port-", port);
  name.copy(address.sun_path + 1, name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) return true;  // and stays open
  close(fd);
  return false;
}

struct Ports {
  Mutex mutex;
  std::mt19937 random ABSL_GUARDED_BY(mutex){std::random_device()()};
};

}  // namespace

int FreePort() {
  static auto* const ports = new Ports;  // at the end of the process too
  static const int last = Last();
  const MutexLock lock(ports->mutex);
  std::uniform_int_distribution<int> any(kFirst, last);
  int port = 0;
  int tries = 0;
  do {
    JETD_CHECK(++tries < kTries) << "no free port";
    port = any(ports->random);
  } while (!Reserve(port) || !IsFree(port));
  return port;
}

}  // namespace jetd
