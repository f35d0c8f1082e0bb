// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_CALL_H_
#define JETD_RPC_CALL_H_

#include <string_view>

#include "rpc/message.h"
#include "rpc/status.h"

namespace jetd::rpc {

// CallHandler is what serves one call of a client, whatever its kind: a unary call is a stream of
// one message each way. The transport tells it what comes; it answers through Call.
//
//   Methods::Open ─> Call::Read … OnMessage ─> Call::Write … OnWritten ─> Call::Finish … OnOver
//
// Thread rules: everything here, and all of Call, is the engine thread's.
class CallHandler {
 public:
  virtual ~CallHandler() = default;
  CallHandler(const CallHandler&) = delete;
  CallHandler& operator=(const CallHandler&) = delete;

  // A message that Read asked for. Its bytes are one piece.
  virtual void OnMessage(const Message& message) = 0;
  // Instead of a message: the client sends no more. It may still read.
  virtual void OnHalfClosed() = 0;
  // The message of Write is in frames, and these are with the socket or in its bounded buffer.
  virtual void OnWritten() = 0;
  // The call is over: its end was sent, or the client is gone (it cancelled, its deadline is past,
  // its connection broke). `end` says which, and what the client was told: without a Finish of the
  // handler, or other than that, it is the transport's own end of the call, of one whose message
  // was too large, say. Called exactly once, the last thing; the Call must not be used from then
  // on. The handler may delete itself here.
  struct End {
    bool sent = false;
    Code code = Code::kCancelled;  // where the client is gone
  };
  virtual void OnOver(End end) = 0;

 protected:
  CallHandler() = default;
};

// Call is the transport's side of one call.
//
// None of Read, Write and Finish calls the handler back before it returns: what follows from them
// comes later in the loop's round, or in another one. A call that is over for the client takes them
// and does nothing; OnOver is on its way then.
class Call {
 public:
  virtual ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Asks for one message. REQUIRES: none asked for yet. What nobody asks for waits at the client,
  // by flow control, but for what fits into the stream's window.
  virtual void Read() = 0;
  // REQUIRES: no write under way, not finished.
  virtual void Write(const Message& message) = 0;
  // The end, behind a write that is under way. Once.
  virtual void Finish(const Status& status) = 0;
  // A last message with OK, in one go: what a unary call answers.
  virtual void FinishWith(const Message& message) = 0;

  // The client's metadata; "" if it sent none of this name. Names are in lower case. Valid while
  // Methods::Open runs; only names that the transport was told to keep (Methods::Keep) are there.
  [[nodiscard]] virtual std::string_view metadata(std::string_view name) const = 0;

 protected:
  Call() = default;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_CALL_H_
