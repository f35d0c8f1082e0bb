// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TLS_H_
#define JETD_RPC_TLS_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/status.h"

namespace jetd::rpc {

// A server's certificate chain and key, and the CA of its clients ("": none is asked for). PEM.
struct TlsCertificates {
  std::string cert, key, ca;

  bool operator==(const TlsCertificates&) const = default;
};

enum class TlsVersion { k12, k13 };

// TlsSource is what a listening socket's TLS is made of. One thread at a time: the engine's, or of
// HTTP's own URLs the HTTP server's.
class TlsSource {
 public:
  virtual ~TlsSource() = default;
  TlsSource(const TlsSource&) = delete;
  TlsSource& operator=(const TlsSource&) = delete;

  // Asked for each new connection. Never null; the same object as before while nothing has changed.
  [[nodiscard]] virtual std::shared_ptr<const TlsCertificates> Current() = 0;
  // At the handshake, of a client whose certificate is of the CA: whether it is let in. `chain` is
  // what the client has sent; it may hold the leaf too, and may be null.
  [[nodiscard]] virtual absl::Status Check(X509* leaf, const STACK_OF(X509) * chain) = 0;
  // For each call on a connection: whether its client is still welcome. Its words are the answer
  // (UNAUTHENTICATED).
  [[nodiscard]] virtual absl::Status CheckCall(X509* leaf, const STACK_OF(X509) * chain) = 0;
  [[nodiscard]] virtual TlsVersion min_version() const = 0;
  [[nodiscard]] virtual TlsVersion max_version() const = 0;
  // Of TLS 1.2, as OpenSSL lists them; "": the library's.
  [[nodiscard]] virtual const std::string& ciphers() const = 0;

 protected:
  TlsSource() = default;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TLS_H_
