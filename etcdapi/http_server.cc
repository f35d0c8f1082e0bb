// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/http_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "etcdapi/http_tls.h"
#include "etcdapi/url_query.h"

namespace jetd::etcdapi {
namespace {

constexpr int kBacklog = 128;

timeval TimevalOf(std::chrono::milliseconds time) {
  return {.tv_sec = time.count() / 1000, .tv_usec = time.count() % 1000 * 1000};
}

// A socket that listens, or -1 and errno.
int BindTcp(const ListenUrl& url) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &found) != 0) {
    errno = EADDRNOTAVAIL;
    return -1;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, kBacklog) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

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

HttpRequest RequestOf(evhttp_request* request) {
  HttpRequest out;
  out.method = NameOf(evhttp_request_get_command(request));
  const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
  const char* path = evhttp_uri_get_path(uri);
  out.path = Decoded(path == nullptr ? "" : path, Plus::kItself);
  out.query = QueryOf(evhttp_uri_get_query(uri));
  return out;
}

// Replies on their way to the server's thread.
class Mailbox {
 public:
  Mailbox() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { JETD_CHECK(fd_ >= 0) << "eventfd"; }
  ~Mailbox() { close(fd_); }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  void Put(uint64_t request, HttpReply reply) {
    MutexLock lock(mutex_);
    if (closed_) return;
    replies_.emplace_back(request, std::move(reply));
    Ring();
  }
  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
    Ring();
  }
  // What came since the last call; false: closed.
  [[nodiscard]] bool Take(std::vector<std::pair<uint64_t, HttpReply>>* replies) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(fd_, &count, sizeof(count));
    MutexLock lock(mutex_);
    replies->swap(replies_);
    return !closed_;
  }

 private:
  void Ring() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof(one));
  }

  const int fd_;
  Mutex mutex_;
  std::vector<std::pair<uint64_t, HttpReply>> replies_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

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

// Everything but the mailbox belongs to the server's thread while that runs, to the owner's before
// and after.
class HttpServer::Impl {
 public:
  // The others are null without TLS; `peers` also where everybody is let in.
  Impl(Options options, std::shared_ptr<CertificateFiles> certificates,
       std::shared_ptr<PeerCheck> peers);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // With the certificates as they are now; the context of before stays if they cannot be used.
  [[nodiscard]] absl::Status RenewTls();
  [[nodiscard]] absl::Status Bind();
  [[nodiscard]] int port(size_t i) const { return PortOf(evconnlistener_get_fd(listeners_.at(i))); }
  void Start(Handler handler);
  void Stop();

 private:
  // A connection from its accept to its end. libevent tells of the end of those only that have made
  // a request, so each is held here, and looked at when another one comes.
  struct Connection {
    Impl* impl;
    bufferevent* buffer;  // a reference of ours
    event* deadline;
  };
  // A request that waits for its reply.
  struct Pending {
    Impl* impl;
    uint64_t number;
    evhttp_request* request;
    event* patience;
  };

  evhttp* MakeHttp(bufferevent* (*make_buffer)(event_base*, void*));
  bufferevent* Adopt(bufferevent* buffer);
  void ForgetEnded();
  void Forget(const bufferevent* buffer);
  void OnDeadline(bufferevent* buffer);
  void Accept(bool wanted);
  void OnRequest(evhttp_request* request);
  void Reply(uint64_t number, const HttpReply& reply);
  void OnMail();

  const Options options_;
  const std::shared_ptr<CertificateFiles> certificates_;
  const std::shared_ptr<PeerCheck> peers_;
  std::shared_ptr<const Certificates> in_use_;
  SslContext tls_;  // of those
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  event_base* base_ = nullptr;
  evhttp* plain_ = nullptr;
  evhttp* secure_ = nullptr;  // null without TLS
  event* mail_ = nullptr;
  std::vector<evconnlistener*> listeners_;  // the evhttp's
  bool accepting_ = true;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::map<uint64_t, std::unique_ptr<Pending>> pending_;
  uint64_t next_number_ = 1;
  Handler handler_;
  std::thread thread_;
};

