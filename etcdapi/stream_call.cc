// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/stream_call.h"

#include <utility>

#include "base/check.h"
#include "etcdapi/status_map.h"

namespace jetd::etcdapi {

void StreamCall::Open(rpc::Call* call, RpcTally* tally) {
  call_ = call;
  tally_ = tally;
  ++tally->started;
  host_->CallStarted();
  requires_leader_ = RequiresLeader(*call);
  host_->AddStream(this);
  if (!host_->serving()) {
    // Otherwise Server::Stop ends it.
    if (host_->refuses_streams()) Finish(ToGrpc(Refusal::kStopped));
  } else if (requires_leader_ && !host_->has_leader()) {
    Finish(ToGrpc(Refusal::kNoLeader));
  } else {
    OnOpen();
  }
}

void StreamCall::Read() {
  JETD_CHECK(!reading_ && !closed_) << "a read too many on a stream";
  reading_ = true;
  call_->Read();
}

void StreamCall::Write(const rpc::Message& message) {
  JETD_CHECK(!writing_ && !closed_) << "a write too many on a stream";
  writing_ = true;
  ++tally_->messages_sent;
  tally_->bytes_sent += message.size();
  call_->Write(message);
}

void StreamCall::Received(const rpc::Message& message) {
  reading_ = false;
  ++tally_->messages_received;
  tally_->bytes_received += message.size();
  if (!closed_) OnMessage(message);
}

void StreamCall::HalfClosed() {
  reading_ = false;
  if (!closed_) OnHalfClosed();
}

void StreamCall::Written() {
  writing_ = false;
  if (!closed_) OnWritten();
}

void StreamCall::Over(rpc::Code code) {
  call_ = nullptr;
  Close(code);
  FreeIfOver();
}

void StreamCall::OnLeader(bool has_leader) {
  if (!has_leader && requires_leader_) Finish(ToGrpc(Refusal::kNoLeader));
}

void StreamCall::Finish(const rpc::Status& status) {
  if (closed_) return;
  call_->Finish(status);
  Close(status.code());
}

void StreamCall::Close(rpc::Code code) {
  if (std::exchange(closed_, true)) return;
  tally_->CountEnd(code);
  host_->RemoveStream(this);
  OnClosed();
}

void StreamCall::FreeIfOver() {
  if (call_ != nullptr || Busy()) return;
  CallHost* const host = host_;
  delete this;
  host->CallEnded();
}

rpc::CallHandler* StreamPool::Open(rpc::Call* call) {
  StreamCall* const stream = factory_(host_).release();
  stream->Open(call, &tally_);
  return &stream->side_;
}

}  // namespace jetd::etcdapi
