// SPDX-License-Identifier: Apache-2.0
#include "rpc/tls_wire.h"

#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"

namespace jetd::rpc {
namespace {

constexpr size_t kRecordBytes = 16'384;  // the most that TLS has in one

// TLS on a non-blocking socket. OpenSSL may want the socket writable to read, and the other way
// round; wants_writable says so.
class TlsWire final : public Wire {
 public:
  TlsWire(int fd, std::unique_ptr<SSL, FreeSsl> ssl, std::shared_ptr<TlsSource> source)
      : fd_(fd), ssl_(std::move(ssl)), source_(std::move(source)) {}
  ~TlsWire() override {
    // Freed first: it refers to the descriptor.
    ssl_.reset();
    if (fd_ >= 0) close(fd_);
  }

  [[nodiscard]] int fd() const override { return fd_; }
  [[nodiscard]] bool greets() const override { return true; }

  [[nodiscard]] Greeting Greet() override {
    ERR_clear_error();
    const int result = SSL_accept(ssl_.get());
    if (result == 1) {
      wants_writable_ = false;
      has_more_ = true;  // the client's first words may have come along with its last of these
      return Greeting::kDone;
    }
    return ForNow(result) ? Greeting::kGoesOn : Greeting::kFailed;
  }

  [[nodiscard]] ssize_t Receive(char* to, size_t most) override {
    size_t got = 0;
    has_more_ = false;
    while (got < most && !ended_) {
      ERR_clear_error();
      const int part = SSL_read(ssl_.get(), to + got, static_cast<int>(most - got));
      if (part <= 0) {
        ended_ = !ForNow(part);
        if (ended_ && got == 0) return -1;
        return static_cast<ssize_t>(got);
      }
      got += static_cast<size_t>(part);
    }
    if (got == 0) return -1;
    has_more_ = true;
    return static_cast<ssize_t>(got);
  }

  [[nodiscard]] ssize_t Send(const iovec* pieces, int count) override {
    std::array<char, kRecordBytes> gathered;
    size_t sent = 0;
    size_t offset = 0;  // in pieces[0]
    while (count > 0) {
      const std::string_view record = Gather(pieces, count, offset, &gathered);
      ERR_clear_error();
      const int part = SSL_write(ssl_.get(), record.data(), static_cast<int>(record.size()));
      if (part <= 0) {
        if (!ForNow(part)) return -1;
        break;
      }
      sent += static_cast<size_t>(part);
      offset += static_cast<size_t>(part);
      while (count > 0 && offset >= pieces->iov_len) {
        offset -= pieces->iov_len;
        ++pieces;
        --count;
      }
    }
    return static_cast<ssize_t>(sent);
  }

  [[nodiscard]] bool has_more() const override { return has_more_ || ended_; }
  [[nodiscard]] bool wants_writable() const override { return wants_writable_; }
  void Leave() override {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    shutdown(fd_, SHUT_WR);
  }
  [[nodiscard]] Http1Client Release() override {
    return {.fd = std::exchange(fd_, -1), .ssl = ssl_.release()};
  }

 private:
  // One record's worth. The same bytes come first when OpenSSL has to be asked again.
  static std::string_view Gather(const iovec* pieces, int count, size_t offset,
                                 std::array<char, kRecordBytes>* to) {
    const std::string_view first(static_cast<const char*>(pieces->iov_base) + offset,
                                 pieces->iov_len - offset);
    if (count == 1 || first.size() >= kRecordBytes) return first.substr(0, kRecordBytes);
    size_t size = 0;
    for (int i = 0; i < count && size < kRecordBytes; ++i, offset = 0) {
      const size_t part = std::min(pieces[i].iov_len - offset, kRecordBytes - size);
      std::memcpy(to->data() + size, static_cast<const char*>(pieces[i].iov_base) + offset, part);
      size += part;
    }
    return {to->data(), size};
  }

  // True if it goes on when the socket is ready.
  bool ForNow(int result) {
    const int error = SSL_get_error(ssl_.get(), result);
    wants_writable_ = error == SSL_ERROR_WANT_WRITE;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }

  int fd_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  const std::shared_ptr<TlsSource> source_;
  bool wants_writable_ = false;
  bool has_more_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Wire> TlsContexts::Accept(int fd) {
  auto current = source_->Current();
  if (current != made_of_) {
    auto made = MakeTlsContext(*source_, *current);
    if (made.ok()) {
      context_ = *std::move(made);
    } else {
      log::Warn("certificates cannot be used for new connections: {}", MessageOf(made.status()));
    }
    made_of_ = std::move(current);
  }
  std::unique_ptr<SSL, FreeSsl> ssl(context_ == nullptr ? nullptr : SSL_new(context_.get()));
  if (ssl == nullptr || SSL_set_fd(ssl.get(), fd) != 1) {
    close(fd);
    return nullptr;
  }
  SSL_set_accept_state(ssl.get());
  SSL_set_app_data(ssl.get(), source_.get());
  return std::make_unique<TlsWire>(fd, std::move(ssl), source_);
}

}  // namespace jetd::rpc
