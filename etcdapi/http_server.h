// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HTTP_SERVER_H_
#define JETD_ETCDAPI_HTTP_SERVER_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/limits.h"
#include "etcdapi/http_request.h"
#include "etcdapi/listen_url.h"
#include "rpc/http1.h"

namespace jetd::etcdapi {

struct HttpReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  // Instead of `body`, if set: called on the server's thread, where a long one holds up nobody
  // else.
  std::function<std::string()> make_body = {};
};

// HttpServer serves what probes and collectors ask for: HTTP/1.1, one request a connection, nothing
// that is stored. It listens on its own URLs, and takes clients that came to the client port. One
// thread, which is there once there are URLs or a client was taken, and sleeps until a request
// comes; the work is libevent's, TLS is OpenSSL's (docs/adr/0026).
//
// Bounds (base/limits.h): connections at a time, the size of a request, the time from a
// connection's start to its end. A client that is slow costs a descriptor for that time and
// nobody's patience: those of the client port are counted apart, so that they keep nobody from the
// URLs, and give way to newcomers while they ask nothing. Without descriptors clients of the URLs
// wait, and those of the client port are closed.
//
// Thread rules: Listen, Start, Stop and the destructor on one thread.
class HttpServer {
 public:
  // Called once, on any thread; after Stop it does nothing.
  using ReplyFn = std::function<void(HttpReply)>;
  // Runs on the server's thread and does not block.
  using Handler = std::function<void(const HttpRequest& request, ReplyFn reply)>;

  struct Options {
    std::vector<ListenUrl> urls = {};  // of TCP; none: only clients that are taken
    TlsFiles tls = {};                 // for those with TLS
    int max_connections = limits::kMaxHttpConnections;
    // A handler that has not replied until then: 503.
    std::chrono::milliseconds patience = limits::kHttpPatience;
    std::chrono::milliseconds max_life = limits::kHttpConnectionLife;
  };

  // Reads the certificates and binds: from here on connections wait. One line if something is
  // wrong: FailedPrecondition with the flag and the file, Unavailable with the URL and the system's
  // word.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(Options options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // The port of URL number `i`; before Stop.
  [[nodiscard]] int port(size_t i) const;
  void Start(Handler handler);
  // Serves a client whose TLS handshake, if any, is done. Beyond max_connections of them the oldest
  // that has not asked yet, or has its answer and does not take it, is closed for this one. It is
  // closed itself if there is none, if it does not begin with a method, before Start and after
  // Stop, and where nothing is left to serve it with. Any thread; does not block.
  void Take(rpc::Http1Client client);
  // Ends all connections, and listens no more. No handler runs after it.
  void Stop();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HTTP_SERVER_H_
