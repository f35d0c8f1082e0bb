// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/http_request.h"

#include <event2/http.h>

#include "etcdapi/url_query.h"

namespace jetd::etcdapi {
namespace {

const char* NameOf(evhttp_cmd_type method) {
  switch (method) {
    case EVHTTP_REQ_GET:
      return "GET";
    case EVHTTP_REQ_HEAD:
      return "HEAD";
    case EVHTTP_REQ_POST:
      return "POST";
    case EVHTTP_REQ_PUT:
      return "PUT";
    case EVHTTP_REQ_DELETE:
      return "DELETE";
    default:
      return "OTHER";
  }
}

}  // namespace

HttpRequest RequestOf(evhttp_request* request) {
  HttpRequest out;
  out.method = NameOf(evhttp_request_get_command(request));
  const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
  const char* path = evhttp_uri_get_path(uri);
  out.path = Decoded(path == nullptr ? "" : path, Plus::kItself);
  out.query = QueryOf(evhttp_uri_get_query(uri));
  return out;
}

bool HttpRequest::Has(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return true;
  }
  return false;
}

std::string HttpRequest::First(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return "";
}

std::vector<std::string> HttpRequest::All(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : query) {
    if (key == name && !value.empty()) values.push_back(value);
  }
  return values;
}

}  // namespace jetd::etcdapi
