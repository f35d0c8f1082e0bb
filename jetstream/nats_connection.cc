// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_connection.h"

#include <fcntl.h>
#include <nats/nats.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "jetstream/nats_files.h"
#include "jetstream/nats_probe.h"
#include "jetstream/nats_signer.h"

namespace jetd::jetstream {
namespace {

constexpr int kReadBufferBytes = 128 << 10;
// So many ping intervals in which nothing came at all.
constexpr int kMaxSilentIntervals = 3;
// What is remembered of what a server has refused: enough for all that is under way at a time.
constexpr size_t kMaxRefusals = 16;
// Of kReadBufferBytes each: more than a socket's buffer holds.
constexpr int kMaxLastReads = 1000;

struct OptionsDeleter {
  void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
};

// The reason that nats.c gives besides its status, for instance "Authorization Violation": of
// "(conn.c:1905): Authorization Violation" what is not nats.c's own source. Empty if it says
// nothing more than the status does.
std::string_view DetailOf(natsStatus status) {
  const char* text = nats_GetLastError(nullptr);
  std::string_view detail = text == nullptr ? "" : text;
  const size_t end = detail.find("): ");
  if (detail.starts_with('(') && end != detail.npos) detail.remove_prefix(end + 3);
  return detail == natsStatus_GetText(status) ? "" : detail;
}

absl::Status StatusOf(natsStatus status, std::string_view what) {
  const std::string_view detail = DetailOf(status);
  const absl::StatusCode code = status == NATS_CONNECTION_AUTH_FAILED
                                    ? absl::StatusCode::kUnauthenticated
                                    : absl::StatusCode::kUnavailable;
  std::string text = Cat(what, ": ", natsStatus_GetText(status));
  if (!detail.empty()) CatTo(text, " (", detail, ")");
  return absl::Status(code, text);
}

MonoTime Now() { return std::chrono::steady_clock::now().time_since_epoch(); }

}  // namespace

struct NatsConnection::Subscription {
  uint64_t id = 0;
  bool dead = false;
  natsSubscription* sub = nullptr;
  MessageFn on_message;
  std::function<void()> on_unanswered;  // may be null

  ~Subscription() {
    if (sub != nullptr) natsSubscription_Destroy(sub);
  }
};

// What nats.c's callbacks touch. They come from inside our own calls on the engine thread, but also
// from nats.c's timer thread (pings, a stale connection) and from whatever thread closes; the last
// may come late, so nats.c holds a reference of its own, from attach to detach.
//
// The socket is watched through a descriptor of our own: nats.c closes its one on any thread, and
// the number may then be somebody else's before the loop hears of it.
struct NatsConnection::Link {
  explicit Link(Loop* l) : loop(l) {}
  ~Link() {
    if (fd >= 0) close(fd);
  }

  // Any thread. Runs `fn` of the connection on the engine thread, unless it is gone by then.
  void Tell(void (NatsConnection::*fn)()) {
    MutexLock lock(mutex);
    if (loop == nullptr) return;
    loop->Post([self = weak_self.lock(), fn] {
      if (self != nullptr && self->owner != nullptr) (self->owner->*fn)();
    });
  }

  int fd = -1;  // set by attach, before Connect returns
  // Null: not needed. nats.c asks it while it connects.
  std::unique_ptr<NatsSigner> signer;
  std::weak_ptr<Link> weak_self;
  std::atomic<bool> wants_flush{false};
  std::atomic<bool> closed{false};
  NatsConnection* owner = nullptr;  // the engine thread's, from Start to Stop