HttpServer::Impl::Impl(Options options, std::shared_ptr<CertificateFiles> certificates,
                       std::shared_ptr<PeerCheck> peers)
    : options_(std::move(options)),
      certificates_(std::move(certificates)),
      peers_(std::move(peers)) {
  event_set_log_callback([](int /*severity*/, const char* text) { log::Debug("http: {}", text); });
  event_config* config = event_config_new();
  JETD_CHECK(config != nullptr) << "event_config_new";
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);  // one thread
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  JETD_CHECK(base_ != nullptr) << "event_base_new";
  plain_ = MakeHttp([](event_base* base, void* impl) {
    return static_cast<Impl*>(impl)->Adopt(bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE));
  });
  if (certificates_ != nullptr) {
    secure_ = MakeHttp([](event_base* base, void* impl) {
      if (auto status = static_cast<Impl*>(impl)->RenewTls(); !status.ok()) {
        log::Warn("metrics: {}", MessageOf(status));
      }
      SSL* ssl = SSL_new(static_cast<Impl*>(impl)->tls_.get());
      // Without a buffer of ours libevent would serve this connection in plain text.
      JETD_CHECK(ssl != nullptr) << "SSL_new";
      return static_cast<Impl*>(impl)->Adopt(bufferevent_openssl_socket_new(
          base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE));
    });
  }
  mail_ = event_new(
      base_, mailbox_->fd(), EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* impl) { static_cast<Impl*>(impl)->OnMail(); }, this);
  JETD_CHECK(mail_ != nullptr && event_add(mail_, nullptr) == 0) << "event_new";
}

evhttp* HttpServer::Impl::MakeHttp(bufferevent* (*make_buffer)(event_base*, void*)) {
  evhttp* http = evhttp_new(base_);
  JETD_CHECK(http != nullptr) << "evhttp_new";
  evhttp_set_bevcb(http, make_buffer, this);
  evhttp_set_gencb(
      http,
      [](evhttp_request* request, void* impl) { static_cast<Impl*>(impl)->OnRequest(request); },
      this);
  evhttp_set_max_headers_size(http, limits::kMaxHttpRequestBytes);
  evhttp_set_max_body_size(http, limits::kMaxHttpRequestBytes);
  evhttp_set_default_content_type(http, "text/plain; charset=utf-8");
  // All that it knows: the handler says which are right for a path.
  evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                       EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
                                       EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
  return http;
}

HttpServer::Impl::~Impl() {
  Stop();
  listeners_.clear();
  // One whose connection is gone belongs to nobody else.
  for (const auto& [number, pending] : pending_) {
    event_free(pending->patience);
    if (evhttp_request_get_connection(pending->request) == nullptr) {
      evhttp_request_free(pending->request);
    }
  }
  pending_.clear();
  evhttp_free(plain_);
  if (secure_ != nullptr) evhttp_free(secure_);
  while (!connections_.empty()) Forget(connections_.back()->buffer);
  event_free(mail_);
  event_base_loop(base_, EVLOOP_NONBLOCK);  // what libevent does later
  event_base_free(base_);
}

absl::Status HttpServer::Impl::RenewTls() {
  auto current = certificates_->Current();
  if (current == in_use_) return absl::OkStatus();
  auto context = MakeSslContext(options_.tls, *current, peers_.get());
  in_use_ = std::move(current);
  if (!context.ok()) return context.status();
  // Connections hold the one that they began with.
  tls_ = *std::move(context);
  return absl::OkStatus();
}

