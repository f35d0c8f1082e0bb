// SPDX-License-Identifier: Apache-2.0
#include "cli/web_page.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/strings.h"

namespace jetd::cli {
namespace {

constexpr int kPatienceSeconds = 30;

struct Free {
  void operator()(event_base* base) const { event_base_free(base); }
  void operator()(evhttp_connection* connection) const { evhttp_connection_free(connection); }
  void operator()(evhttp_uri* uri) const { evhttp_uri_free(uri); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

struct Answer {
  int status = 0;  // 0: none came
  std::string body;
};

void OnAnswer(evhttp_request* request, void* arg) {
  if (request == nullptr) return;
  auto* answer = static_cast<Answer*>(arg);
  answer->status = evhttp_request_get_response_code(request);
  evbuffer* body = evhttp_request_get_input_buffer(request);
  answer->body.resize(evbuffer_get_length(body));
  evbuffer_copyout(body, answer->body.data(), answer->body.size());
}

absl::StatusOr<Owned<SSL_CTX>> ContextOf(const WebTls& tls) {
  Owned<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  const auto wrong = [](const std::string& path) {
    ERR_clear_error();
    return MakeStatus(absl::StatusCode::kFailedPrecondition, path, " is of no use for TLS");
  };
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (tls.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else if (SSL_CTX_load_verify_locations(context.get(), tls.ca_file.c_str(), nullptr) != 1) {
    return wrong(tls.ca_file);
  }
  if (tls.cert_file.empty()) return context;
  if (SSL_CTX_use_certificate_chain_file(context.get(), tls.cert_file.c_str()) != 1) {
    return wrong(tls.cert_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), tls.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return wrong(tls.key_file);
  }
  return context;
}

}  // namespace

absl::StatusOr<std::string> GetWebPage(const std::string& base_url, const std::string& path,
                                       const WebTls& tls) {
  const Owned<evhttp_uri> uri(evhttp_uri_parse(base_url.c_str()));
  const char* const scheme = uri == nullptr ? nullptr : evhttp_uri_get_scheme(uri.get());
  const char* const host = uri == nullptr ? nullptr : evhttp_uri_get_host(uri.get());
  const int port = uri == nullptr ? -1 : evhttp_uri_get_port(uri.get());
  const std::string_view kind = scheme == nullptr ? "" : scheme;
  const bool known = kind == "http" || kind == "https";
  if (!known || host == nullptr || *host == '\0' || port <= 0) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "\"", base_url,
                      "\" is neither http://host:port nor https://host:port");
  }
  const Owned<event_base> base(event_base_new());
  Owned<SSL_CTX> context;
  bufferevent* buffer = nullptr;
  if (kind == "http") {
    buffer = bufferevent_socket_new(base.get(), -1, BEV_OPT_CLOSE_ON_FREE);
  } else {
    auto made = ContextOf(tls);
    if (!made.ok()) return made.status();
    context = *std::move(made);
    SSL* const ssl = SSL_new(context.get());
    SSL_set1_host(ssl, host);
    SSL_set_tlsext_host_name(ssl, host);
    buffer = bufferevent_openssl_socket_new(base.get(), -1, ssl, BUFFEREVENT_SSL_CONNECTING,
                                            BEV_OPT_CLOSE_ON_FREE);
    bufferevent_openssl_set_allow_dirty_shutdown(buffer, 1);
  }
  Answer answer;
  {
    const Owned<evhttp_connection> connection(evhttp_connection_base_bufferevent_new(
        base.get(), nullptr, buffer, host, static_cast<uint16_t>(port)));
    evhttp_connection_set_timeout(connection.get(), kPatienceSeconds);
    evhttp_request* const request = evhttp_request_new(OnAnswer, &answer);
    evkeyvalq* const headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Host", host);
    evhttp_add_header(headers, "Connection", "close");
    if (evhttp_make_request(connection.get(), request, EVHTTP_REQ_GET, path.c_str()) == 0) {
      event_base_dispatch(base.get());
    }
  }
  if (answer.status == 200) return answer.body;
  if (answer.status == 0) {
    return MakeStatus(absl::StatusCode::kUnavailable, base_url, " does not answer");
  }
  return MakeStatus(absl::StatusCode::kUnavailable, base_url, path, ": HTTP status ",
                    answer.status);
}

}  // namespace jetd::cli