  Mutex mutex;
  Loop* loop ABSL_GUARDED_BY(mutex);
  // The newest last.
  struct Refusal {
    std::string text;
    MonoTime when;
  };
  std::deque<Refusal> refusals ABSL_GUARDED_BY(mutex);
};

struct NatsConnection::EventCallbacks {
  static natsStatus Attach(void** user_data, void* loop, natsConnection* /*nc*/, natsSock socket) {
    auto& link = *static_cast<std::shared_ptr<Link>*>(loop);
    link->fd = fcntl(socket, F_DUPFD_CLOEXEC, 3);
    if (link->fd < 0) return NATS_SYS_ERROR;
    *user_data = new std::shared_ptr<Link>(link);
    return NATS_OK;
  }
  static natsStatus Read(void* /*user_data*/, bool /*add*/) { return NATS_OK; }
  static natsStatus Write(void* user_data, bool add) {
    Link& link = **static_cast<std::shared_ptr<Link>*>(user_data);
    if (add && !link.wants_flush.exchange(true)) {
      // On the engine thread the round's Flush follows anyway.
      bool elsewhere = false;
      {
        MutexLock lock(link.mutex);
        elsewhere = link.loop != nullptr && !link.loop->InLoop();
      }
      if (elsewhere) link.Tell(&NatsConnection::Flush);
    }
    return NATS_OK;
  }
  static natsStatus Detach(void* user_data) {
    std::unique_ptr<std::shared_ptr<Link>> held(static_cast<std::shared_ptr<Link>*>(user_data));
    (*held)->closed.store(true);
    (*held)->Tell(&NatsConnection::CheckClosed);
    return NATS_OK;
  }
};

// nats.c tells of lame ducks and of refused permissions on a thread of its own, at any time until a
// connection is destroyed and a moment longer, and frees nothing that it was given to tell them by.
// So the connection is looked up.
class NatsConnection::Links {
 public:
  static Links& All() {
    static Links& links = *new Links;
    return links;
  }
  void Add(natsConnection* nc, const std::shared_ptr<Link>& link) {
    MutexLock lock(mutex_);
    links_[nc] = link;
  }
  void Remove(natsConnection* nc) {
    MutexLock lock(mutex_);
    links_.erase(nc);
  }
  static void OnLameDuck(natsConnection* nc, void* /*closure*/) {
    const std::shared_ptr<Link> link = All().Of(nc);
    if (link != nullptr) link->Tell(&NatsConnection::OnLameDuck);
  }
  // Of several at once nats.c keeps the last one's text only: it is told once.
  static void OnError(natsConnection* nc, natsSubscription* /*sub*/, natsStatus status,
                      void* /*closure*/) {
    const char* detail = nullptr;
    natsConnection_GetLastError(nc, &detail);
    const std::string text(detail == nullptr ? "" : detail);
    const std::shared_ptr<Link> link = All().Of(nc);
    if (link != nullptr && status == NATS_NOT_PERMITTED && !IsNew(link.get(), text)) return;
    log::Warn("nats: {} ({})", natsStatus_GetText(status), text);
  }

 private:
  static bool IsNew(Link* link, const std::string& refusal) {
    MutexLock lock(link->mutex);
    auto& refusals = link->refusals;
    const size_t known =
        std::erase_if(refusals, [&](const Link::Refusal& one) { return one.text == refusal; });
    refusals.push_back({refusal, Now()});
    if (refusals.size() > kMaxRefusals) refusals.pop_front();
    return known == 0;
  }
  std::shared_ptr<Link> Of(natsConnection* nc) {
    MutexLock lock(mutex_);
    const auto it = links_.find(nc);
    return it == links_.end() ? nullptr : it->second.lock();
  }

