// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>

#include "jetstream/nats_endpoint.h"
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

// The object of the first line that a server sends.
absl::StatusOr<nlohmann::json> ReadInfo(const sockaddr* address, socklen_t size,
                                        std::chrono::milliseconds timeout) {
  const Descriptor fd(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return Failed("no socket");
  if (connect(fd.get(), address, size) != 0 && errno != EINPROGRESS) {
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
  auto info = nlohmann::json::parse(line.begin() + kInfo.size(),
                                    line.begin() + static_cast<ptrdiff_t>(line.find('\n')),
                                    /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!info.is_object()) return Failed("its first line says nothing");
  return info;
}

}  // namespace

absl::StatusOr<std::string> ProbeServerVersion(int connected_fd,
                                               std::chrono::milliseconds timeout) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(connected_fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return Failed("no address");
  }
  const auto info = ReadInfo(reinterpret_cast<const sockaddr*>(&address), size, timeout);
  if (!info.ok()) return info.status();
  const auto version = info->find("version");
  if (version == info->end() || !version->is_string()) {
    return Failed("no version in its first line");
  }
  return version->get<std::string>();
}

std::string AddressOf(const std::string& url) {
  std::string address = UrlWithoutSecrets(url);
  const size_t scheme = address.find("://");
  if (scheme != std::string::npos) address.erase(0, scheme + 3);
  while (address.ends_with('/')) address.pop_back();
  // The colons of an IPv6 address stand in brackets.
  const size_t colon = address.rfind(':');
  const bool has_port = colon != std::string::npos && address.find(']', colon) == std::string::npos;
  return has_port ? address : address + ":4222";
}

absl::StatusOr<NatsServerName> ProbeServerName(const std::string& url,
                                               std::chrono::milliseconds timeout) {
  const std::string address = AddressOf(url);
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.c_str() + colon + 1, &wanted, &found) != 0) {
    return Failed("its name has no address");
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, &freeaddrinfo);
  absl::StatusOr<nlohmann::json> info = Failed("no address");
  for (const addrinfo* one = found; one != nullptr && !info.ok(); one = one->ai_next) {
    info = ReadInfo(one->ai_addr, one->ai_addrlen, timeout);
  }
  if (!info.ok()) return info.status();
  NatsServerName name;
  const auto id = info->find("server_id");
  if (id != info->end() && id->is_string()) name.id = id->get<std::string>();
  const auto urls = info->find("connect_urls");
  if (urls == info->end() || !urls->is_array()) return name;
  for (const auto& one : *urls) {
    if (one.is_string()) name.addresses.push_back(one.get<std::string>());
  }
  return name;
}

bool VersionAtLeast(const std::string& version, int major, int minor) {
  int have_major = 0;
  int have_minor = 0;
  if (std::sscanf(version.c_str(), "%d.%d", &have_major, &have_minor) != 2) return false;
  return have_major > major || (have_major == major && have_minor >= minor);
}

}  // namespace jetd::jetstream
