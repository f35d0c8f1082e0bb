// SPDX-License-Identifier: Apache-2.0
#include "conformance/relay/relayed_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace jetd::conformance {
namespace {

// What the relay holds itself, a direction; the kernel's buffers hold more.
constexpr size_t kMaxBufferedBytes = 256UL << 10;
constexpr size_t kReadBytes = 64UL << 10;
constexpr size_t kThrottledPiecesPerSecond = 50;

}  // namespace

RelayedConnection::RelayedConnection(Relay* relay, uint64_t number, int client_fd, int target_fd)
    : relay_(relay), number_(number) {
  sides_[0].fd = client_fd;
  sides_[1].fd = target_fd;
  pipes_[0].direction = Relay::Direction::kUp;
  pipes_[1].direction = Relay::Direction::kDown;
  const int on = 1;
  for (const Side& side : sides_) {
    setsockopt(side.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
}

RelayedConnection::~RelayedConnection() {
  for (const Pipe& pipe : pipes_) relay_->loop_.Cancel(pipe.timer);
  for (const Side& side : sides_) {
    relay_->loop_.UnwatchFd(side.fd);
    if (side.end == End::kReset) {
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      setsockopt(side.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    close(side.fd);
  }
}

void RelayedConnection::set_end(Relay::Direction receiver_of, End end) {
  SinkOf(pipes_[Relay::Index(receiver_of)]).end = end;
}

bool RelayedConnection::Held(const Pipe& pipe) const {
  return held_alone_ || relay_->held(pipe.direction);
}

void RelayedConnection::Update() {
  for (Pipe& pipe : pipes_) {
    if (connected_ && !finished_) Send(pipe);
  }
  if (finished_) return;
  for (size_t side = 0; side < 2; ++side) UpdateSide(side);
}

// A socket that nothing is wanted of is not watched at all: an end or an error would be reported
// again and again.
void RelayedConnection::UpdateSide(size_t number) {
  Side& side = sides_[number];
  const Pipe& from = pipes_[number];
  const Pipe& to = pipes_[1 - number];
  const Loop::Ready wanted = {
      .readable = connected_ && !from.source_ended && !Held(from) &&
                  from.buffered_bytes < kMaxBufferedBytes,
      .writable = (number == 1 && !connected_) || (to.sink_full && !Held(to))};
  if (wanted.readable == side.watched.readable && wanted.writable == side.watched.writable) return;
  const bool was_watched = side.watched.readable || side.watched.writable;
  side.watched = wanted;
  if (!wanted.readable && !wanted.writable) {
    relay_->loop_.UnwatchFd(side.fd);
  } else if (was_watched) {
    relay_->loop_.ChangeFd(side.fd, wanted);
  } else {
    relay_->loop_.WatchFd(side.fd, wanted,
                          [this, number](Loop::Ready ready) { OnReady(number, ready); });
  }
}

void RelayedConnection::OnReady(size_t side, Loop::Ready ready) {
  if (finished_) return;
  if (!connected_) {
    OnConnected();
    return;
  }
  if (ready.writable) pipes_[1 - side].sink_full = false;
  if (ready.readable && sides_[side].watched.readable) {
    Read(pipes_[side]);
  } else if (ready.readable) {
    // Not asked for: the other end is gone altogether.
    Finish();
  }
  Update();
}

void RelayedConnection::OnConnected() {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(sides_[1].fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    Finish();
    return;
  }
  connected_ = true;
  Update();
}

void RelayedConnection::Read(Pipe& pipe) {
  std::string bytes(kReadBytes, '\0');
  const ssize_t got = recv(SourceOf(pipe).fd, bytes.data(), bytes.size(), 0);
  if (got > 0) {
    bytes.resize(static_cast<size_t>(got));
    pipe.buffered_bytes += bytes.size();
    pipe.chunks.push_back({relay_->loop_.Now() + relay_->delay(), std::move(bytes)});
  } else if (got == 0) {
    pipe.source_ended = true;
  } else if (errno != EAGAIN && errno != EINTR) {
    Finish();
  }
}

size_t RelayedConnection::MaySend(Pipe& pipe) {
  const Chunk& chunk = pipe.chunks.front();
  const MonoTime now = relay_->loop_.Now();
  const MonoTime when = std::max(chunk.due, pipe.not_before);
  if (when > now) {
    LookAgain(pipe, when);
    return 0;
  }
  size_t bytes = chunk.bytes.size();
  if (const size_t rate = relay_->bytes_per_second(); rate > 0) {
    bytes = std::clamp<size_t>(rate / kThrottledPiecesPerSecond, 1, bytes);
    pipe.not_before = now + std::chrono::nanoseconds(bytes * 1'000'000'000 / rate);
  }
  return relay_->Pass(pipe.direction, bytes);
}

void RelayedConnection::LookAgain(Pipe& pipe, MonoTime when) {
  if (pipe.timer != 0) return;
  pipe.timer = relay_->loop_.RunAt(when, [this, &pipe] {
    pipe.timer = 0;
    Update();
  });
}

void RelayedConnection::Send(Pipe& pipe) {
  if (Held(pipe)) return;
  while (!pipe.chunks.empty() && !pipe.sink_full) {
    const size_t bytes = MaySend(pipe);
    if (bytes == 0) return;
    Chunk& chunk = pipe.chunks.front();
    const ssize_t sent = send(SinkOf(pipe).fd, chunk.bytes.data(), bytes, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EINTR) {
        pipe.sink_full = true;
      } else {
        Finish();
      }
      return;
    }
    relay_->NotePassed(pipe.direction, static_cast<size_t>(sent));
    pipe.buffered_bytes -= static_cast<size_t>(sent);
    chunk.bytes.erase(0, static_cast<size_t>(sent));
    if (chunk.bytes.empty()) pipe.chunks.pop_front();
  }
  if (!pipe.chunks.empty() || !pipe.source_ended || std::exchange(pipe.sink_told, true)) return;
  shutdown(SinkOf(pipe).fd, SHUT_WR);
  if (pipes_[0].sink_told && pipes_[1].sink_told) {
    for (Side& side : sides_) side.end = End::kOrderly;
    Finish();
  }
}

void RelayedConnection::Finish() {
  if (std::exchange(finished_, true)) return;
  for (Side& side : sides_) {
    relay_->loop_.UnwatchFd(side.fd);
    side.watched = {};
  }
  relay_->Remove(number_);
}

}  // namespace jetd::conformance
