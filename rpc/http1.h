// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_HTTP1_H_
#define JETD_RPC_HTTP1_H_

#include <functional>
#include <string>

struct ssl_st;  // OpenSSL's SSL

namespace jetd::rpc {

// A client that speaks HTTP/1 where gRPC is served: etcd answers /version, /health and /metrics
// there. Whoever gets it owns the descriptor, which is non-blocking, and the session.
struct Http1Client {
  int fd = -1;
  ssl_st* ssl = nullptr;  // null: no TLS. Its handshake is done
  std::string received;   // what was read so far, decrypted
};
// Engine thread.
using Http1Handler = std::function<void(Http1Client client)>;

}  // namespace jetd::rpc

#endif  // JETD_RPC_HTTP1_H_
