// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/unary_call.h"

#include <utility>
#include <vector>

#include "base/check.h"
#include "etcdapi/status_map.h"

namespace jetd::etcdapi {
namespace {

// Calls kept for use beyond those that wait; more are freed. Each is a few kilobytes.
constexpr size_t kMaxIdleCalls = 256;

}  // namespace

void UnaryCall::Accept() {
  state_ = State::kWaiting;
  context_.emplace();
  responder_.emplace(&*context_);
  pool_->service_->AcceptUnary(pool_->method_, &*context_, &request_, &*responder_,
                               pool_->host_->queue(), pool_->host_->answers()->queue(), this);
}

void UnaryCall::ExpectEnd() { pool_->host_->answers()->Expect(); }

void UnaryCall::OnEvent(bool ok) {
  switch (state_) {
    case State::kWaiting:
      if (!ok) {
        pool_->Drop(this);
        return;
      }
      OnAccepted();
      return;
    case State::kAnswered:
      CountEnd();
      Clear();
      responder_.reset();
      context_.reset();
      pool_->Recycle(this);
      return;
    case State::kStarted:
      break;
  }
  JETD_CHECK(false) << "an event of a call that waits for the engine";
}

void UnaryCall::OnAccepted() {
  CallHost* host = pool_->host_;
  host->CallStarted();
  pool_->AcceptAnother();
  if (pool_->tally_.seconds != nullptr) accepted_ = std::chrono::steady_clock::now();
  request_bytes_ = request_.Length();
  if (!host->serving()) {
    request_.Clear();
    Fail(ToGrpc(Refusal::kStopped));
    return;
  }
  requires_leader_ = RequiresLeader(*context_);
  if (request_bytes_ > host->max_message_bytes()) {
    request_.Clear();
    Fail(MessageTooLarge(request_bytes_, host->max_message_bytes()));
    return;
  }
  const grpc::Status status = Decode(request_);
  request_.Clear();
  if (!status.ok()) {
    Fail(status);
    return;
  }
  state_ = State::kStarted;
  host->loop()->Submit(this);
}

// All counting is the engine thread's: a call that was refused on the queue's thread is counted as
// started when it ends.
void UnaryCall::CountStart() {
  if (std::exchange(counted_, true)) return;
  RpcTally& tally = pool_->tally_;
  ++tally.started;
  ++tally.messages_received;
  tally.bytes_received += request_bytes_;
}

void UnaryCall::CountEnd() {
  CountStart();
  counted_ = false;
  RpcTally& tally = pool_->tally_;
  tally.CountEnd(code_);
  if (code_ == grpc::StatusCode::OK) {
    ++tally.messages_sent;
    tally.bytes_sent += answer_bytes_;
  }
  if (tally.seconds != nullptr) {
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

// A call that was refused on the queue's thread is not timed.
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
  CountStart();
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
                             [this](const grpc::Status& status, const std::string& answer) {
                               if (!status.ok()) return Fail(status);
                               const grpc::Slice slice(answer);
                               Reply(grpc::ByteBuffer(&slice, 1));
                             });
}

void UnaryCall::StartRemote(const std::string& request, Forwarder::DoneFn done) {
  remote_ = std::move(done);
  state_ = State::kStarted;
  request_bytes_ = request.size();
  forwarded_ = false;
  NoteStart();
  const grpc::Slice slice(request);
  const grpc::Status status = Decode(grpc::ByteBuffer(&slice, 1));
  if (status.ok()) {
    Start();
  } else {
    Fail(status);
  }
}

void UnaryCall::AnswerRemote(const grpc::Status& status, const grpc::ByteBuffer& answer) {
  std::vector<grpc::Slice> slices;
  if (status.ok()) (void)answer.Dump(&slices);
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  std::exchange(remote_, nullptr)(status, bytes);
  // The subclass may still be at work on this very call.
  pool_->host()->loop()->Defer([this] {
    Clear();
    pool_->Recycle(this);
  });
}

void UnaryPool::Open() {
  for (int i = 0; i < accepts_; ++i) AcceptAnother();
}

void UnaryPool::RunRemote(const std::string& request, Forwarder::DoneFn done) {
  host_->CallStarted();
  std::unique_ptr<UnaryCall> call = TakeIdle();
  if (call == nullptr) call = factory_(this);
  call.release()->StartRemote(request, std::move(done));
}

void UnaryPool::AcceptAnother() {
  if (!host_->accepting()) return;
  std::unique_ptr<UnaryCall> call = TakeIdle();
  if (call == nullptr) call = factory_(this);
  call.release()->Accept();
}

std::unique_ptr<UnaryCall> UnaryPool::TakeIdle() {
  MutexLock lock(mutex_);
  if (idle_.empty()) return nullptr;
  std::unique_ptr<UnaryCall> call = std::move(idle_.back());
  idle_.pop_back();
  return call;
}

void UnaryPool::Recycle(UnaryCall* call) {
  std::unique_ptr<UnaryCall> owned(call);
  {
    MutexLock lock(mutex_);
    if (idle_.size() < kMaxIdleCalls) idle_.push_back(std::move(owned));
  }
  owned.reset();
  host_->CallEnded();
}

void UnaryPool::Drop(UnaryCall* call) { delete call; }

}  // namespace jetd::etcdapi
