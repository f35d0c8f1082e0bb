// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HTTP_TLS_H_
#define JETD_ETCDAPI_HTTP_TLS_H_

#include <openssl/ssl.h>

#include <memory>

#include "absl/status/statusor.h"
#include "etcdapi/certificate_files.h"
#include "etcdapi/peer_check.h"
#include "etcdapi/tls_files.h"

namespace jetd::etcdapi {

struct FreeSslContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeSslContext>;

// What an HTTP server with these certificates needs, with the rules of the client port: TLS 1.2 and
// 1.3 or as `files` says, and a certificate of the CA where there is one, of a client that `peers`
// lets in; `peers` may be null and outlives the context. FailedPrecondition if they cannot be used.
[[nodiscard]] absl::StatusOr<SslContext> MakeSslContext(const TlsFiles& files,
                                                        const Certificates& certificates,
                                                        PeerCheck* peers);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HTTP_TLS_H_
