// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_CONNECTION_H_
#define JETD_RPC_CONNECTION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "rpc/bounds.h"
#include "rpc/byte_budget.h"
#include "rpc/core.h"
#include "rpc/output.h"
#include "rpc/ping_policy.h"
#include "rpc/stream.h"
#include "rpc/timer_wheel.h"

struct nghttp2_session;

namespace jetd::rpc {

// Connection is one client's HTTP/2: an nghttp2 session and the calls on it. It knows no socket:
// bytes go in by Receive, frames come out by Fill into output().
//
//   Receive ─> RunEvents ─> handlers ─> Read, Write, Finish ─> Fill ─> output()
//
// nghttp2 is called back from nowhere but Receive and Fill, and handlers from nowhere but
// RunEvents; neither is called from inside the other. Engine thread.
class Connection {
 public:
  // Whoever brings the bytes.
  class Host {
   public:
    // There is something to do: RunEvents, then Fill. Called from anywhere, also many times.
    virtual void OnWork() = 0;
    // Before a call is opened: an error is its end.
    [[nodiscard]] virtual Status Admit() { return {}; }

   protected:
    ~Host() = default;
  };

  // Both outlive it.
  Connection(Core* core, Host* host);
  // REQUIRES: that no call is left.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Bytes of the client, from its preface on. False: it is not to be listened to any more; what
  // Fill makes is the last.
  [[nodiscard]] bool Receive(std::string_view bytes);
  // Tells handlers what there is, to `most` calls. True: there is more.
  bool RunEvents(size_t most);
  [[nodiscard]] bool has_events() const {
    return batch_done_ < batch_.size() || !events_.empty() || (!parked_.empty() && !Crowded());
  }
  // There is more to say than a client that takes nothing should be able to ask for.
  [[nodiscard]] bool is_full() const;
  // Makes frames of what there is to say, as far as output() may grow: to a frame beyond its bounds
  // at most.
  void Fill();
  [[nodiscard]] bool may_fill() const {
    return output_.size() < limits::kSendBytes &&
           output_.copied_bytes() < limits::kMaxOutgoingBytes;
  }
  [[nodiscard]] Output& output() { return output_; }
  // True if this client and we are done, but for what is in output().
  [[nodiscard]] bool finished() const;
  // The client has sent its settings: it does speak HTTP/2.
  [[nodiscard]] bool greeted() const { return greeted_; }
  [[nodiscard]] size_t calls() const { return streams_.size(); }

  // Tells the client that this connection takes no new calls, in two steps, so that none is lost
  // that it sends meanwhile. Those under way go on.
  void Drain();
  // As soon as may be: without asking whether the client has heard.
  void EndNow();
  // The client is gone. All calls hear OnOver, in RunEvents.
  void Abort();

  // For streams ----------------------------------------------------------------------------------
  [[nodiscard]] Core* core() const { return core_; }
  [[nodiscard]] Host* host() const { return host_; }
  [[nodiscard]] bool deaf() const { return deaf_; }
  // Bytes of messages that are not in frames: so many more, or less.
  void Waiting(ptrdiff_t bytes) { waiting_bytes_ += static_cast<size_t>(bytes); }
  // The same of an answer to a unary call: what waited of it, and what waits now. What streams say
  // is bounded by their handlers.
  void AnswerWaits(size_t before, size_t now) {
    if (now > before) {
      unsent_.Add(now - before);
    } else {
      unsent_.Give(before - now);
    }
    answers_weight_ += std::min(now, kMaxAnswerWeight);
    answers_weight_ -= std::min(before, kMaxAnswerWeight);
  }
  // Of messages that come.
  [[nodiscard]] ByteShare* incoming() { return &incoming_; }
  void Queue(Stream* stream);
  // So many answers wait that unary calls wait too: among parked().
  [[nodiscard]] bool Crowded() const {
    return answers_weight_ > kMaxUnsentBytesEach || !unsent_.Fits(0);
  }
  [[nodiscard]] std::list<Stream*>* parked() { return &parked_; }
  // For an answer of such a size, which is all that its call has to say.
  [[nodiscard]] bool HasRoomFor(size_t bytes) const {
    return core_->unsent.used() == 0 || unsent_.Fits(bytes);
  }
  // The client may send so much more.
  void Consume(int32_t stream, size_t bytes);
  void Begin(Stream* stream);   // headers, with messages behind them
  void Resume(int32_t stream);  // there is a message again
  void SendTrailers(Stream* stream);
  void SendOnlyTrailers(Stream* stream, int http_status);
  void Reset(int32_t stream);

 private:
  friend struct Http2Events;

  void OnPing(bool is_ack, const uint8_t* data);
  void OnSettings();
  void OnKeepalive();
  [[nodiscard]] Stream* NextEvent();
  void LookAtAnswers();
  void FarewellHeard();
  void Farewell(uint32_t error, std::string_view why);
  Stream* Add(int32_t id);
  void Free(Stream* stream);

  Core* const core_;
  Host* const host_;
  nghttp2_session* session_ = nullptr;
  ByteShare incoming_;
  ByteShare unsent_;
  Output output_;
  PingPolicy pings_;
  TimerWheel::Timer keepalive_;
  TimerWheel::Timer farewell_;
  TimerWheel::Timer look_;  // at answers, while some wait
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<Stream*> events_;
  std::vector<Stream*> batch_;  // of RunEvents, from batch_done_ on
  size_t batch_done_ = 0;
  size_t waiting_bytes_ = 0;
  size_t answers_weight_ = 0;
  std::list<Stream*> parked_;  // with a message that their handlers get later
  MonoTime last_received_{};
  bool greeted_ = false;
  std::optional<MonoTime> asked_alive_;  // when the keepalive ping that is out was sent
  bool draining_ = false;
  bool said_farewell_ = false;
  bool deaf_ = false;  // nothing more is received
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_CONNECTION_H_
