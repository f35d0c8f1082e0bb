// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/http_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <system_error>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "etcdapi/event_base.h"
#include "etcdapi/http_door.h"
#include "etcdapi/http_mailbox.h"
#include "rpc/complaints.h"
#include "rpc/tls_wire.h"

namespace jetd::etcdapi {
namespace {

MonoTime Now() { return std::chrono::steady_clock::now().time_since_epoch(); }

}  // namespace

// Everything but the mailbox and what has a lock belongs to the server's thread while that runs; to
// whoever makes, starts or destroys it before and after.
class HttpServer::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // Reads the certificates, if there is a URL that needs them, and binds.
  [[nodiscard]] absl::Status Bind();
  [[nodiscard]] int port(size_t i) const { return sockets_.at(i)->port(); }
  void Start(Handler handler);
  void Take(HttpClient client);
  void Stop();

 private:
  // A connection from its accept to its end. libevent tells of the end of those only that have made
  // a request, so each is held here, and looked at when another one comes.
  struct Connection {
    Impl* impl;
    bufferevent* buffer;  // a reference of ours
    event* deadline;
    bool taken;          // from the client port
    uint64_t number;     // the one who came first has the least
    bool waits = false;  // for a reply of the handler's
  };
  // A request that waits for its reply.
  struct Pending {
    Impl* impl;
    uint64_t number;
    evhttp_request* request;
    event* patience;
  };

  [[nodiscard]] absl::Status BindOne(const ListenUrl& url);
  // False: no descriptors are left, or no room to watch one.
  [[nodiscard]] bool MakeBase();
  evhttp* MakeHttp(bufferevent* (*make_buffer)(event_base*, void*));
  // False: there is no thread to be had.
  [[nodiscard]] bool Run() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes and runs what is not there yet. False: nothing is left to do it with.
  [[nodiscard]] bool BeThere() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FreeAll();
  bufferevent* Adopt(bufferevent* buffer, bool taken);
  [[nodiscard]] int Count(bool taken) const;
  void ForgetEnded();
  void Forget(const bufferevent* buffer);
  void SetWaits(evhttp_request* request, bool waits);
  void OnDeadline(bufferevent* buffer);
  void Accept(bool wanted);
  void SetListeners();
  void OnAcceptError();
  // Who connects waits for a while.
  void Pause(std::string_view why);
  [[nodiscard]] bool MakeRoom();
  void OnRequest(evhttp_request* request);
  void Reply(uint64_t number, const HttpReply& reply);
  void BringIn(HttpClient client);
  void OnMail();

  const Options options_;
  std::unique_ptr<rpc::TlsContexts> tls_;  // null without TLS
  const std::shared_ptr<HttpMailbox> mailbox_ = std::make_shared<HttpMailbox>();
  event_base* base_ = nullptr;  // as all of libevent's: null before it is needed
  evhttp* plain_ = nullptr;
  evhttp* secure_ = nullptr;  // null without TLS
  evhttp* taken_ = nullptr;   // of those from the client port
  std::unique_ptr<HttpDoor> door_;
  event* mail_ = nullptr;
  std::vector<std::unique_ptr<rpc::ListeningSocket>> sockets_;
  std::vector<evconnlistener*> listeners_;  // the evhttp's, on those
  bool accepting_ = true;
  event* pause_ = nullptr;  // pending while there is no descriptor for those who connect
  rpc::Complaints complaints_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::map<uint64_t, std::unique_ptr<Pending>> pending_;
  uint64_t next_number_ = 1;
  Handler handler_;

  Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;  // between Start and Stop
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
  rpc::Complaints taking_ ABSL_GUARDED_BY(mutex_);

  // Whose thread this is: a listener's error does not say whose listener it is.
  static thread_local Impl* serving_;
};

thread_local HttpServer::Impl* HttpServer::Impl::serving_ = nullptr;

bool HttpServer::Impl::MakeBase() {
  base_ = NewEventBase();
  if (base_ == nullptr) return false;
  plain_ = MakeHttp([](event_base* base, void* impl) {
    return static_cast<Impl*>(impl)->Adopt(bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE),
                                           /*taken=*/false);
  });
  secure_ = MakeHttp([](event_base* base, void* impl) {
    SSL* const ssl = static_cast<Impl*>(impl)->tls_->Begin().release();
    // Without a buffer of ours libevent would serve this connection in plain text.
    JETD_CHECK(ssl != nullptr) << "SSL_new";
    // libevent asks for what was read of a record, not for what was read ahead.
    SSL_set_read_ahead(ssl, 0);
    return static_cast<Impl*>(impl)->Adopt(
        bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                       BEV_OPT_CLOSE_ON_FREE),
        /*taken=*/false);
  });
  taken_ = MakeHttp([](event_base* /*base*/, void* impl) {
    auto* const self = static_cast<Impl*>(impl);
    return self->Adopt(self->door_->MakeBuffer(), /*taken=*/true);
  });
  door_ = std::make_unique<HttpDoor>(base_, taken_);
  mail_ = event_new(
      base_, mailbox_->fd(), EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* impl) { static_cast<Impl*>(impl)->OnMail(); }, this);
  JETD_CHECK(mail_ != nullptr) << "event_new";
  pause_ = evtimer_new(
      base_, [](evutil_socket_t, short, void* impl) { static_cast<Impl*>(impl)->SetListeners(); },
      this);
  JETD_CHECK(pause_ != nullptr) << "event_new";
  const bool added = event_add(mail_, nullptr) == 0;
  if (!added) FreeAll();
  return added;
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
  FreeAll();  // of one that was not started
}

