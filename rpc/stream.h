// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_STREAM_H_
#define JETD_RPC_STREAM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include "rpc/call.h"
#include "rpc/framing.h"
#include "rpc/request_head.h"
#include "rpc/timer_wheel.h"

namespace jetd::rpc {

class Connection;
class Output;

// Stream is one call on a connection, and a stream of HTTP/2. What frames bring is noted as it is
// parsed; the handler hears of it in Work, which the connection runs once the bytes at hand are
// parsed, and never from inside Read, Write or Finish.
//
// What came and nobody has asked for stays here, by flow control no more than the stream's window:
// the message at hand is put together all the same, what is behind it waits as bytes.
//
// A unary call whose connection has too much to say already waits before its handler gets the
// message (Connection::Crowded), and one whose answer stays where it is comes to an end.
//
// Belongs to its connection. Engine thread.
class Stream final : public Call {
 public:
  Stream(Connection* connection, int32_t id);
  ~Stream() override;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // For the handler.
  void Read() override;
  void Write(const Message& message) override;
  void Finish(const Status& status) override;
  void FinishWith(const Message& message) override;
  [[nodiscard]] std::string_view metadata(std::string_view name) const override {
    return head_.metadata(name);
  }

  // For the connection, as frames come.
  [[nodiscard]] RequestHead& head() { return head_; }
  void OnHead();
  void OnBytes(std::string_view bytes);
  void OnHalfClosed();
  // Nothing more comes or goes.
  void OnGone();

  // For the connection, as frames are made. How much of the message there is, at most `most`;
  // `*last`: the end of the call follows.
  [[nodiscard]] size_t Offer(size_t most, bool* last) const;
  // Puts so much of it behind the head of its frame.
  void Put(std::string_view frame_head, size_t bytes, Output* output);
  // The end of the call is in a frame.
  void OnEndSent();
  [[nodiscard]] const Status& status() const { return status_; }

  // Tells the handler what there is to tell.
  void Work();
  // Called now and then while answers wait: ends a unary call of whose answer no byte has gone for
  // so many times.
  void LookAtAnswer(int patience);
  // True if it can be freed.
  [[nodiscard]] bool done() const { return gone_ && handler_ == nullptr && !queued_; }
  [[nodiscard]] int32_t id() const { return id_; }

 private:
  friend class Connection;

  // A part of a message is in frames, and the rest is not.
  [[nodiscard]] bool in_a_message() const {
    return left_ > 0 && left_ < kPrefixBytes + message_.size();
  }
  void Open();
  // Until a message is whole; what is behind it is left in `bytes`.
  MessageReader::Result Feed(std::string_view* bytes);
  void FeedBacklog();
  void EmptyBacklog();
  void Keep(std::string_view bytes);
  void DropInput();
  void Fail(MessageReader::Result result);
  void OnReadError(MessageReader::Result result);
  // The client owes bytes that the handler waits for.
  [[nodiscard]] bool owed() const {
    return asked_ && !has_ready_ && !half_closed_ && (unary_ || !reader_.between_messages());
  }
  void BePatient();
  void OnPatience();
  void Deliver();
  void Park();
  void Unpark();
  // The transport's own end of the call; what the handler still says counts no more.
  void Refuse(int http_status, const Status& status);
  void End();
  void DropOutput();
  // So many bytes of the message do not wait any more.
  void WaitsLess(size_t bytes);
  void Drop(const Status& status);
  void OnDeadline();
  void Over(CallHandler::End end);
  void Queue();

  Connection* const connection_;
  const int32_t id_;
  size_t index_ = 0;  // among the connection's streams
  CallHandler* handler_ = nullptr;
  TimerWheel::Timer deadline_;
  TimerWheel::Timer patience_;  // with a client that owes bytes
  RequestHead head_;
  std::list<Stream*>::iterator place_;  // among those that are parked

  // What comes.
  MessageReader reader_;
  MessageReader::Result failed_ = MessageReader::Result::kMore;
  std::string backlog_;
  size_t backlog_done_ = 0;
  size_t held_ = 0;         // bytes of reader_ that the client's windows have not back yet
  bool has_ready_ = false;  // a message is whole, and still with reader_
  bool asked_ = false;
  bool unary_ = false;
  bool parked_ = false;
  bool half_closed_ = false;
  bool discards_ = false;

  // What goes.
  Message message_;
  std::array<char, kPrefixBytes> prefix_{};
  Status status_;
  size_t left_ = 0;        // of prefix and message
  size_t piece_ = 0;       // of message_, the first that is not all in frames
  size_t piece_done_ = 0;  // of that
  int looks_ = 0;          // while nothing has gone
  bool moved_ = false;     // since the last of them
  bool begun_ = false;     // the answer's headers are on their way
  bool writing_ = false;
  bool written_ = false;  // the handler is to be told
  bool finishing_ = false;
  bool refused_ = false;

  bool headed_ = false;  // the request's headers are there
  bool opened_ = false;
  bool over_ = false;
  CallHandler::End end_;
  bool gone_ = false;
  bool queued_ = false;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_STREAM_H_
