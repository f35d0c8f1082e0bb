// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/unary_call.h"

#include <utility>

#include "base/check.h"
#include "etcdapi/status_map.h"

namespace jetd::etcdapi {
namespace {

// Calls kept for use beyond those under way; more are freed. Each is a few kilobytes.
constexpr size_t kMaxIdleCalls = 256;

}  // namespace

void UnaryCall::Open(rpc::Call* call) {
  call_ = call;
  state_ = State::kReading;
  request_bytes_ = 0;
  if (!pool_->host_->serving()) {
    Fail(ToGrpc(Refusal::kStopped));
    return;
  }
  requires_leader_ = RequiresLeader(*call);
  call->Read();
}

void UnaryCall::OnMessage(const rpc::Message& message) {
  JETD_CHECK(state_ == State::kReading) << "a second request of a unary call";
  if (pool_->tally_.seconds != nullptr) accepted_ = std::chrono::steady_clock::now();
  request_bytes_ = message.size();
  CountStart();
  if (!pool_->host_->serving()) {
    Fail(ToGrpc(Refusal::kStopped));
    return;
  }
  if (const rpc::Status status = Decode(message); !status.ok()) {
    Fail(status);
    return;
  }
  Run();
}

void UnaryCall::OnHalfClosed() {
  if (state_ == State::kReading) Fail(MalformedRequest("unexpected EOF"));
}

void UnaryCall::OnOver(End end) {
  call_ = nullptr;
  switch (state_) {
    case State::kReading:
      if (end.sent) {
        Answered(end.code, 0);
        Done();
      } else {
        pool_->Recycle(this);  // nothing was asked
      }
      return;
    case State::kStarted:
      return;  // it ends when the engine has answered
    case State::kAnswered:
      // The transport may have had to say something else.
      if (end.sent) code_ = end.code;
      Done();
  }
}

void UnaryCall::Answered(rpc::Code code, size_t bytes) {
  JETD_CHECK(state_ != State::kAnswered) << "a second answer of a unary call";
  state_ = State::kAnswered;
  code_ = code;
  answer_bytes_ = bytes;
  NoteAnswer();
}

void UnaryCall::Reply(const rpc::Message& answer) {
  Answered(rpc::Code::kOk, answer.size());
  if (remote_) {
    AnswerRemote(rpc::Status(), answer);
  } else if (call_ != nullptr) {
    call_->FinishWith(answer);
  } else {
    // The subclass may still be at work on this very call.
    pool_->host_->loop()->Defer([this] { Done(); });
  }
}

void UnaryCall::Fail(const rpc::Status& status) {
  Answered(status.code(), 0);
  if (remote_) {
    AnswerRemote(status, {});
  } else if (call_ != nullptr) {
    call_->Finish(status);
  } else {
    pool_->host_->loop()->Defer([this] { Done(); });
  }
}

void UnaryCall::Done() {
  CountEnd();
  Clear();
  pool_->Recycle(this);
}

void UnaryCall::CountStart() {
  if (std::exchange(counted_, true)) return;
  RpcTally& tally = pool_->tally_;
  ++tally.started;
  ++tally.messages_received;
  tally.bytes_received += request_bytes_;
}

// A call that was refused before its request was there is counted as started when it ends.
void UnaryCall::CountEnd() {
  const bool timed = counted_;
  CountStart();
  counted_ = false;
  RpcTally& tally = pool_->tally_;
  tally.CountEnd(code_);
  if (code_ == rpc::Code::kOk) {
    ++tally.messages_sent;
    tally.bytes_sent += answer_bytes_;
  }
  if (tally.seconds != nullptr && timed) {
    tally.seconds->Observe(std::chrono::steady_clock::now() - accepted_);
  }
}

void UnaryCall::NoteStart() {
  SlowCalls* const slow = pool_->host_->slow();
  if (slow == nullptr) return;
  timed_ = true;
  started_ = slow->Now();
  behind_ = slow->Behind();
}

// A call that was refused before it started is not timed.
void UnaryCall::NoteAnswer() {
  if (!timed_) return;
  timed_ = false;
  pool_->host_->slow()->OnAnswer({.method = pool_->tally_.method,
                                  .started = started_,
                                  .behind = behind_,
                                  .forwarded = forwarded_,
                                  .request_bytes = request_bytes_,
                                  .answer_bytes = answer_bytes_});
}

void UnaryCall::Run() {
  state_ = State::kStarted;
  forwarded_ = false;
  NoteStart();
  if (requires_leader_ && !pool_->host_->has_leader()) {
    Fail(ToGrpc(Refusal::kNoLeader));
    return;
  }
  if (pool_->forwarder_ != nullptr && pool_->forwarder_->Wanted()) {
    Forward();
  } else {
    Start();
  }
}

void UnaryCall::Forward() {
  forwarded_ = true;
  pool_->forwarder_->Forward(pool_->name_, Encode(),
                             [this](const rpc::Status& status, const std::string& answer) {
                               if (!status.ok()) return Fail(status);
                               Reply(rpc::Message(rpc::Slice::Copy(answer)));
                             });
}

void UnaryCall::StartRemote(const std::string& request, Forwarder::DoneFn done) {
  remote_ = std::move(done);
  state_ = State::kStarted;
  request_bytes_ = request.size();
  forwarded_ = false;
  NoteStart();
  const rpc::Status status = Decode(rpc::Message(rpc::Slice::Copy(request)));
  if (status.ok()) {
    Start();
  } else {
    Fail(status);
  }
}

void UnaryCall::AnswerRemote(const rpc::Status& status, const rpc::Message& answer) {
  std::exchange(remote_, nullptr)(status, answer.Flatten());
  // The subclass may still be at work on this very call.
  pool_->host_->loop()->Defer([this] {
    Clear();
    pool_->Recycle(this);
  });
}

rpc::CallHandler* UnaryPool::Open(rpc::Call* call) {
  UnaryCall* const mine = Take();
  mine->Open(call);
  return mine;
}

void UnaryPool::RunRemote(const std::string& request, Forwarder::DoneFn done) {
  Take()->StartRemote(request, std::move(done));
}

UnaryCall* UnaryPool::Take() {
  host_->CallStarted();
  if (idle_.empty()) return factory_(this).release();
  UnaryCall* const call = idle_.back().release();
  idle_.pop_back();
  return call;
}

void UnaryPool::Recycle(UnaryCall* call) {
  std::unique_ptr<UnaryCall> owned(call);
  if (idle_.size() < kMaxIdleCalls) idle_.push_back(std::move(owned));
  owned.reset();
  host_->CallEnded();
}

}  // namespace jetd::etcdapi
