// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/testing/http_get.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <openssl/ssl.h>

#include <memory>

#include "base/check.h"

namespace jetd::etcdapi {
namespace {

constexpr int kPatienceSeconds = 60;

struct Free {
  void operator()(event_base* base) const { event_base_free(base); }
  void operator()(evhttp_connection* connection) const { evhttp_connection_free(connection); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

std::unique_ptr<SSL_CTX, Free> ContextOf(const HttpAsk& ask) {
  std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
  JETD_CHECK(SSL_CTX_load_verify_locations(context.get(), ask.ca_file.c_str(), nullptr) == 1);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (!ask.cert_file.empty()) {
    JETD_CHECK(SSL_CTX_use_certificate_chain_file(context.get(), ask.cert_file.c_str()) == 1);
    JETD_CHECK(SSL_CTX_use_PrivateKey_file(context.get(), ask.key_file.c_str(), SSL_FILETYPE_PEM) ==
               1);
  }
  return context;
}

void OnAnswer(evhttp_request* request, void* arg) {
  if (request == nullptr) return;
  auto* answer = static_cast<HttpAnswer*>(arg);
  answer->status = evhttp_request_get_response_code(request);
  const evkeyvalq* headers = evhttp_request_get_input_headers(request);
  for (const evkeyval* header = headers->tqh_first; header != nullptr;
       header = header->next.tqe_next) {
    answer->headers[header->key] = header->value;
  }
  evbuffer* body = evhttp_request_get_input_buffer(request);
  answer->body.resize(evbuffer_get_length(body));
  evbuffer_copyout(body, answer->body.data(), answer->body.size());
}

evhttp_cmd_type MethodOf(const std::string& name) {
  if (name == "POST") return EVHTTP_REQ_POST;
  if (name == "HEAD") return EVHTTP_REQ_HEAD;
  if (name == "PUT") return EVHTTP_REQ_PUT;
  JETD_CHECK(name == "GET") << name;
  return EVHTTP_REQ_GET;
}

}  // namespace

HttpAnswer Get(const HttpAsk& ask) {
  const std::unique_ptr<event_base, Free> base(event_base_new());
  std::unique_ptr<SSL_CTX, Free> context;
  bufferevent* buffer = nullptr;
  if (ask.ca_file.empty()) {
    buffer = bufferevent_socket_new(base.get(), -1, BEV_OPT_CLOSE_ON_FREE);
  } else {
    context = ContextOf(ask);
    buffer = bufferevent_openssl_socket_new(base.get(), -1, SSL_new(context.get()),
                                            BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_openssl_set_allow_dirty_shutdown(buffer, 1);
  }
  HttpAnswer answer;
  {
    const std::unique_ptr<evhttp_connection, Free> connection(
        evhttp_connection_base_bufferevent_new(base.get(), nullptr, buffer, "127.0.0.1",
                                               static_cast<uint16_t>(ask.port)));
    evhttp_connection_set_timeout(connection.get(), kPatienceSeconds);
    evhttp_request* request = evhttp_request_new(OnAnswer, &answer);
    evkeyvalq* headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Host", "127.0.0.1");
    evhttp_add_header(headers, "Connection", "close");
    for (const auto& [name, value] : ask.headers) {
      evhttp_add_header(headers, name.c_str(), value.c_str());
    }
    JETD_CHECK(evhttp_make_request(connection.get(), request, MethodOf(ask.method),
                                   ask.path.c_str()) == 0);
    event_base_dispatch(base.get());
  }
  event_base_loop(base.get(), EVLOOP_NONBLOCK);  // what libevent frees later
  return answer;
}

}  // namespace jetd::etcdapi
