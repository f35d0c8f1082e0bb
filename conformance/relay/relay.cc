// SPDX-License-Identifier: Apache-2.0
#include "conformance/relay/relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "conformance/relay/relayed_connection.h"

namespace jetd::conformance {
namespace {

constexpr int kBacklog = 128;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int NewSocket() { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

}  // namespace

Relay::Relay(int target_port) : target_port_(target_port) {}

absl::StatusOr<std::unique_ptr<Relay>> Relay::Start(int target_port) {
  std::unique_ptr<Relay> relay(new Relay(target_port));
  if (absl::Status bound = relay->Bind(); !bound.ok()) return bound;
  relay->thread_ = std::thread([raw = relay.get()] { raw->loop_.Run(); });
  absl::Status listening;
  relay->Do([&] { listening = relay->Listen(); });
  if (!listening.ok()) return listening;
  return relay;
}

Relay::~Relay() {
  if (thread_.joinable()) {
    Do([this] {
      StopListening();
      connections_.clear();
    });
    loop_.Stop();
    thread_.join();
  }
  if (listener_ >= 0) close(listener_);
}

// The port is this relay's as long as the socket is bound, also when it does not listen.
absl::Status Relay::Bind() {
  listener_ = NewSocket();
  const int on = 1;
  sockaddr_in address = Loopback(port_);
  socklen_t size = sizeof(address);
  if (listener_ < 0 || setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return MakeStatus(absl::StatusCode::kUnavailable,
                      "no port for a relay: ", std::string_view(std::strerror(errno)));
  }
  port_ = ntohs(address.sin_port);
  return absl::OkStatus();
}

absl::Status Relay::Listen() {
  if (listening_) return absl::OkStatus();
  if (listen(listener_, kBacklog) != 0) {
    return MakeStatus(absl::StatusCode::kUnavailable,
                      "a relay cannot listen: ", std::string_view(std::strerror(errno)));
  }
  listening_ = true;
  loop_.WatchFd(listener_, {.readable = true}, [this](Loop::Ready) { Accept(); });
  return absl::OkStatus();
}

void Relay::StopListening() {
  if (!std::exchange(listening_, false)) return;
  loop_.UnwatchFd(listener_);
  close(std::exchange(listener_, -1));
}

void Relay::Do(const std::function<void()>& fn) {
  std::promise<void> done;
  loop_.Post([&] {
    fn();
    done.set_value();
  });
  done.get_future().wait();
}

void Relay::Accept() {
  while (true) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    ++counts_.accepted;
    const int target = NewSocket();
    JETD_CHECK(target >= 0) << "no socket: errno " << errno;
    sockaddr_in address = Loopback(target_port_);
    // Whether it worked is told when the socket is writable.
    (void)connect(target, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    const uint64_t number = next_number_++;
    const auto [place, added] = connections_.emplace(
        number, std::make_unique<RelayedConnection>(this, number, client, target));
    place->second->Update();
  }
}

void Relay::Remove(uint64_t number) {
  loop_.Defer([this, number] { connections_.erase(number); });
}

void Relay::CutAll() {
  counts_.cut += connections_.size();
  connections_.clear();
}

void Relay::UpdateAll() {
  for (const auto& [number, connection] : connections_) connection->Update();
}

size_t Relay::Pass(Direction direction, size_t wanted) {
  const size_t i = Index(direction);
  if (!limited_[i]) return wanted;
  if (left_[i] > 0) return std::min(wanted, left_[i]);
  if (!std::exchange(cut_is_due_, true)) {
    // Who receives in this direction has the last byte that was let through; the reset is for the
    // others.
    for (const auto& [number, connection] : connections_) {
      connection->set_end(direction, RelayedConnection::End::kOrderly);
    }
    loop_.Defer([this, i] {
      limited_[i] = false;
      CutAll();
    });
  }
  return 0;
}

void Relay::NotePassed(Direction direction, size_t bytes) {
  const size_t i = Index(direction);
  (direction == Direction::kUp ? counts_.up_bytes : counts_.down_bytes) += bytes;
  if (limited_[i]) left_[i] -= bytes;
}

void Relay::Cut() {
  Do([this] { CutAll(); });
}

void Relay::CutAfter(Direction direction, size_t bytes) {
  Do([this, i = Index(direction), bytes] {
    limited_[i] = true;
    left_[i] = bytes;
    cut_is_due_ = false;
  });
}

bool Relay::cut_is_due() {
  bool due = false;
  Do([&] { due = cut_is_due_; });
  return due;
}

void Relay::Hold(Direction direction) {
  Do([this, i = Index(direction)] {
    held_[i] = true;
    UpdateAll();
  });
}

void Relay::HoldPresent() {
  Do([this] {
    for (const auto& [number, connection] : connections_) connection->set_held_alone(true);
    UpdateAll();
  });
}

void Relay::Delay(std::chrono::milliseconds delay) {
  Do([this, delay] { delay_ = delay; });
}

void Relay::Throttle(size_t bytes_per_second) {
  Do([this, bytes_per_second] { bytes_per_second_ = bytes_per_second; });
}

void Relay::Refuse() {
  Do([this] {
    StopListening();
    CutAll();
    if (listener_ < 0) {
      const absl::Status bound = Bind();
      JETD_CHECK(bound.ok()) << bound;
    }
  });
}

void Relay::Release() {
  Do([this] {
    held_[0] = held_[1] = limited_[0] = limited_[1] = false;
    delay_ = {};
    bytes_per_second_ = 0;
    const absl::Status listening = Listen();
    JETD_CHECK(listening.ok()) << listening;
    for (const auto& [number, connection] : connections_) connection->set_held_alone(false);
    UpdateAll();
  });
}

Relay::Counts Relay::counts() {
  Counts counts;
  Do([&] {
    counts = counts_;
    counts.open = connections_.size();
  });
  return counts;
}

}  // namespace jetd::conformance
