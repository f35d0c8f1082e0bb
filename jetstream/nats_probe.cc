// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_probe.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>

#include "nlohmann/json.hpp"

namespace jetd::jetstream {
namespace {

constexpr size_t kMaxInfoBytes = 64 << 10;
constexpr std::string_view kInfo = "INFO ";

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

absl::Status Failed(const char* what) {
  return absl::UnavailableError(std::string("server version not seen: ") + what);
}

}  // namespace

absl::StatusOr<std::string> ProbeServerVersion(int connected_fd,
                                               std::chrono::milliseconds timeout) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(connected_fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return Failed("no address");
  }
  const Descriptor fd(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return Failed("no socket");
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 && errno != EINPROGRESS) {
    return Failed("no connection");
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::string line;
  while (line.find('\n') == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd waiting{.fd = fd.get(), .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) {
      return Failed("the server is silent");
    }
    char buffer[4096];
    const ssize_t n = recv(fd.get(), buffer, sizeof(buffer), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) return Failed("the server hung up");
    line.append(buffer, static_cast<size_t>(n));
    if (line.size() > kMaxInfoBytes || line.compare(0, kInfo.size(), kInfo, 0, line.size()) != 0) {
      return Failed("not a line of a nats-server");
    }
  }
  const auto info = nlohmann::json::parse(line.begin() + kInfo.size(),
                                          line.begin() + static_cast<ptrdiff_t>(line.find('\n')),
                                          /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!info.is_object() || !info.contains("version") || !info["version"].is_string()) {
    return Failed("no version in its first line");
  }
  return info["version"].get<std::string>();
}

bool VersionAtLeast(const std::string& version, int major, int minor) {
  int have_major = 0;
  int have_minor = 0;
  if (std::sscanf(version.c_str(), "%d.%d", &have_major, &have_minor) != 2) return false;
  return have_major > major || (have_major == major && have_minor >= minor);
}

}  // namespace jetd::jetstream
