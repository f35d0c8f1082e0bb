// SPDX-License-Identifier: Apache-2.0
#include "rpc/transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/strings.h"
#include "rpc/bounds.h"
#include "rpc/client.h"
#include "rpc/complaints.h"
#include "rpc/core.h"
#include "rpc/tls_wire.h"

namespace jetd::rpc {
namespace {

// One that listens, and what its TLS needs.
struct Door {
  std::unique_ptr<ListeningSocket> socket;
  std::unique_ptr<TlsContexts> tls;  // null: none
  bool open = true;
};

}  // namespace

class Transport::Impl final : public Client::Owner, public std::enable_shared_from_this<Impl> {
 public:
  Impl(Loop* loop, const Methods* methods, Options options)
      : loop_(loop),
        http1_(std::move(options.http1)),
        core_(loop, methods, options),
        most_clients_(options.max_connections == 0 ? RoomForClients() : options.max_connections),
        buffer_(limits::kReceiveBytes) {}

  void Serve(std::vector<std::unique_ptr<ListeningSocket>> sockets) {
    for (auto& socket : sockets) {
      auto door = std::make_unique<Door>();
      door->socket = std::move(socket);
      if (door->socket->tls() != nullptr) {
        door->tls = std::make_unique<TlsContexts>(door->socket->tls());
      }
      loop_->WatchFd(door->socket->fd(), {.readable = true},
                     [this, at = door.get()](Loop::Ready) { Accept(at); });
      doors_.push_back(std::move(door));
    }
  }

  void StopAccepting() {
    for (const auto& door : doors_) loop_->UnwatchFd(door->socket->fd());
    doors_.clear();
    if (pause_ != 0) loop_->Cancel(std::exchange(pause_, 0));
  }

  void Drain() {
    StopAccepting();
    ForEachClient([](Client* client) { client->Drain(); });
  }

  void EndNow(std::function<void()> gone) {
    StopAccepting();
    gone_ = std::move(gone);
    ForEachClient([](Client* client) { client->EndNow(); });
    TellGone();
  }

  void Close() {
    StopAccepting();
    ForEachClient([](Client* client) { client->CloseNow(); });
    EndRound();
    closed_.clear();
  }

  // At the end of each round.
  void EndRound() {
    greetings_ = 0;
    while (!working_.empty()) {
      std::vector<Client*> batch;
      batch.swap(working_);
      for (Client* client : batch) client->Turn();
    }
    closed_.clear();
  }

  // In the round after.
  void BeginRound() {
    posted_ = false;
    while (!greeting_.empty() && greetings_ < limits::kHandshakesPerTurn) {
      Client* const client = greeting_.front();
      greeting_.pop_front();
      // It may be gone, and another in its place.
      if (clients_.count(client) > 0 && client->Greet()) ++greetings_;
    }
    if (!greeting_.empty()) PostRound();
    std::vector<Client*> batch;
    batch.swap(working_next_);
    for (Client* client : batch) {
      if (client != nullptr) client->place = Client::kNowhere;
    }
    for (Client* client : batch) {
      if (client != nullptr) client->Again();
    }
  }

  [[nodiscard]] size_t connections() const { return clients_.size(); }
  [[nodiscard]] size_t calls() const {
    size_t calls = 0;
    for (const auto& [client, owned] : clients_) calls += client->calls();
    return calls;
  }

  void OnWork(Client* client) override {
    // Another turn of the hooks, where they are through already in this round.
    if (working_.empty()) loop_->Defer([] {});
    working_.push_back(client);
  }
  void OnMoreWork(Client* client) override {
    if (client->place != Client::kNowhere) return;
    client->place = working_next_.size();
    working_next_.push_back(client);
    PostRound();
  }
  void OnClosed(Client* client) override {
    const auto it = clients_.find(client);
    if (it == clients_.end()) return;
    if (client->place != Client::kNowhere) working_next_[client->place] = nullptr;
    closed_.push_back(std::move(it->second));
    clients_.erase(it);
    if (working_.empty()) loop_->Defer([] {});
    if (clients_.size() < most_clients_ && std::exchange(full_, false)) OpenDoors();
    TellGone();
  }
  [[nodiscard]] bool MayGreet(Client* client) override {
    if (greeting_.empty() && greetings_ < limits::kHandshakesPerTurn) {
      ++greetings_;
      return true;
    }
    greeting_.push_back(client);
    PostRound();
    return false;
  }
  [[nodiscard]] char* buffer() override { return buffer_.data(); }
  [[nodiscard]] bool HandOver(Wire* wire, std::string received) override {
    if (http1_ == nullptr) return false;
    Http1Client client = wire->Release();
    client.received = std::move(received);
    http1_(std::move(client));
    return true;
  }

