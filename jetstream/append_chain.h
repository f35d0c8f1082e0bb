// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_APPEND_CHAIN_H_
#define JETD_JETSTREAM_APPEND_CHAIN_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/loop.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"

namespace jetd::jetstream {

// How a refused publish is told to the committer (see Log::Observer::OnRefused).
[[nodiscard]] absl::Status RefusalOf(const ApiError& error);

// The appends and barriers of one connection and their answers, which it hands on in the order of
// the calls. The server answers in that order too, but for a full queue, which it tells at once:
//
//   sent      5, 6, 7            (each with Nats-Expected-Last-Sequence 4, 5, 6)
//   answers   7 refused (queue)  held back
//             5 appended         told: 5 appended
//             6 appended         told: 6 appended, 7 refused
//
// With `Options::answer_for_group` only the last of those sent together asks for an answer, which
// is half of what an append costs the server beyond storing it (docs/adr/0043):
//
//   sent      5, 6, 7?           (? asks)
//   answers   7 appended         told: 5, 6, 7 appended: 7 lands only behind 6, and 6 behind 5
//   or        7 refused          told: 5, 6, 7 refused; the tail says what landed
//
// Who is refused has to know why, so after a refusal all ask for a while. And those ask that an
// append of an earlier connection may still overtake, for there the chain proves nothing: 7 lands
// behind whatever took the place of 6.
//
// The engine thread's alone. Callbacks come from the connection's messages only.
class AppendChain {
 public:
  struct Callbacks {
    std::function<void(StreamSeq)> appended;
    std::function<void(StreamSeq, const absl::Status&)> refused;
    // The server did what it must never do, or is silent: this connection is of no use.
    std::function<void(const absl::Status&)> broken;
  };
  struct Options {
    std::string publish_prefix;           // before every subject; with a domain "$JS.<domain>.API."
    std::string subject_prefix;           // "$KV.<bucket>."
    std::string barrier_subject;          // one that the stream takes
    std::chrono::nanoseconds patience{};  // for the oldest answer
    // Nobody else appends, by any connection. Otherwise every append asks.
    bool answer_for_group = false;
    // Up to here earlier connections have sent appends; these ask, each for itself.
    StreamSeq sent_before;
  };
  // So many appends ask after a refusal.
  static constexpr size_t kAskAfterRefusal = 1024;
  // A larger one is not held back for the next, but asks and is sent.
  static constexpr size_t kMaxHeldBytes = 32UL << 10;

  AppendChain(Loop* loop, NatsConnection* connection, Options options, Callbacks callbacks);
  ~AppendChain();

  void Append(StreamSeq predicted, const NewRecord& record);
  void Barrier(Log::SeqFn done);
  // What was appended so far is sent now, as a group.
  void EndGroup();
  // Appends that are not with the connection yet: 0 or 1.
  [[nodiscard]] size_t held() const { return held_ ? 1 : 0; }
  // Calls back the barriers that wait; nothing comes after it.
  void Fail(const absl::Status& why);
  // Nothing comes after it either, and nobody is told.
  void Drop();

 private:
  enum class State : uint8_t { kWaiting, kAppended, kRefused, kBarrierDone };
  struct Pending {
    StreamSeq seq;  // predicted; for a barrier the answer
    MonoTime sent;
    State state = State::kWaiting;
    bool asks = true;
    absl::Status why;
    Log::SeqFn barrier;  // set: a barrier
  };

  uint64_t Enqueue(StreamSeq predicted, Log::SeqFn barrier);
  [[nodiscard]] bool MayGoUnanswered(StreamSeq predicted, const NewRecord& record);
  void Hold(const NewRecord& record);
  void SendHeld(bool asks);
  // `serial` 0: without asking for an answer.
  void Send(std::string_view subject, uint64_t serial, uint64_t expected_last,
            const NewRecord& record);
  void OnReply(NatsMessage& message);
  // False: the answer makes no sense.
  bool Resolve(Pending& pending, NatsMessage& message);
  // The answer of `index` is that of those before it that did not ask. False: it says nothing of
  // them.
  bool ResolveGroup(size_t index);
  bool IsExpectedAck(std::string_view payload, StreamSeq seq);
  void LearnAck(std::string_view payload, StreamSeq seq);
  void TellInOrder();
  void CheckPatience();
  void Break(const absl::Status& why);

  Loop* const loop_;
  NatsConnection* const connection_;
  const Options options_;
  const Callbacks callbacks_;
  const std::string inbox_;  // with the dot at its end

  bool failed_ = false;
  std::deque<Pending> pending_;
  uint64_t first_serial_ = 1;  // of pending_.front()
  TimerId timer_ = 0;
  // An ack is the same text but for the number; learned from the first one, then compared.
  std::string ack_before_, ack_after_;
  size_t ask_more_ = 0;  // appends that ask because one was refused
  bool held_ = false;    // the newest append, pending_.back(), waits for the next or for EndGroup
  bool held_is_delete_ = false;
  std::string held_subject_, held_header_, held_payload_;
  // Reused, so that an append allocates little.
  std::string subject_, reply_, header_, expected_, true_subject_, ack_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_APPEND_CHAIN_H_
