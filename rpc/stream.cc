// SPDX-License-Identifier: Apache-2.0
#include "rpc/stream.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "rpc/bounds.h"
#include "rpc/connection.h"
#include "rpc/output.h"

namespace jetd::rpc {
namespace {

bool IsRead(MessageReader::Result result) {
  return result == MessageReader::Result::kMore || result == MessageReader::Result::kMessage;
}

}  // namespace

Stream::Stream(Connection* connection, int32_t id)
    : connection_(connection),
      id_(id),
      deadline_([](void* self) { static_cast<Stream*>(self)->OnDeadline(); }, this),
      patience_([](void* self) { static_cast<Stream*>(self)->OnPatience(); }, this),
      head_(connection->core()->methods),
      reader_(connection->core()->options.max_message_bytes, connection->incoming()) {}

Stream::~Stream() { connection_->incoming()->Give(backlog_.size() - backlog_done_); }

void Stream::Queue() { connection_->Queue(this); }

// --- What comes -------------------------------------------------------------------------------

void Stream::OnHead() {
  headed_ = true;
  Queue();
}

void Stream::Open() {
  opened_ = true;
  if (over_) return;
  if (const auto refusal = head_.Check(); refusal.has_value()) {
    head_.Forget();
    Refuse(refusal->http_status, refusal->status);
    return;
  }
  if (const Status status = connection_->host()->Admit(); !status.ok()) {
    Refuse(200, status);
    return;
  }
  if (head_.timeout().has_value()) {
    Core* const core = connection_->core();
    core->wheel.Set(&deadline_, core->executor->Now() + *head_.timeout());
  }
  unary_ = head_.method().kind == Methods::Kind::kUnary;
  handler_ = head_.method().open(this);
  head_.Forget();
}

void Stream::OnBytes(std::string_view bytes) {
  if (discards_) {
    connection_->Consume(id_, bytes.size());
  } else if (has_ready_ || !backlog_.empty()) {
    Keep(bytes);
  } else if (const auto result = Feed(&bytes); !IsRead(result)) {
    connection_->Consume(id_, bytes.size());
    Fail(result);
  } else if (!bytes.empty()) {
    Keep(bytes);
  }
}

MessageReader::Result Stream::Feed(std::string_view* bytes) {
  const size_t before = bytes->size();
  const MessageReader::Result result = reader_.Feed(bytes);
  const size_t eaten = before - bytes->size();
  if (asked_) {
    connection_->Consume(id_, eaten);
  } else {
    held_ += eaten;
  }
  if (result == MessageReader::Result::kMessage) {
    has_ready_ = true;
    patience_.Cancel();
    if (asked_) Queue();
  } else if (owed()) {
    BePatient();
  }
  return result;
}

void Stream::BePatient() {
  Core* const core = connection_->core();
  core->wheel.Set(&patience_, core->executor->Now() + kMessagePatience);
}

void Stream::OnPatience() {
  Refuse(200, Status(Code::kDeadlineExceeded, "jetd: the call's message does not come"));
}

void Stream::Keep(std::string_view bytes) {
  if (connection_->incoming()->Take(bytes.size())) {
    backlog_.append(bytes);
    return;
  }
  connection_->Consume(id_, bytes.size());
  Fail(MessageReader::Result::kNoRoom);
}

// Told in Work: the call may not be open yet, and a handler is to hear of its end.
void Stream::Fail(MessageReader::Result result) {
  if (failed_ == MessageReader::Result::kMore) failed_ = result;
  DropInput();
  Queue();
}

// Each byte is moved once or twice, however many messages lie there.
void Stream::FeedBacklog() {
  std::string_view rest = std::string_view(backlog_).substr(backlog_done_);
  const size_t before = rest.size();
  const MessageReader::Result result = Feed(&rest);
  const size_t eaten = before - rest.size();
  connection_->incoming()->Give(eaten);
  backlog_done_ += eaten;
  if (!IsRead(result)) {
    Fail(result);  // which drops the rest
  } else if (backlog_done_ == backlog_.size()) {
    EmptyBacklog();
  } else if (backlog_done_ > backlog_.size() / 2) {
    backlog_.erase(0, std::exchange(backlog_done_, 0));
  }
}

// Memory that counts no more is not kept, but for a little.
void Stream::EmptyBacklog() {
  constexpr size_t kKeptBytes = 1'024;
  backlog_done_ = 0;
  if (backlog_.capacity() <= kKeptBytes) return backlog_.clear();
  std::string().swap(backlog_);
}

void Stream::OnReadError(MessageReader::Result result) {
  const size_t limit = connection_->core()->options.max_message_bytes;
  switch (result) {
    case MessageReader::Result::kTooLarge:
      Refuse(200,
             Status(Code::kResourceExhausted, Cat("grpc: received message larger than max (",
                                                  reader_.announced_bytes(), " vs. ", limit, ")")));
      break;
    case MessageReader::Result::kCompressed:
      Refuse(200,
             Status(Code::kInternal, "grpc: compressed flag set with identity or empty encoding"));
      break;
    case MessageReader::Result::kNoRoom:
      Refuse(200, Status(Code::kResourceExhausted, "etcdserver: too many requests"));
      break;
    default:
      Refuse(200, Status(Code::kInternal,
                         Cat("grpc: received unexpected payload format ", reader_.flag())));
  }
}

void Stream::DropInput() {
  const size_t waiting = backlog_.size() - backlog_done_;
  connection_->incoming()->Give(waiting);
  connection_->Consume(id_, std::exchange(held_, 0) + waiting);
  EmptyBacklog();
  reader_.Drop();
  has_ready_ = false;
  discards_ = true;
  patience_.Cancel();
  Unpark();
}

void Stream::OnHalfClosed() {
  half_closed_ = true;
  patience_.Cancel();
  if (asked_) Queue();
}

void Stream::Read() {
  JETD_CHECK(!asked_) << "two reads at a time";
  if (over_ || refused_) return;
  asked_ = true;
  if (held_ > 0) connection_->Consume(id_, std::exchange(held_, 0));
  if (!has_ready_ && !backlog_.empty()) FeedBacklog();
  if (has_ready_ || half_closed_) {
    Queue();
  } else if (owed()) {
    BePatient();
  }
}

void Stream::Park() {
  if (std::exchange(parked_, true)) return;
  place_ = connection_->parked()->insert(connection_->parked()->end(), this);
}

void Stream::Unpark() {
  if (!std::exchange(parked_, false)) return;
  connection_->parked()->erase(place_);
}

// --- What goes --------------------------------------------------------------------------------

void Stream::Write(const Message& message) {
  if (over_ || refused_) return;
  JETD_CHECK(!writing_ && !finishing_) << "a write beside another, or behind the end";
  message_ = message;
  prefix_ = PrefixOf(message.size());
  left_ = kPrefixBytes + message.size();
  connection_->Waiting(static_cast<ptrdiff_t>(left_));
  if (unary_) connection_->AnswerWaits(0, left_);
  moved_ = true;
  piece_ = piece_done_ = 0;
  writing_ = true;
  if (std::exchange(begun_, true)) {
    connection_->Resume(id_);
  } else {
    connection_->Begin(this);
  }
}

void Stream::FinishWith(const Message& message) {
  if (unary_ && message.size() > kSmallAnswerBytes && !connection_->HasRoomFor(message.size())) {
    Finish(Status(Code::kUnavailable, "jetd: too many answers wait for clients to take them"));
    return;
  }
  Write(message);
  finishing_ = true;  // of a call that is over too: nothing looks at it then
}

void Stream::Finish(const Status& status) {
  if (over_ || refused_) return;
  JETD_CHECK(!finishing_) << "two ends of a call";
  finishing_ = true;
  status_ = status;
  End();
}

void Stream::End() {
  if (left_ > 0) return;  // behind the message
  if (begun_) {
    connection_->SendTrailers(this);
  } else {
    begun_ = true;
    connection_->SendOnlyTrailers(this, 200);
  }
}

void Stream::DropOutput() {
  WaitsLess(left_);
  message_.Clear();
}

void Stream::WaitsLess(size_t bytes) {
  if (unary_) connection_->AnswerWaits(left_, left_ - bytes);
  left_ -= bytes;
  connection_->Waiting(-static_cast<ptrdiff_t>(bytes));
}

// Ends a call whose message may wait for a window that never opens.
void Stream::Drop(const Status& status) {
  if (!in_a_message()) return Refuse(200, status);
  status_ = status;
  refused_ = true;
  DropInput();
  DropOutput();
  connection_->Reset(id_);
}

void Stream::LookAtAnswer(int patience) {
  if (!unary_ || !finishing_ || left_ == 0) return;
  looks_ = std::exchange(moved_, false) ? 0 : looks_ + 1;
  if (looks_ < patience) return;
  Drop(Status(Code::kUnavailable, "jetd: nobody takes the answer"));
  Over({.sent = false, .code = Code::kUnavailable});
}

void Stream::Refuse(int http_status, const Status& status) {
  DropInput();
  if (refused_ || over_) return;
  refused_ = true;
  // The end is on its way, or will be with the last piece of the message.
  if (finishing_ && (left_ == 0 || in_a_message())) return;
  if (in_a_message()) {
    connection_->Reset(id_);
    return;
  }
  DropOutput();
  finishing_ = true;
  status_ = status;
  if (std::exchange(begun_, true)) {
    connection_->SendTrailers(this);
  } else {
    connection_->SendOnlyTrailers(this, http_status);
  }
}

void Stream::OnDeadline() {
  Drop(Status(Code::kDeadlineExceeded, "context deadline exceeded"));
  Over({.sent = false, .code = Code::kDeadlineExceeded});
}

size_t Stream::Offer(size_t most, bool* last) const {
  *last = finishing_ && left_ <= most;
  return std::min(most, left_);
}

void Stream::Put(std::string_view frame_head, size_t bytes, Output* output) {
  output->Append(frame_head);
  const size_t done = kPrefixBytes + message_.size() - left_;
  WaitsLess(bytes);
  moved_ = true;
  if (done < kPrefixBytes) {
    const size_t part = std::min(bytes, kPrefixBytes - done);
    output->Append(std::string_view(prefix_.data() + done, part));
    bytes -= part;
  }
  while (bytes > 0) {
    const Slice& piece = message_.pieces()[piece_];
    const size_t part = std::min(bytes, piece.size() - piece_done_);
    if (part < Output::kSharedFromBytes) {
      output->Append(piece.bytes().substr(piece_done_, part));
    } else {
      output->Append(piece.Sub(piece_done_, piece_done_ + part));
    }
    bytes -= part;
    piece_done_ += part;
    if (piece_done_ == piece.size()) {
      ++piece_;
      piece_done_ = 0;
    }
  }
  if (left_ > 0) return;
  message_.Clear();
  writing_ = false;
  if (finishing_) return;
  written_ = true;
  Queue();
}

void Stream::OnEndSent() { Over({.sent = true, .code = status_.code()}); }

// --- Its end ----------------------------------------------------------------------------------

void Stream::Over(CallHandler::End end) {
  if (over_) return;
  over_ = true;
  end_ = end;
  deadline_.Cancel();
  patience_.Cancel();
  Unpark();
  Queue();
}

void Stream::OnGone() {
  gone_ = true;
  DropInput();
  DropOutput();
  Over({});
  Queue();
}

void Stream::Deliver() {
  if (has_ready_) {
    if (unary_ && connection_->Crowded()) return Park();
    Unpark();  // whatever it was told of
    asked_ = has_ready_ = false;
    handler_->OnMessage(reader_.Take());
  } else if (half_closed_ && !reader_.between_messages()) {
    asked_ = false;
    Refuse(200, Status(Code::kInternal, "unexpected EOF"));
  } else if (half_closed_) {
    asked_ = false;
    handler_->OnHalfClosed();
  }
}

void Stream::Work() {
  const bool heard = !connection_->deaf();
  if (headed_ && !opened_ && heard) Open();
  if (failed_ != MessageReader::Result::kMore) {
    OnReadError(std::exchange(failed_, MessageReader::Result::kMore));
  }
  if (handler_ == nullptr) return;
  if (std::exchange(written_, false) && !over_) handler_->OnWritten();
  if (asked_ && !over_ && !refused_ && heard) Deliver();
  if (!over_) return;
  std::exchange(handler_, nullptr)->OnOver(end_);
}

}  // namespace jetd::rpc
