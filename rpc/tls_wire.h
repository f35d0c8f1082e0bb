// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TLS_WIRE_H_
#define JETD_RPC_TLS_WIRE_H_

#include <openssl/ssl.h>

#include <memory>

#include "absl/status/statusor.h"
#include "rpc/tls.h"
#include "rpc/wire.h"

namespace jetd::rpc {

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

// What OpenSSL needs for a server with these certificates: TLS 1.2 and 1.3 or as `source` says,
// HTTP/2 or 1.1 by ALPN, and a certificate of the CA where there is one. FailedPrecondition if they
// cannot be used.
[[nodiscard]] absl::StatusOr<std::unique_ptr<SSL_CTX, FreeSsl>> MakeTlsContext(
    const TlsSource& source, const TlsCertificates& certificates);

// TlsContexts begins TLS with the clients of one listening socket. It asks its source for each of
// them, and keeps what OpenSSL has made of certificates as long as they are the same. Engine
// thread.
class TlsContexts {
 public:
  explicit TlsContexts(std::shared_ptr<TlsSource> source) : source_(std::move(source)) {}

  // Takes over a connected socket, also where there is nothing to greet it with: then null.
  [[nodiscard]] std::unique_ptr<Wire> Accept(int fd);

 private:
  const std::shared_ptr<TlsSource> source_;
  std::shared_ptr<const TlsCertificates> made_of_;
  std::unique_ptr<SSL_CTX, FreeSsl> context_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TLS_WIRE_H_
