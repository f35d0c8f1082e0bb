// SPDX-License-Identifier: Apache-2.0
#include "rpc/wire.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace jetd::rpc {
namespace {

class PlainWire final : public Wire {
 public:
  explicit PlainWire(int fd) : fd_(fd) {}
  ~PlainWire() override {
    if (fd_ >= 0) close(fd_);
  }

  [[nodiscard]] int fd() const override { return fd_; }
  [[nodiscard]] bool greets() const override { return false; }
  [[nodiscard]] Greeting Greet() override { return Greeting::kDone; }

  [[nodiscard]] ssize_t Receive(char* to, size_t most) override {
    const ssize_t got = recv(fd_, to, most, 0);
    if (got > 0) return got;
    return got < 0 && IsForNow(errno) ? 0 : -1;
  }
  [[nodiscard]] ssize_t Send(const iovec* pieces, int count) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces);
    message.msg_iovlen = static_cast<size_t>(count);
    const ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    return IsForNow(errno) ? 0 : -1;
  }
  [[nodiscard]] bool has_more() const override { return false; }
  [[nodiscard]] bool wants_writable() const override { return false; }
  void Leave() override { shutdown(fd_, SHUT_WR); }
  [[nodiscard]] Http1Client Release() override { return {.fd = std::exchange(fd_, -1)}; }

 private:
  static bool IsForNow(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
  }

  int fd_;
};

}  // namespace

std::unique_ptr<Wire> Wire::Plain(int fd) { return std::make_unique<PlainWire>(fd); }

}  // namespace jetd::rpc
