// SPDX-License-Identifier: Apache-2.0
#include "rpc/listening_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/strings.h"

namespace jetd::rpc {
namespace {

constexpr int kBacklog = 4'096;
constexpr int kSocketFlags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

absl::Status ErrorOf(int error) {
  return MakeStatus(
      error == EADDRINUSE ? absl::StatusCode::kAlreadyExists : absl::StatusCode::kUnavailable,
      std::string_view(std::strerror(error)));
}

// A descriptor that is closed unless it is released.
class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() {
    if (fd_ >= 0) close(fd_);
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return address.ss_family == AF_INET6
             ? ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port)
             : ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

// Removes what is left of a socket that nobody listens on. 0 or an errno.
int MakeWay(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return errno == ENOENT ? 0 : errno;
  if (!S_ISSOCK(info.st_mode)) return EEXIST;
  const OwnedFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return errno;
  const int answer =
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  // EAGAIN: somebody listens, and has no room for us now.
  if (answer == 0 || errno == EAGAIN) return EADDRINUSE;
  return unlink(path.c_str()) == 0 || errno == ENOENT ? 0 : errno;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ListeningSocket>> ListeningSocket::OpenTcp(const std::string& host,
                                                                          int port) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return ErrorOf(EADDRNOTAVAIL);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
  // A name that stands for both is IPv4's, as etcd takes "localhost".
  const addrinfo* chosen = found;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_family != AF_INET) continue;
    chosen = one;
    break;
  }
  OwnedFd fd(socket(chosen->ai_family, kSocketFlags, 0));
  if (fd.get() < 0) return ErrorOf(errno);
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // "::" stands for IPv4 too, as gRPC and Go have it, whatever the system's default is.
  const int off = 0;
  if (chosen->ai_family == AF_INET6) {
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  if (bind(fd.get(), chosen->ai_addr, chosen->ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0) {
    return ErrorOf(errno);
  }
  const int bound = PortOf(fd.get());
  return std::unique_ptr<ListeningSocket>(new ListeningSocket(fd.Release(), bound, ""));
}

absl::StatusOr<std::unique_ptr<ListeningSocket>> ListeningSocket::OpenUnix(const std::string& path,
                                                                           Access access) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return ErrorOf(ENAMETOOLONG);
  path.copy(address.sun_path, path.size());
  if (const int error = MakeWay(path, address); error != 0) return ErrorOf(error);
  OwnedFd fd(socket(AF_UNIX, kSocketFlags, 0));
  if (fd.get() < 0) return ErrorOf(errno);
  // Before the file is there: Linux makes it with the mode of the socket, so that nobody else can
  // connect in between.
  if (access == Access::kOwner && fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0) return ErrorOf(errno);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrorOf(errno);
  }
  if (listen(fd.get(), kBacklog) != 0) {
    const int error = errno;
    unlink(path.c_str());
    return ErrorOf(error);
  }
  return std::unique_ptr<ListeningSocket>(new ListeningSocket(fd.Release(), 0, path));
}

ListeningSocket::~ListeningSocket() {
  if (!path_.empty()) unlink(path_.c_str());
  close(fd_);
}

}  // namespace jetd::rpc
