// SPDX-License-Identifier: Apache-2.0
#include "rpc/client.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"

namespace jetd::rpc {
namespace {

// What each HTTP/2 client says first.
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// Calls that are told something before others get their turn.
constexpr size_t kEventsPerTurn = 1'000;
constexpr int kPassesPerTurn = 16;
// How long one that we leave may take to read our last words.
constexpr std::chrono::seconds kLastWords{1};
// … and one that has done nothing wrong, until all is with its socket.
constexpr std::chrono::seconds kLastAnswers{30};

}  // namespace

Client::Client(Loop* loop, Core* core, Owner* owner, std::unique_ptr<Wire> wire)
    : loop_(loop),
      core_(core),
      owner_(owner),
      wire_(std::move(wire)),
      patience_([](void* self) { static_cast<Client*>(self)->OnSilence(); }, this),
      stage_(wire_->greets() ? Stage::kGreeting : Stage::kPreface) {
  loop_->WatchFd(wire_->fd(), watched_, [this](Loop::Ready ready) { OnReady(ready); });
  core_->wheel.Set(&patience_, core_->executor->Now() + core_->options.greeting_timeout);
}

Client::~Client() { CloseNow(); }

void Client::OnWork() {
  if (has_turn_ || stage_ == Stage::kClosed) return;
  has_turn_ = true;
  owner_->OnWork(this);
}

void Client::OnSilence() {
  const bool speaks = stage_ == Stage::kHttp2 && connection_->greeted();
  if (!speaks || connection_->finished()) Close();
}

// --- What comes -------------------------------------------------------------------------------

void Client::OnReady(Loop::Ready ready) {
  if (stage_ == Stage::kClosed) return;
  if (stage_ == Stage::kGreeting) {
    // Only its end is told while it waits.
    if (waits_) return Close();
    if (owner_->MayGreet(this)) return GreetOn();
    // Ready all the time, it would take the place of others in the loop's rounds.
    waits_ = true;
    return WatchFor({});
  }
  const bool goes_on = ready.writable && wire_->wants_writable();
  const bool unblocked = ready.writable && blocked_;
  if (unblocked) {
    blocked_ = false;
    OnWork();
  }
  // Choked, it is told when it is gone.
  if (ready.readable || (watched_.readable && (wire_->has_more() || goes_on))) OnReadable();
  // Its turn shows whether it is choked still.
  if (stage_ != Stage::kClosed && !unblocked) Watch();
}

void Client::GreetOn() {
  const Wire::Greeting greeting = wire_->Greet();
  if (greeting == Wire::Greeting::kFailed) return Close();
  if (greeting == Wire::Greeting::kDone) {
    stage_ = Stage::kPreface;
    OnReadable();  // its first words may have come along
  }
  if (stage_ != Stage::kClosed) Watch();
}

bool Client::Greet() {
  if (stage_ != Stage::kGreeting || !std::exchange(waits_, false)) return false;
  GreetOn();
  return true;
}

void Client::OnReadable() {
  const ssize_t got = wire_->Receive(owner_->buffer(), limits::kReceiveBytes);
  if (got < 0) return Close();
  if (got > 0) OnReceived({owner_->buffer(), static_cast<size_t>(got)});
  if (stage_ != Stage::kClosed && wire_->has_more()) owner_->OnMoreWork(this);
}

void Client::OnReceived(std::string_view bytes) {
  if (stage_ == Stage::kPreface) {
    OnFirstBytes(bytes);
  } else if (stage_ == Stage::kHttp2 && connection_->Receive(bytes)) {
    connection_->RunEvents(kEventsPerTurn);
  }
}

void Client::OnFirstBytes(std::string_view bytes) {
  first_bytes_.append(bytes);
  const size_t known = std::min(first_bytes_.size(), kPreface.size());
  if (first_bytes_.compare(0, known, kPreface, 0, known) != 0) {
    // What is handed over is not ours to watch any more.
    loop_->UnwatchFd(wire_->fd());
    stage_ = Stage::kClosed;
    patience_.Cancel();
    (void)owner_->HandOver(wire_.get(), std::move(first_bytes_));
    return EndCalls(0);
  }
  if (known < kPreface.size()) return;
  stage_ = Stage::kHttp2;
  connection_ = std::make_unique<Connection>(core_, this);
  const std::string first = std::exchange(first_bytes_, {});
  if (connection_->Receive(first)) connection_->RunEvents(kEventsPerTurn);
}

// --- What goes --------------------------------------------------------------------------------

bool Client::Say() {
  constexpr int kPieces = 256;
  std::array<iovec, kPieces> pieces;
  Output& output = connection_->output();
  const size_t before = output.size();
  const int count = output.Pieces(pieces.data(), kPieces);
  const ssize_t sent = wire_->Send(pieces.data(), count);
  if (sent < 0) return false;
  output.Advance(static_cast<size_t>(sent));
  size_t offered = 0;
  for (int i = 0; i < count; ++i) offered += pieces[static_cast<size_t>(i)].iov_len;
  blocked_ = static_cast<size_t>(sent) < std::min(before, offered);
  return true;
}

void Client::Turn() {
  SayAll();
  // What was asked for meanwhile is done.
  has_turn_ = false;
}

void Client::SayAll() {
  // One that is choked has its turn when it is not.
  const bool hears = watched_.readable && stage_ != Stage::kGreeting;
  if (stage_ < Stage::kLeaving && hears && wire_->has_more()) OnReadable();
  if (stage_ == Stage::kLeaving && connection_->RunEvents(kEventsPerTurn)) owner_->OnMoreWork(this);
  if (stage_ != Stage::kHttp2) return;
  Output& output = connection_->output();
  size_t sent = 0;
  bool done = false;
  for (int pass = 0; !done && pass < kPassesPerTurn && sent < limits::kSendBytes; ++pass) {
    connection_->RunEvents(kEventsPerTurn);
    if (!output.begun()) connection_->Fill();
    // What handlers say to this goes along with it.
    if (connection_->has_events() && connection_->may_fill()) continue;
    const size_t before = output.size();
    if (before > 0 && !blocked_ && !Say()) return Close();
    sent += before - output.size();
    done = blocked_ || before == 0;
  }
  if (connection_->finished()) {
    if (output.empty()) return Leave();
    const auto patience = connection_->deaf() ? kLastWords : kLastAnswers;
    if (!std::exchange(ending_, true)) {
      core_->wheel.Set(&patience_, core_->executor->Now() + patience);
    }
  }
  if (!done || connection_->has_events()) owner_->OnMoreWork(this);
  Watch();
}

// What the socket is to be watched for.
void Client::Watch() {
  if (waits_) return;
  const bool choked = blocked_ && stage_ == Stage::kHttp2 && connection_->is_full();
  // What waits in the wire is not announced by the socket.
  if (!choked && !watched_.readable && wire_->has_more()) owner_->OnMoreWork(this);
  WatchFor({.readable = !choked, .writable = blocked_ || wire_->wants_writable()});
}

void Client::WatchFor(Loop::Ready wanted) {
  if (wanted.readable == watched_.readable && wanted.writable == watched_.writable) return;
  watched_ = wanted;
  loop_->ChangeFd(wire_->fd(), wanted);
}

// --- Its end ----------------------------------------------------------------------------------

void Client::Drain() {
  if (stage_ == Stage::kHttp2) {
    connection_->Drain();
  } else if (stage_ != Stage::kLeaving) {
    Close();
  }
}

void Client::EndNow() {
  if (stage_ == Stage::kHttp2) {
    connection_->EndNow();
  } else if (stage_ != Stage::kLeaving) {
    Close();
  }
}

// A socket that is closed with bytes unread takes back what it has sent. So the client is waited
// for, for a moment.
void Client::Leave() {
  stage_ = Stage::kLeaving;
  connection_->Abort();
  wire_->Leave();
  core_->wheel.Set(&patience_, core_->executor->Now() + kLastWords);
  if (connection_->RunEvents(kEventsPerTurn)) owner_->OnMoreWork(this);
  Watch();
}

void Client::Close() {
  if (stage_ == Stage::kClosed) return;
  stage_ = Stage::kClosed;
  patience_.Cancel();
  loop_->UnwatchFd(wire_->fd());
  if (connection_ != nullptr) connection_->Abort();
  EndCalls(kEventsPerTurn);
}

void Client::CloseNow() {
  Close();
  EndCalls(SIZE_MAX);
}

// Each of thousands of calls has a handler that hears of it.
void Client::EndCalls(size_t most) {
  if (closed_) return;
  if (connection_ != nullptr && connection_->RunEvents(most)) return owner_->OnMoreWork(this);
  closed_ = true;
  owner_->OnClosed(this);
}

void Client::Again() {
  if (stage_ == Stage::kClosed) return EndCalls(kEventsPerTurn);
  OnWork();
}

}  // namespace jetd::rpc