void HttpServer::Impl::FreeAll() {
  listeners_.clear();
  // One whose connection is gone belongs to nobody else.
  for (const auto& [number, pending] : pending_) {
    event_free(pending->patience);
    if (evhttp_request_get_connection(pending->request) == nullptr) {
      evhttp_request_free(pending->request);
    }
  }
  pending_.clear();
  if (base_ == nullptr) return;
  door_.reset();
  for (evhttp* http : {plain_, secure_, taken_}) evhttp_free(http);
  while (!connections_.empty()) Forget(connections_.back()->buffer);
  event_free(mail_);
  event_free(pause_);
  event_base_loop(base_, EVLOOP_NONBLOCK);  // what libevent does later
  event_base_free(std::exchange(base_, nullptr));
  sockets_.clear();
}

absl::Status HttpServer::Impl::Bind() {
  if (options_.urls.empty()) return absl::OkStatus();
  if (std::any_of(options_.urls.begin(), options_.urls.end(),
                  [](const ListenUrl& url) { return url.tls; })) {
    auto source = FileTlsSource::Open(options_.tls, "metrics");
    if (!source.ok()) return source.status();
    tls_ = std::make_unique<rpc::TlsContexts>(*std::move(source), rpc::Protocols::kHttp1);
    if (auto status = tls_->Renew(); !status.ok()) return status;
  }
  if (!MakeBase())
    return absl::UnavailableError(
        "no descriptors, or no room to watch one (fs.epoll.max_user_watches), are left to serve "
        "HTTP with");
  for (const ListenUrl& url : options_.urls) {
    if (auto status = BindOne(url); !status.ok()) return status;
  }
  SetListeners();  // libevent has tried, and does not say whether in vain
  return absl::OkStatus();
}

absl::Status HttpServer::Impl::BindOne(const ListenUrl& url) {
  auto socket = rpc::ListeningSocket::OpenTcp(url.host, url.port);
  if (!socket.ok()) {
    return MakeStatus(absl::StatusCode::kUnavailable, "cannot listen on ", url.text, ": ",
                      MessageOf(socket.status()), "; choose another ", url.flag,
                      absl::IsAlreadyExists(socket.status()) ? ", or stop who has it" : "");
  }
  evconnlistener* const listener =
      evconnlistener_new(base_, nullptr, nullptr, LEV_OPT_CLOSE_ON_EXEC, 0, (*socket)->fd());
  JETD_CHECK(listener != nullptr) << "evconnlistener_new";
  evhttp* const http = url.tls ? secure_ : plain_;
  JETD_CHECK(evhttp_bind_listener(http, listener) != nullptr) << "evhttp_bind_listener";
  // Who waits stays readable, so that without this the thread would not sleep.
  evconnlistener_set_error_cb(listener, [](evconnlistener*, void*) { serving_->OnAcceptError(); });
  listeners_.push_back(listener);
  sockets_.push_back(*std::move(socket));
  return absl::OkStatus();
}

void HttpServer::Impl::Start(Handler handler) {
  handler_ = std::move(handler);
  MutexLock lock(mutex_);
  open_ = true;
  if (base_ == nullptr) return;
  JETD_CHECK(Run()) << "no thread is left to serve HTTP with";
}

bool HttpServer::Impl::Run() {
  // Signals are the main thread's, and a client that is gone is an error of a write.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool runs = true;
  try {
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "http");
      serving_ = this;
      event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY);
    });
  } catch (const std::system_error&) {
    runs = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return runs;
}

bool HttpServer::Impl::BeThere() {
  if (thread_.joinable()) return true;
  return (base_ != nullptr || MakeBase()) && Run();
}

void HttpServer::Impl::Take(HttpClient client) {
  MutexLock lock(mutex_);
  if (!open_) return;
  if (BeThere()) return mailbox_->Put(std::move(client));
  if (!taking_.Due(Now())) return;
  log::Warn(
      "a client's HTTP request is not taken: no descriptor, no room to watch one "
      "(fs.epoll.max_user_watches) or no thread is left for it");
}

