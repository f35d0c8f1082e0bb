// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_TESTING_HTTP_GET_H_
#define JETD_ETCDAPI_TESTING_HTTP_GET_H_

#include <map>
#include <string>

namespace jetd::etcdapi {

struct HttpAnswer {
  int status = 0;  // 0: none came
  std::map<std::string, std::string> headers;
  std::string body;
};

struct HttpAsk {
  int port = 0;  // of 127.0.0.1
  std::string path = {};
  std::string method = "GET";
  std::map<std::string, std::string> headers = {};
  // With a CA: over TLS, whose certificate it signed. `cert_file` and `key_file` are the client's.
  std::string ca_file = {}, cert_file = {}, key_file = {};
};

// Asks once, on a connection of its own. Blocks, up to a minute. Any thread.
[[nodiscard]] HttpAnswer Get(const HttpAsk& ask);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_TESTING_HTTP_GET_H_
