// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TLS_WIRE_H_
#define JETD_RPC_TLS_WIRE_H_

#include <openssl/ssl.h>

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "rpc/bounds.h"
#include "rpc/complaints.h"
#include "rpc/tls.h"
#include "rpc/wire.h"

namespace jetd::rpc {

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

// What a server speaks, and agrees upon with its clients by ALPN.
enum class Protocols {
  kHttp1AndHttp2,  // clients that offer both get HTTP/1.1: those of gRPC offer HTTP/2 alone
  kHttp1,
};

// What OpenSSL needs for a server with these certificates: TLS 1.2 and 1.3 or as `source` says, and
// a certificate of the CA where there is one. FailedPrecondition if they cannot be used.
[[nodiscard]] absl::StatusOr<std::unique_ptr<SSL_CTX, FreeSsl>> MakeTlsContext(
    const TlsSource& source, const TlsCertificates& certificates,
    Protocols protocols = Protocols::kHttp1AndHttp2);

// TlsContexts begins TLS with a server's clients. It asks its source for each of them, and keeps
// what OpenSSL has made of certificates as long as they are the same. It outlives the sessions, and
// one thread at a time calls it.
class TlsContexts {
 public:
  explicit TlsContexts(std::shared_ptr<TlsSource> source,
                       Protocols protocols = Protocols::kHttp1AndHttp2)
      : source_(std::move(source)), protocols_(protocols) {}

  // Looks whether the source has something new. An error: it cannot be used, and what there was
  // before stays.
  [[nodiscard]] absl::Status Renew();
  // A session that waits for its client's greeting. Null: there is nothing to answer it with.
  [[nodiscard]] std::unique_ptr<SSL, FreeSsl> Begin();
  // The same on a connected socket, which is taken over, also where null comes of it.
  [[nodiscard]] std::unique_ptr<Wire> Accept(int fd);
  // Right after a greeting has failed: says in the log whose and why, now and then. A client that
  // just went is none.
  void Complain(const SSL& ssl, int fd);

 private:
  const std::shared_ptr<TlsSource> source_;
  const Protocols protocols_;
  std::shared_ptr<const TlsCertificates> made_of_;
  std::unique_ptr<SSL_CTX, FreeSsl> context_;
  Complaints complaints_{kHandshakeComplaints};
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TLS_WIRE_H_