void HttpServer::Impl::Stop() {
  std::thread running;
  {
    MutexLock lock(mutex_);
    open_ = false;
    running = std::move(thread_);
  }
  mailbox_->Close();
  if (!running.joinable()) return;
  running.join();
  FreeAll();
}

bufferevent* HttpServer::Impl::Adopt(bufferevent* buffer, bool taken) {
  JETD_CHECK(buffer != nullptr) << "bufferevent_new";
  ForgetEnded();
  bufferevent_incref(buffer);
  auto connection = std::make_unique<Connection>(Connection{.impl = this,
                                                            .buffer = buffer,
                                                            .deadline = nullptr,
                                                            .taken = taken,
                                                            .number = next_number_++});
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
  if (Count(/*taken=*/false) >= options_.max_connections) Accept(false);
  return buffer;
}

int HttpServer::Impl::Count(bool taken) const {
  return static_cast<int>(
      std::count_if(connections_.begin(), connections_.end(),
                    [taken](const auto& connection) { return connection->taken == taken; }));
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
  if (!accepting_ && Count(/*taken=*/false) < options_.max_connections) Accept(true);
}

void HttpServer::Impl::OnDeadline(bufferevent* buffer) {
  bufferevent_incref(buffer);
  // To libevent the client has been silent for too long. Nothing if it is gone.
  bufferevent_trigger_event(buffer, BEV_EVENT_TIMEOUT | BEV_EVENT_READING, 0);
  Forget(buffer);
  bufferevent_decref(buffer);
}

void HttpServer::Impl::SetWaits(evhttp_request* request, bool waits) {
  evhttp_connection* const owner = evhttp_request_get_connection(request);
  if (owner == nullptr) return;  // the client is gone
  const bufferevent* const buffer = evhttp_connection_get_bufferevent(owner);
  for (const auto& connection : connections_) {
    if (connection->buffer == buffer) connection->waits = waits;
  }
}

void HttpServer::Impl::Accept(bool wanted) {
  accepting_ = wanted;
  SetListeners();
}

void HttpServer::Impl::SetListeners() {
  const bool wanted = accepting_ && evtimer_pending(pause_, nullptr) == 0;
  bool watched = true;
  for (evconnlistener* listener : listeners_) {
    if (wanted) {
      watched = evconnlistener_enable(listener) == 0 && watched;
    } else {
      evconnlistener_disable(listener);
    }
  }
  if (!watched) Pause("no room to watch for clients' HTTP requests (fs.epoll.max_user_watches)");
}

void HttpServer::Impl::OnAcceptError() {
  Pause("no descriptor is left for a client's HTTP request (see ulimit -n)");
  SetListeners();
}

void HttpServer::Impl::Pause(std::string_view why) {
  if (complaints_.Due(Now())) log::Warn("{}: who connects waits", why);
  const timeval pause = TimevalOf(limits::kAcceptPause);
  evtimer_add(pause_, &pause);
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
  SetWaits(request, true);
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
  SetWaits(pending->request, false);
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

void HttpServer::Impl::BringIn(HttpClient client) {
  ForgetEnded();
  const auto waiting = static_cast<int>(door_->waiting());
  if (Count(/*taken=*/true) + waiting < options_.max_connections || MakeRoom()) {
    door_->Bring(std::move(client));
  }
}

// Whoever asks as soon as he is there is not kept out by many who do not.
bool HttpServer::Impl::MakeRoom() {
  const Connection* oldest = nullptr;
  for (const auto& connection : connections_) {
    if (!connection->taken || connection->waits) continue;
    if (oldest == nullptr || connection->number < oldest->number) oldest = connection.get();
  }
  if (oldest == nullptr) return door_->DropFirst();
  bufferevent* const buffer = oldest->buffer;
  if (door_->Forsake(buffer)) {
    Forget(buffer);
  } else {
    OnDeadline(buffer);
  }
  return true;
}

void HttpServer::Impl::OnMail() {
  HttpMailbox::Mail mail = mailbox_->Take();
  for (const auto& [number, reply] : mail.replies) Reply(number, reply);
  for (HttpClient& client : mail.clients) BringIn(std::move(client));
  if (mail.closed) event_base_loopbreak(base_);
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(Options options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  if (auto status = impl->Bind(); !status.ok()) return status;
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;
int HttpServer::port(size_t i) const { return impl_->port(i); }
void HttpServer::Start(Handler handler) { impl_->Start(std::move(handler)); }
void HttpServer::Take(rpc::Http1Client client) {
  HttpClient owned(new rpc::Http1Client(std::move(client)));
  const std::string& received = owned->received;
  // Requests begin with a method. TLS where there is none does not, and comes again and again.
  if (!received.empty() && (received.front() < 'A' || received.front() > 'Z')) return;
  impl_->Take(std::move(owned));
}
void HttpServer::Stop() { impl_->Stop(); }

}  // namespace jetd::etcdapi