 private:
  template <typename Fn>
  void ForEachClient(const Fn& fn) {
    std::vector<Client*> all;
    for (const auto& [client, owned] : clients_) all.push_back(client);
    for (Client* client : all) fn(client);
  }

  // What a process may have, as etcd bounds its listeners.
  static size_t RoomForClients() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    const auto all = static_cast<size_t>(limit.rlim_cur);
    return std::max<size_t>(all - std::min(all, kSpareDescriptors), 1);
  }

  void PostRound() {
    if (std::exchange(posted_, true)) return;
    loop_->Post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->BeginRound();
    });
  }

  void TellGone() {
    if (clients_.empty() && gone_) loop_->Defer(std::exchange(gone_, nullptr));
  }

  void Accept(Door* door) {
    for (int i = 0; i < limits::kAcceptsPerTurn; ++i) {
      if (clients_.size() >= most_clients_) {
        full_ = true;
        Complain(Cat("no more than ", most_clients_, " clients are taken at a time"));
        return CloseDoors();
      }
      const int fd = accept4(door->socket->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) Pause();
        if (errno == ECONNABORTED || errno == EINTR) continue;
        return;
      }
      // Of a unix socket it fails, and does not matter.
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      auto wire = door->tls == nullptr ? Wire::Plain(fd) : door->tls->Accept(fd);
      if (wire == nullptr) continue;
      auto client = std::make_unique<Client>(loop_, &core_, this, std::move(wire));
      clients_.emplace(client.get(), std::move(client));
    }
  }

  void Pause() {
    if (pause_ != 0) return;
    Complain("no descriptor is left for a client");
    CloseDoors();
    pause_ = loop_->RunAfter(limits::kAcceptPause, [this] {
      pause_ = 0;
      if (!full_) OpenDoors();
    });
  }

  // Who waits stays readable, so that the loop would not sleep.
  void CloseDoors() {
    for (const auto& door : doors_) loop_->ChangeFd(door->socket->fd(), {});
  }
  void OpenDoors() {
    if (pause_ != 0) return;
    for (const auto& door : doors_) loop_->ChangeFd(door->socket->fd(), {.readable = true});
  }

  void Complain(std::string_view why) {
    if (!complaints_.Due(loop_->Now())) return;
    log::Warn("{}: others wait until one goes (see ulimit -n)", why);
  }

  Loop* const loop_;
  const Http1Handler http1_;
  Core core_;
  const size_t most_clients_;
  std::vector<char> buffer_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::unordered_map<Client*, std::unique_ptr<Client>> clients_;
  std::vector<Client*> working_;       // in this round
  std::vector<Client*> working_next_;  // in the next; null: closed meanwhile
  std::deque<Client*> greeting_;       // those that wait for a step of their handshake
  std::vector<std::unique_ptr<Client>> closed_;
  std::function<void()> gone_;  // EndNow's
  TimerId pause_ = 0;
  Complaints complaints_;
  bool full_ = false;
  int greetings_ = 0;
  bool posted_ = false;
};

Transport::Transport(Loop* loop, const Methods* methods, Options options)
    : loop_(loop), impl_(std::make_shared<Impl>(loop, methods, std::move(options))) {}

Transport::~Transport() { impl_->Close(); }

void Transport::Serve(std::vector<std::unique_ptr<ListeningSocket>> sockets) {
  impl_->Serve(std::move(sockets));
  // The loop keeps its hooks for ever.
  loop_->AddRoundHook([weak = std::weak_ptr<Impl>(impl_)] {
    if (const auto impl = weak.lock()) impl->EndRound();
  });
}

void Transport::Drain() { impl_->Drain(); }
void Transport::EndNow(std::function<void()> gone) { impl_->EndNow(std::move(gone)); }
void Transport::Close() { impl_->Close(); }
size_t Transport::connections() const { return impl_->connections(); }
size_t Transport::calls() const { return impl_->calls(); }

}  // namespace jetd::rpc