absl::Status HttpServer::Impl::Bind() {
  for (const ListenUrl& url : options_.urls) {
    const int fd = BindTcp(url);
    if (fd < 0) {
      const int error = errno;
      return MakeStatus(absl::StatusCode::kUnavailable, "cannot listen on ", url.text, ": ",
                        std::string_view(std::strerror(error)),
                        "; choose another --listen-metrics-urls",
                        error == EADDRINUSE ? ", or stop who has it" : "");
    }
    evconnlistener* listener = evconnlistener_new(
        base_, nullptr, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    JETD_CHECK(listener != nullptr) << "evconnlistener_new";
    evhttp* http = url.tls ? secure_ : plain_;
    JETD_CHECK(evhttp_bind_listener(http, listener) != nullptr) << "evhttp_bind_listener";
    listeners_.push_back(listener);
  }
  return absl::OkStatus();
}

void HttpServer::Impl::Start(Handler handler) {
  handler_ = std::move(handler);
  // Signals are the main thread's, and a client that is gone is an error of a write.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "http");
    event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY);
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void HttpServer::Impl::Stop() {
  mailbox_->Close();
  if (thread_.joinable()) thread_.join();
}

bufferevent* HttpServer::Impl::Adopt(bufferevent* buffer) {
  JETD_CHECK(buffer != nullptr) << "bufferevent_new";
  ForgetEnded();
  bufferevent_incref(buffer);
  auto connection = std::make_unique<Connection>(Connection{this, buffer, nullptr});
  connection->deadline = evtimer_new(
      base_,
      [](evutil_socket_t, short, void* arg) {
        const auto* ending = static_cast<Connection*>(arg);
        ending->impl->OnDeadline(ending->buffer);
      },
      connection.get());
  const timeval life = TimevalOf(options_.max_life);
  evtimer_add(connection->deadline, &life);
  connections_.push_back(std::move(connection));
  if (connections_.size() >= static_cast<size_t>(options_.max_connections)) Accept(false);
  return buffer;
}

// A buffer without callbacks is one that libevent has let go of.
void HttpServer::Impl::ForgetEnded() {
  std::vector<bufferevent*> ended;
  for (const auto& connection : connections_) {
    bufferevent_event_cb on_event = nullptr;
    bufferevent_getcb(connection->buffer, nullptr, nullptr, &on_event, nullptr);
    if (on_event == nullptr) ended.push_back(connection->buffer);
  }
  for (bufferevent* buffer : ended) Forget(buffer);
}

void HttpServer::Impl::Forget(const bufferevent* buffer) {
  for (auto& connection : connections_) {
    if (connection->buffer != buffer) continue;
    event_free(connection->deadline);
    bufferevent_decref(connection->buffer);
    connection = std::move(connections_.back());
    connections_.pop_back();
    break;
  }
  if (!accepting_) Accept(true);
}

void HttpServer::Impl::OnDeadline(bufferevent* buffer) {
  bufferevent_incref(buffer);
  // To libevent the client has been silent for too long. Nothing if it is gone.
  bufferevent_trigger_event(buffer, BEV_EVENT_TIMEOUT | BEV_EVENT_READING, 0);
  Forget(buffer);
  bufferevent_decref(buffer);
}

void HttpServer::Impl::Accept(bool wanted) {
  accepting_ = wanted;
  for (evconnlistener* listener : listeners_) {
    if (wanted) {
      evconnlistener_enable(listener);
    } else {
      evconnlistener_disable(listener);
    }
  }
}

void HttpServer::Impl::OnRequest(evhttp_request* request) {
  evhttp_connection_set_closecb(
      evhttp_request_get_connection(request),
      [](evhttp_connection* connection, void* impl) {
        static_cast<Impl*>(impl)->Forget(evhttp_connection_get_bufferevent(connection));
      },
      this);
  const uint64_t number = next_number_++;
  auto pending = std::make_unique<Pending>(Pending{this, number, request, nullptr});
  pending->patience = evtimer_new(
      base_,
      [](evutil_socket_t, short, void* arg) {
        const auto* late = static_cast<Pending*>(arg);
        late->impl->Reply(late->number, {.status = 503, .body = "jetd did not answer in time\n"});
      },
      pending.get());
  const timeval patience = TimevalOf(options_.patience);
  evtimer_add(pending->patience, &patience);
  pending_.emplace(number, std::move(pending));
  handler_(RequestOf(request), [mailbox = mailbox_, number](HttpReply reply) {
    mailbox->Put(number, std::move(reply));
  });
}

void HttpServer::Impl::Reply(uint64_t number, const HttpReply& reply) {
  const auto found = pending_.find(number);
  if (found == pending_.end()) return;  // it was too late
  const std::unique_ptr<Pending> pending = std::move(found->second);
  pending_.erase(found);
  event_free(pending->patience);
  evkeyvalq* headers = evhttp_request_get_output_headers(pending->request);
  for (const auto& [name, value] : reply.headers) {
    evhttp_add_header(headers, name.c_str(), value.c_str());
  }
  evhttp_add_header(headers, "Connection", "close");
  evbuffer* body = evbuffer_new();
  JETD_CHECK(body != nullptr) << "evbuffer_new";
  const std::string text = reply.make_body ? reply.make_body() : reply.body;
  evbuffer_add(body, text.data(), text.size());
  // Frees a request whose connection has ended.
  evhttp_send_reply(pending->request, reply.status, nullptr, body);
  evbuffer_free(body);
}

void HttpServer::Impl::OnMail() {
  std::vector<std::pair<uint64_t, HttpReply>> replies;
  const bool open = mailbox_->Take(&replies);
  for (const auto& [number, reply] : replies) Reply(number, reply);
  if (!open) event_base_loopbreak(base_);
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(Options options) {
  std::shared_ptr<CertificateFiles> certificates;
  std::shared_ptr<PeerCheck> peers;
  const bool tls = std::any_of(options.urls.begin(), options.urls.end(),
                               [](const ListenUrl& url) { return url.tls; });
  if (tls) {
    auto opened = CertificateFiles::Open(options.tls, "metrics");
    if (!opened.ok()) return opened.status();
    certificates = *std::move(opened);
    auto check = PeerCheck::Open(options.tls);
    if (!check.ok()) return check.status();
    peers = *std::move(check);
  }
  auto impl = std::make_unique<Impl>(std::move(options), std::move(certificates), std::move(peers));
  if (tls) {
    if (auto status = impl->RenewTls(); !status.ok()) return status;
  }
  if (auto status = impl->Bind(); !status.ok()) return status;
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;
int HttpServer::port(size_t i) const { return impl_->port(i); }
void HttpServer::Start(Handler handler) { impl_->Start(std::move(handler)); }
void HttpServer::Stop() { impl_->Stop(); }

}  // namespace jetd::etcdapi
