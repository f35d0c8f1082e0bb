// SPDX-License-Identifier: Apache-2.0
#include "rpc/stream.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
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
      head_(connection->core()->methods),
      reader_(connection->core()->options.max_message_bytes, connection->incoming(),
              &connection->core()->incoming) {}

Stream::~Stream() { connection_->core()->incoming.Give(backlog_.size() - backlog_done_); }

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
  handler_ = head_.open()(this);
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
    ready_ = reader_.Take();
    has_ready_ = true;
    if (asked_) Queue();
  }
  return result;
}

void Stream::Keep(std::string_view bytes) {
  if (connection_->core()->incoming.Take(bytes.size())) {
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
  connection_->core()->incoming.Give(eaten);
  backlog_done_ += eaten;
  if (!IsRead(result)) {
    Fail(result);  // which drops the rest
  } else if (backlog_done_ == backlog_.size()) {
    backlog_.clear();
    backlog_done_ = 0;
  } else if (backlog_done_ > backlog_.size() / 2) {
    backlog_.erase(0, std::exchange(backlog_done_, 0));
  }
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
  connection_->core()->incoming.Give(waiting);
  connection_->Consume(id_, std::exchange(held_, 0) + waiting);
  backlog_.clear();
  backlog_done_ = 0;
  reader_.Drop();
  ready_.Clear();
  has_ready_ = false;
  discards_ = true;
}

void Stream::OnHalfClosed() {
  half_closed_ = true;
  if (asked_) Queue();
}

void Stream::Read() {
  JETD_CHECK(!asked_) << "two reads at a time";
  if (over_ || refused_) return;
  asked_ = true;
  if (held_ > 0) connection_->Consume(id_, std::exchange(held_, 0));
  if (!has_ready_ && !backlog_.empty()) FeedBacklog();
  if (has_ready_ || half_closed_) Queue();
}

// --- What goes --------------------------------------------------------------------------------

void Stream::Write(const Message& message) {
  if (over_ || refused_) return;
  JETD_CHECK(!writing_ && !finishing_) << "a write beside another, or behind the end";
  message_ = message;
  prefix_ = PrefixOf(message.size());
  left_ = kPrefixBytes + message.size();
  connection_->Waiting(static_cast<ptrdiff_t>(left_));
  piece_ = piece_done_ = 0;
  writing_ = true;
  if (std::exchange(begun_, true)) {
    connection_->Resume(id_);
  } else {
    connection_->Begin(this);
  }
}

void Stream::FinishWith(const Message& message) {
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
  connection_->Waiting(-static_cast<ptrdiff_t>(left_));
  left_ = 0;
  message_.Clear();
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
  if (in_a_message()) {
    connection_->Reset(id_);  // which may wait for a window that never opens
  } else {
    Refuse(200, Status(Code::kDeadlineExceeded, "context deadline exceeded"));
  }
  Over(/*sent=*/false);
}

size_t Stream::Offer(size_t most, bool* last) const {
  *last = finishing_ && left_ <= most;
  return std::min(most, left_);
}

void Stream::Put(std::string_view frame_head, size_t bytes, Output* output) {
  output->Append(frame_head);
  const size_t done = kPrefixBytes + message_.size() - left_;
  left_ -= bytes;
  connection_->Waiting(-static_cast<ptrdiff_t>(bytes));
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

void Stream::OnEndSent() { Over(/*sent=*/true); }

// --- Its end ----------------------------------------------------------------------------------

void Stream::Over(bool sent) {
  if (over_) return;
  over_ = true;
  over_sent_ = sent;
  deadline_.Cancel();
  Queue();
}

void Stream::OnGone() {
  gone_ = true;
  DropInput();
  DropOutput();
  Over(/*sent=*/false);
  Queue();
}

void Stream::Work() {
  if (headed_ && !opened_) Open();
  if (failed_ != MessageReader::Result::kMore) {
    OnReadError(std::exchange(failed_, MessageReader::Result::kMore));
  }
  if (handler_ == nullptr) return;
  if (std::exchange(written_, false) && !over_) handler_->OnWritten();
  if (asked_ && !over_ && !refused_) {
    if (has_ready_) {
      asked_ = has_ready_ = false;
      const Message message = std::exchange(ready_, {});
      handler_->OnMessage(message);
    } else if (half_closed_ && !reader_.between_messages()) {
      asked_ = false;
      Refuse(200, Status(Code::kInternal, "unexpected EOF"));
    } else if (half_closed_) {
      asked_ = false;
      handler_->OnHalfClosed();
    }
  }
  if (!over_) return;
  std::exchange(handler_, nullptr)->OnOver(over_sent_);
}

}  // namespace jetd::rpc