  Mutex mutex_;
  std::map<natsConnection*, std::weak_ptr<Link>> links_ ABSL_GUARDED_BY(mutex_);
};

NatsConnection::NatsConnection(Loop* loop) : loop_(loop), link_(std::make_shared<Link>(loop)) {
  link_->weak_self = link_;
}

absl::StatusOr<std::unique_ptr<NatsConnection>> NatsConnection::Connect(
    Loop* loop, const NatsEndpoint& endpoint, const std::string& client_name,
    std::chrono::milliseconds timeout, const NatsConnectOptions& others) {
  natsOptions* raw_options = nullptr;
  natsStatus status = natsOptions_Create(&raw_options);
  if (status != NATS_OK) return StatusOf(status, "nats.c");
  const std::unique_ptr<natsOptions, OptionsDeleter> options(raw_options);

  std::unique_ptr<NatsConnection> connection(new NatsConnection(loop));
  const absl::Status configured =
      connection->Configure(options.get(), endpoint, client_name, timeout, others.ping_interval);
  if (!configured.ok()) return configured;

  const std::string url = UrlWithoutSecrets(endpoint.url);
  const auto& signer = connection->link_->signer;
  do {
    status = natsConnection_Connect(&connection->nc_, options.get());
  } while (status != NATS_OK && signer != nullptr && signer->TakeUnlucky());
  if (status != NATS_OK) {
    connection->nc_ = nullptr;
    return StatusOf(status, Cat("cannot connect to ", url));
  }
  Links::All().Add(connection->nc_, connection->link_);
  natsInbox* made = nullptr;
  if (natsInbox_Create(&made) != NATS_OK) return absl::UnavailableError("nats.c: no inbox");
  const std::string_view any(made);  // "_INBOX.<random token>"
  connection->ping_interval_ = others.ping_interval;
  connection->inbox_ = Cat(others.inbox_prefix, any.substr(any.rfind('.')));
  natsInbox_Destroy(made);
  connection->LearnServer(url, timeout);
  return connection;
}

absl::Status NatsConnection::Configure(natsOptions* options, const NatsEndpoint& endpoint,
                                       const std::string& client_name,
                                       std::chrono::milliseconds timeout,
                                       std::chrono::milliseconds ping_interval) {
  const NatsCredentials& credentials = endpoint.credentials;
  natsStatus status = NATS_OK;
  const auto set = [&status](natsStatus next) {
    if (status == NATS_OK) status = next;
  };
  set(natsOptions_SetURL(options, endpoint.url.c_str()));
  set(natsOptions_SetName(options, client_name.c_str()));
  set(natsOptions_SetTimeout(options, timeout.count()));
  set(natsOptions_SetAllowReconnect(options, false));
  set(natsOptions_SetIgnoreDiscoveredServers(options, true));
  set(natsOptions_SetNoEcho(options, true));
  // With an event loop this does not send at once; it spares the flusher thread.
  set(natsOptions_SetSendAsap(options, true));
  set(natsOptions_SetIOBufSize(options, kReadBufferBytes));
  set(natsOptions_SetPingInterval(options, ping_interval.count()));
  // nats.c wants the answer in time, which on a slow link comes behind all that is on its way. Here
  // every byte is a sign of life.
  set(natsOptions_SetMaxPingsOut(options, std::numeric_limits<int>::max()));
  set(natsOptions_SetErrorHandler(options, &Links::OnError, nullptr));
  set(natsOptions_SetLameDuckModeCB(options, &Links::OnLameDuck, nullptr));
  set(natsOptions_SetEventLoop(options, &link_, &EventCallbacks::Attach, &EventCallbacks::Read,
                               &EventCallbacks::Write, &EventCallbacks::Detach));
  if (!credentials.user.empty()) {
    set(natsOptions_SetUserInfo(options, credentials.user.c_str(), credentials.password.c_str()));
  }
  if (!credentials.token.empty()) set(natsOptions_SetToken(options, credentials.token.c_str()));
  if (!credentials.token_file.empty()) {
    const absl::StatusOr<std::string> token = ReadToken(credentials.token_file);
    if (!token.ok()) return token.status();
    set(natsOptions_SetToken(options, token->c_str()));
  }
  if (!credentials.creds_file.empty() || !credentials.nkey_seed_file.empty()) {
    auto signer = credentials.creds_file.empty() ? NatsSigner::FromSeed(credentials.nkey_seed_file)
                                                 : NatsSigner::FromCreds(credentials.creds_file);
    if (!signer.ok()) return signer.status();
    link_->signer = *std::move(signer);
    if (absl::Status signs = link_->signer->SetOn(options); !signs.ok()) return signs;
  }
  if (!credentials.tls_ca_file.empty()) {
    set(natsOptions_SetSecure(options, true));
    set(natsOptions_LoadCATrustedCertificates(options, credentials.tls_ca_file.c_str()));
  }
  if (!credentials.tls_cert_file.empty()) {
    set(natsOptions_SetSecure(options, true));
    set(natsOptions_LoadCertificatesChain(options, credentials.tls_cert_file.c_str(),
                                          credentials.tls_key_file.c_str()));
  }
  return status == NATS_OK ? absl::OkStatus() : StatusOf(status, "NATS options");
}

void NatsConnection::LearnServer(const std::string& url, std::chrono::milliseconds timeout) {
  server_.url = url;
  server_.max_payload_bytes = static_cast<size_t>(natsConnection_GetMaxPayload(nc_));
  const absl::StatusOr<std::string> version = ProbeServerVersion(link_->fd, timeout);
  if (version.ok()) {
    server_.version = *version;
  } else {
    log::Debug("nats: {}: {}", url, MessageOf(version.status()));
  }
}

NatsConnection::~NatsConnection() {
  JETD_CHECK(!started_ || stopped_) << "a connection is destroyed before Stop";
  {
    MutexLock lock(link_->mutex);
    link_->loop = nullptr;
  }
  if (nc_ == nullptr) return;
  Links::All().Remove(nc_);
  // Nothing that is still buffered may be sent now: its sender was told that the connection broke.
  // nats.c would try, and wait half a second for the server's word, unless it sees the end itself.
  if (link_->fd >= 0) shutdown(link_->fd, SHUT_RDWR);
  for (int reads = 0; reads < kMaxLastReads && !natsConnection_IsClosed(nc_); ++reads) {
    natsConnection_ProcessReadEvent(nc_);
  }
  bin_.Empty();
  subscriptions_.clear();
  natsConnection_Destroy(nc_);
}

void NatsConnection::Start(ClosedFn on_closed) {
  started_ = true;
  on_closed_ = std::move(on_closed);
  link_->owner = this;
  loop_->WatchFd(link_->fd, {.readable = true}, [this](Loop::Ready ready) { OnReady(ready); });
  // It may have closed, or have something to send, since Connect.
  if (link_->closed.load()) link_->Tell(&NatsConnection::CheckClosed);
  link_->Tell(&NatsConnection::Flush);
  ListenForLife();
}

// A loop that was busy for long has not listened: it counts one interval.
void NatsConnection::ListenForLife() {
  life_timer_ = loop_->RunAfter(ping_interval_, [this] {
    life_timer_ = 0;
    if (++silent_intervals_ < kMaxSilentIntervals) return ListenForLife();
    Lose(Cat("nothing was heard of ", server_.url, " for some ",
             std::chrono::duration_cast<std::chrono::seconds>(silent_intervals_ * ping_interval_)
                 .count(),
             " s"));
  });
}

bool NatsConnection::closed() const { return link_->closed.load(); }

std::string NatsConnection::refusal() const {
  constexpr std::chrono::minutes kLately(1);
  MutexLock lock(link_->mutex);
  std::string lines;
  for (const Link::Refusal& refusal : link_->refusals) {
    if (Now() - refusal.when < kLately) CatTo(lines, refusal.text, "\n");
  }
  return lines;
}

void NatsConnection::Stop() {
  if (!started_ || stopped_) return;
  stopped_ = true;
  link_->owner = nullptr;
  on_closed_ = nullptr;
  on_lame_duck_ = nullptr;
  loop_->Cancel(std::exchange(life_timer_, 0));
  loop_->UnwatchFd(link_->fd);
}

uint64_t NatsConnection::Subscribe(const std::string& subject, MessageFn on_message,
                                   std::function<void()> on_unanswered) {
  auto subscription = std::make_unique<Subscription>();
  subscription->id = next_subscription_++;
  subscription->on_message = std::move(on_message);
  subscription->on_unanswered = std::move(on_unanswered);
  const natsStatus status = natsConnection_SubscribeSync(&subscription->sub, nc_, subject.c_str());
  if (status == NATS_OK) {
    // What is outstanding is bounded by who asked for it.
    natsSubscription_SetPendingLimits(subscription->sub, -1, -1);
  } else {
    subscription->sub = nullptr;
    subscription->dead = true;  // the connection is closed: on_closed tells
  }
  subscriptions_.push_back(std::move(subscription));
  return subscriptions_.back()->id;
}

void NatsConnection::Unsubscribe(uint64_t subscription) {
  for (auto& held : subscriptions_) {
    if (held->id == subscription) held->dead = true;
  }
  if (draining_) return;  // Drain removes it when it is through
  std::erase_if(subscriptions_, [](const auto& held) { return held->dead; });
}

void NatsConnection::Publish(const std::string& subject, const std::string& reply,
                             std::string_view payload, std::span<const HeaderLine> headers) {
  if (stopped_) return;
  ++published_;
  const auto size = static_cast<int>(payload.size());
  if (headers.empty()) {
    if (reply.empty()) {
      natsConnection_Publish(nc_, subject.c_str(), payload.data(), size);
    } else {
      natsConnection_PublishRequest(nc_, subject.c_str(), reply.c_str(), payload.data(), size);
    }
    return;
  }
  natsMsg* msg = nullptr;
  natsStatus status = natsMsg_Create(&msg, subject.c_str(), reply.empty() ? nullptr : reply.c_str(),
                                     payload.data(), size);
  for (const HeaderLine& line : headers) {
    if (status == NATS_OK) status = natsMsgHeader_Set(msg, line.name, line.value);
  }
  if (status == NATS_OK) natsConnection_PublishMsg(nc_, msg);
  if (msg != nullptr) bin_.Put(msg);
}

void NatsConnection::Flush() {
  published_ = 0;
  if (stopped_ || watching_writes_ || link_->closed.load()) return;
  if (!link_->wants_flush.exchange(false)) return;
  if (natsConnection_Buffered(nc_) > 0) natsConnection_ProcessWriteEvent(nc_);
  WatchWrites(natsConnection_Buffered(nc_) > 0);
}

void NatsConnection::WatchWrites(bool wanted) {
  if (watching_writes_ == wanted || link_->closed.load()) return;
  watching_writes_ = wanted;
  loop_->ChangeFd(link_->fd, {.readable = true, .writable = wanted});
}

void NatsConnection::OnReady(Loop::Ready ready) {
  if (stopped_) return;
  if (ready.writable) {
    if (natsConnection_Buffered(nc_) > 0) natsConnection_ProcessWriteEvent(nc_);
    if (natsConnection_Buffered(nc_) <= 0) WatchWrites(false);
  }
  if (ready.readable) {
    silent_intervals_ = 0;
    natsConnection_ProcessReadEvent(nc_);
    Drain();
  }
}

void NatsConnection::Drain() {
  draining_ = true;
  bool unanswered = false;
  // By index: a handler may subscribe.
  for (size_t i = 0; i < subscriptions_.size() && !stopped_; ++i) {
    Subscription* const subscription = subscriptions_[i].get();
    while (!stopped_ && !subscription->dead) {
      natsMsg* msg = nullptr;
      const natsStatus status = natsSubscription_NextMsg(&msg, subscription->sub, 0);
      if (status == NATS_NO_RESPONDERS) {
        if (subscription->on_unanswered) {
          subscription->on_unanswered();
        } else {
          unanswered = true;
        }
        continue;
      }
      if (status != NATS_OK) break;
      NatsMessage message(msg, &bin_);
      subscription->on_message(message);
    }
  }
  draining_ = false;
  std::erase_if(subscriptions_, [](const auto& held) { return held->dead; });
  if (unanswered) {
    Lose(Cat("nobody answers at ", server_.url, ": no JetStream, or the stream has no leader"));
  }
}

void NatsConnection::CheckClosed() {
  if (stopped_ || !link_->closed.load()) return;
  const char* detail = nullptr;
  const natsStatus status = natsConnection_GetLastError(nc_, &detail);
  std::string text = Cat("the connection to ", server_.url, " is lost");
  if (status != NATS_OK && detail != nullptr) CatTo(text, ": ", std::string_view(detail));
  Lose(text);
}

void NatsConnection::OnLameDuck() {
  if (stopped_ || !on_lame_duck_) return;
  std::exchange(on_lame_duck_, nullptr)();
}

void NatsConnection::Lose(const std::string& why) {
  if (stopped_ || !on_closed_) return;
  loop_->Cancel(std::exchange(life_timer_, 0));
  loop_->UnwatchFd(link_->fd);
  const ClosedFn on_closed = std::exchange(on_closed_, nullptr);
  on_closed(absl::UnavailableError(why));
}

}  // namespace jetd::jetstream
