// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/stream_call.h"

#include <utility>

#include "base/check.h"
#include "etcdapi/status_map.h"

namespace jetd::etcdapi {

void* StreamCall::Event::Start() {
  JETD_CHECK(!pending) << "two operations of one kind on a stream";
  pending = true;
  return Arm();
}

void StreamCall::Event::OnEvent(bool ok) {
  ok_ = ok;
  if (this == &stream_->accept_) {
    // Here and not on the engine thread: the next client should not wait for it.
    if (!ok) {
      delete stream_;
      return;
    }
    stream_->host_->CallStarted();
    stream_->accept_another_();
  }
  stream_->host_->loop()->Submit(this);
}

void StreamCall::Event::Run() {
  pending = false;
  (stream_->*handler_)(ok_);
}

StreamCall::StreamCall(CallHost* host) : host_(host), responder_(&context_) {}

void StreamCall::Accept(RawService* service, int method, RpcTally* tally,
                        std::function<void()> accept_another) {
  tally_ = tally;
  accept_another_ = std::move(accept_another);
  // gRPC reports the end of a call only if asked before the call is there. It does so once, and
  // only for a call that was accepted.
  context_.AsyncNotifyWhenDone(done_.Start());
  accept_.pending = true;
  service->AcceptStream(method, &context_, &responder_, host_->queue(), &accept_);
}

void StreamCall::AcceptEvent(bool /*ok*/) {
  ++tally_->started;
  requires_leader_ = RequiresLeader(context_);
  host_->AddStream(this);
  if (!host_->serving()) {
    if (host_->refuses_streams()) Finish(ToGrpc(Refusal::kStopped));
    return;  // otherwise Server::Stop ends it
  }
  if (requires_leader_ && !host_->has_leader()) {
    Finish(ToGrpc(Refusal::kNoLeader));
    return;
  }
  OnOpen();
}

void StreamCall::Read() { responder_.Read(&incoming_, read_.Start()); }

void StreamCall::Write(const grpc::ByteBuffer& message) {
  ++tally_->messages_sent;
  tally_->bytes_sent += message.Length();
  responder_.Write(message, write_.Start());
}

void StreamCall::ReadEvent(bool ok) {
  if (ok) {
    ++tally_->messages_received;
    tally_->bytes_received += incoming_.Length();
  }
  if (!closed_) {
    if (!ok) {
      OnHalfClosed();
    } else if (incoming_.Length() > host_->max_message_bytes()) {
      Finish(MessageTooLarge(incoming_.Length(), host_->max_message_bytes()));
    } else {
      OnMessage(incoming_);
    }
  }
  FreeIfOver();
}

void StreamCall::WriteEvent(bool ok) {
  // A write that failed means that the client is gone; DoneEvent says so too.
  if (finishing_) {
    responder_.Finish(final_status_, finish_.Start());
  } else if (ok) {
    OnWritten();
  }
  FreeIfOver();
}

void StreamCall::FinishEvent(bool /*ok*/) { FreeIfOver(); }

void StreamCall::DoneEvent(bool /*ok*/) {
  Finish(ToGrpc(Refusal::kWatchCanceled));
  FreeIfOver();
}

void StreamCall::OnLeader(bool has_leader) {
  if (!has_leader && requires_leader_) Finish(ToGrpc(Refusal::kNoLeader));
}

void StreamCall::Finish(const grpc::Status& status) {
  if (finishing_) return;
  finishing_ = true;
  tally_->CountEnd(status.error_code());
  final_status_ = status;
  // gRPC takes no status behind a write that is under way; WriteEvent goes on here.
  if (!write_.pending) responder_.Finish(final_status_, finish_.Start());
  Close();
}

void StreamCall::Close() {
  if (closed_) return;
  closed_ = true;
  host_->RemoveStream(this);
  OnClosed();
}

void StreamCall::FreeIfOver() {
  if (!closed_ || read_.pending || write_.pending || finish_.pending || done_.pending) return;
  if (Busy()) return;
  CallHost* host = host_;
  delete this;
  host->CallEnded();
}

void StreamPool::Open() {
  for (int i = 0; i < accepts_; ++i) AcceptAnother();
}

void StreamPool::AcceptAnother() {
  if (!host_->accepting()) return;
  StreamCall* call = factory_(host_).release();
  call->Accept(service_, method_, &tally_, [this] { AcceptAnother(); });
}

}  // namespace jetd::etcdapi
