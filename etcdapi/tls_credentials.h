// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_TLS_CREDENTIALS_H_
#define JETD_ETCDAPI_TLS_CREDENTIALS_H_

#include <memory>
#include <string>

#include "etcdapi/certificate_files.h"
#include "etcdapi/peer_check.h"
#include "etcdapi/tls_files.h"
#include "grpcpp/security/server_credentials.h"

namespace jetd::etcdapi {

// What gRPC serves one port with, as long as the object lives: each new connection gets what the
// files hold then. `peers` may be null. Not for a second port: gRPC asks once for each.
//
// gRPC 1.51 lets nobody look into a handshake, so whom `peers` refuses can connect, and each of its
// calls ends with Unauthenticated; the calls that it has open when it is revoked go on.
[[nodiscard]] std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(
    const TlsFiles& files, std::shared_ptr<CertificateFiles> certificates,
    std::shared_ptr<PeerCheck> peers);

// gRPC 1.51 takes the ciphers from a variable of the process and knows no version, only that 1.2 is
// the least. Without a cipher of 1.2 that a client could choose, 1.3 is what is left: this is a
// list of one that needs a key shared beforehand, which nobody has.
inline constexpr char kNoCipherOf12[] = "PSK-AES256-GCM-SHA384";

// The value for that variable; empty: it is to be left alone.
[[nodiscard]] std::string CiphersFor(const TlsFiles& files);
// Sets it. Before gRPC is used, and before other threads run.
void LimitTls(const TlsFiles& files);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_TLS_CREDENTIALS_H_
