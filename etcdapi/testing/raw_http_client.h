// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_TESTING_RAW_HTTP_CLIENT_H_
#define JETD_ETCDAPI_TESTING_RAW_HTTP_CLIENT_H_

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "base/check.h"
#include "etcdapi/http_server.h"

namespace jetd::etcdapi {

// A connection by hand, for what a proper client does not do.
class RawHttpClient {
 public:
  explicit RawHttpClient(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    JETD_CHECK(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }
  // Whose other end the server takes, as one of which `received` was read already.
  RawHttpClient(HttpServer* server, const std::string& received)
      : RawHttpClient(server, received, Pair()) {}
  ~RawHttpClient() { close(fd_); }
  RawHttpClient(const RawHttpClient&) = delete;
  RawHttpClient& operator=(const RawHttpClient&) = delete;

  void Send(const std::string& text) const {
    JETD_CHECK(send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(text.size()));
  }
  // All that comes until the server ends the connection.
  [[nodiscard]] std::string ReadAll() const {
    std::string all;
    char buffer[4096];
    for (ssize_t got = 0; (got = recv(fd_, buffer, sizeof(buffer), 0)) > 0;) {
      all.append(buffer, static_cast<size_t>(got));
    }
    return all;
  }

 private:
  RawHttpClient(HttpServer* server, const std::string& received, std::pair<int, int> ends)
      : fd_(ends.first) {
    server->Take({.fd = ends.second, .received = received});
  }
  static std::pair<int, int> Pair() {
    int ends[2];
    JETD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    JETD_CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    return {ends[0], ends[1]};
  }

  const int fd_;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_TESTING_RAW_HTTP_CLIENT_H_
