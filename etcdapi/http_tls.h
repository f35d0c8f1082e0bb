// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HTTP_TLS_H_
#define JETD_ETCDAPI_HTTP_TLS_H_

#include <openssl/ssl.h>

#include <memory>

#include "absl/status/statusor.h"
#include "etcdapi/listen_url.h"

namespace jetd::etcdapi {

struct FreeSslContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeSslContext>;

// What an HTTP server with these files needs, with the rules of the client port: TLS 1.2 and 1.3,
// and a certificate of the CA where one is given. FailedPrecondition with the flag and the file.
[[nodiscard]] absl::StatusOr<SslContext> MakeSslContext(const TlsFiles& files);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HTTP_TLS_H_
