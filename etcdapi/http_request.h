// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HTTP_REQUEST_H_
#define JETD_ETCDAPI_HTTP_REQUEST_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct evhttp_request;

namespace jetd::etcdapi {

struct HttpRequest {
  std::string method = {};  // "GET"
  std::string path = {};    // decoded, "/readyz"
  // Decoded, in order. A name without "=" has the value "".
  std::vector<std::pair<std::string, std::string>> query = {};

  [[nodiscard]] bool Has(std::string_view name) const;
  [[nodiscard]] std::string First(std::string_view name) const;
  // All values of `name` that are not empty.
  [[nodiscard]] std::vector<std::string> All(std::string_view name) const;
};

// As libevent has read it. The thread whose the request is.
[[nodiscard]] HttpRequest RequestOf(evhttp_request* request);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HTTP_REQUEST_H_
