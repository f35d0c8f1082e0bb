// SPDX-License-Identifier: Apache-2.0
#include "rpc/tls_wire.h"

#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "base/strings.h"

namespace jetd::rpc {
namespace {

constexpr size_t kRecordBytes = 16'384;  // the most that TLS has in one

bool IsForNow(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

int FdOf(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

// OpenSSL's own way to a socket raises SIGPIPE where the client is gone; this one does not.
int WriteToSocket(BIO* bio, const char* data, int bytes) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent =
      send(FdOf(bio), data, static_cast<size_t>(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && IsForNow(errno)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int ReadFromSocket(BIO* bio, char* to, int most) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = recv(FdOf(bio), to, static_cast<size_t>(most), MSG_DONTWAIT);
  if (got < 0 && IsForNow(errno)) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

long ControlSocket(BIO* bio, int command, long /*number*/, void* pointer) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command != BIO_C_GET_FD) return 0;
  if (pointer != nullptr) *static_cast<int*>(pointer) = FdOf(bio);
  return FdOf(bio);
}

// The method is made once, and never freed. Null: out of memory.
BIO* SocketBio(int fd) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "socket");
    JETD_CHECK(made != nullptr) << "BIO_meth_new";
    BIO_meth_set_write(made, &WriteToSocket);
    BIO_meth_set_read(made, &ReadFromSocket);
    BIO_meth_set_ctrl(made, &ControlSocket);
    return made;
  }();
  BIO* const bio = BIO_new(method);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
  BIO_set_init(bio, 1);
  return bio;
}

// " from 127.0.0.1:4711"; "" of one that has no address.
std::string WhereFrom(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (getpeername(fd, any, &size) != 0 || address.ss_family == AF_UNIX ||
      getnameinfo(any, size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "";
  }
  const bool brackets = address.ss_family == AF_INET6;
  return Cat(" from ", brackets ? "[" : "", host, brackets ? "]:" : ":", port);
}

// TLS on a non-blocking socket. OpenSSL may want the socket writable to read, and the other way
// round; wants_writable says so.
class TlsWire final : public Wire {
 public:
  TlsWire(int fd, std::unique_ptr<SSL, FreeSsl> ssl, std::shared_ptr<TlsSource> source,
          TlsContexts* contexts)
      : fd_(fd), ssl_(std::move(ssl)), source_(std::move(source)), contexts_(contexts) {}
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
    if (ForNow(result)) return Greeting::kGoesOn;
    contexts_->Complain(*ssl_, fd_);
    return Greeting::kFailed;
  }

  [[nodiscard]] Status Admit() override {
    X509* const leaf = SSL_get0_peer_certificate(ssl_.get());
    if (leaf == nullptr) return {};
    const absl::Status status = source_->CheckCall(leaf, SSL_get_peer_cert_chain(ssl_.get()));
    if (status.ok()) return {};
    return {Code::kUnauthenticated, std::string(MessageOf(status))};
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
  TlsContexts* const contexts_;
  bool wants_writable_ = false;
  bool has_more_ = false;
  bool ended_ = false;
};

}  // namespace

absl::Status TlsContexts::Renew() {
  auto current = source_->Current();
  if (current == made_of_) return absl::OkStatus();
  made_of_ = std::move(current);
  auto made = MakeTlsContext(*source_, *made_of_, protocols_);
  if (!made.ok()) return made.status();
  // Sessions hold the one that they began with.
  context_ = *std::move(made);
  return absl::OkStatus();
}

std::unique_ptr<SSL, FreeSsl> TlsContexts::Begin() {
  if (const absl::Status status = Renew(); !status.ok()) {
    log::Warn("certificates cannot be used for new connections: {}", MessageOf(status));
  }
  std::unique_ptr<SSL, FreeSsl> ssl(context_ == nullptr ? nullptr : SSL_new(context_.get()));
  if (ssl == nullptr) return nullptr;
  SSL_set_accept_state(ssl.get());
  SSL_set_app_data(ssl.get(), source_.get());
  return ssl;
}

void TlsContexts::Complain(const SSL& ssl, int fd) {
  const auto first = ERR_peek_error();
  const auto verified = SSL_get_verify_result(&ssl);
  if (first == 0 || ERR_GET_REASON(first) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return;
  // Whom the source refuses, it has told of.
  if (verified == X509_V_ERR_APPLICATION_VERIFICATION) return;
  if (!complaints_.Due(std::chrono::steady_clock::now().time_since_epoch())) return;
  const char* const reason = ERR_reason_error_string(first);
  const std::string why = Cat(reason == nullptr ? "TLS" : reason, verified == X509_V_OK ? "" : ": ",
                              verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified));
  log::Warn("a connection{} is refused at its TLS handshake: {}{}", WhereFrom(fd),
            log::As("reason", why), log::Event("client_refused"));
}

std::unique_ptr<Wire> TlsContexts::Accept(int fd) {
  std::unique_ptr<SSL, FreeSsl> ssl = Begin();
  BIO* const bio = ssl == nullptr ? nullptr : SocketBio(fd);
  if (bio == nullptr) {
    close(fd);
    return nullptr;
  }
  SSL_set_bio(ssl.get(), bio, bio);
  return std::make_unique<TlsWire>(fd, std::move(ssl), source_, this);
}

}  // namespace jetd::rpc
