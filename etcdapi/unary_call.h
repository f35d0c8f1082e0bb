// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_UNARY_CALL_H_
#define JETD_ETCDAPI_UNARY_CALL_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/mutex.h"
#include "etcdapi/call_host.h"
#include "etcdapi/forwarder.h"
#include "etcdapi/raw_service.h"
#include "etcdapi/request_decoder.h"
#include "etcdapi/rpc_tally.h"
#include "etcdapi/tag.h"
#include "google/protobuf/arena.h"
#include "grpcpp/server_context.h"

namespace jetd::etcdapi {

class UnaryPool;

// UnaryCall is one place for a request and its answer, used again for call after call:
//
//   queue thread    accepted: Decode (parse, check) ── refused ──> answered
//                        │ Submit, without an allocation
//   engine thread   Start … Reply or Fail, now or later
//                        │ gRPC writes the answer
//   engine thread   Clear, back to the pool
//
// While another member leads, a call that only the leader can serve is forwarded instead of started
// (Forwarder); at the leader it is run without gRPC: decoded on the engine thread, its answer goes
// back as bytes.
//
// The pool owns it while it waits; while a call is under way it belongs to gRPC and the engine, and
// the host counts it.
class UnaryCall : public Loop::Task, private Tag {
 public:
  explicit UnaryCall(UnaryPool* pool) : pool_(pool) {}
  ~UnaryCall() override = default;
  UnaryCall(const UnaryCall&) = delete;
  UnaryCall& operator=(const UnaryCall&) = delete;

  void Run() final;

 protected:
  // Queue thread. An error is the answer.
  virtual grpc::Status Decode(const grpc::ByteBuffer& request) = 0;
  // Engine thread. Ends in exactly one Reply or Fail, now or later.
  virtual void Start() = 0;
  // Engine thread: lets go of the request.
  virtual void Clear() = 0;
  // Engine thread: the request's bytes, for another member.
  [[nodiscard]] virtual std::string Encode() const { return {}; }

  void Reply(const grpc::ByteBuffer& answer) {
    answer_bytes_ = answer.Length();
    NoteAnswer();
    state_ = State::kAnswered;
    code_ = grpc::StatusCode::OK;
    if (remote_) return AnswerRemote(grpc::Status::OK, answer);
    ExpectEnd();
    responder_->Finish(answer, grpc::Status::OK, Arm());
  }
  void Fail(const grpc::Status& status) {
    answer_bytes_ = 0;
    NoteAnswer();
    state_ = State::kAnswered;
    code_ = status.error_code();
    if (remote_) return AnswerRemote(status, {});
    ExpectEnd();
    responder_->FinishWithError(status, Arm());
  }
  [[nodiscard]] size_t request_bytes() const { return request_bytes_; }

 private:
  friend class UnaryPool;
  enum class State { kWaiting, kStarted, kAnswered };

  void Accept();
  void ExpectEnd();
  void OnEvent(bool ok) final;
  void OnAccepted();
  void NoteStart();
  void NoteAnswer();
  void CountStart();
  void CountEnd();
  void Forward();
  void StartRemote(const std::string& request, Forwarder::DoneFn done);
  void AnswerRemote(const grpc::Status& status, const grpc::ByteBuffer& answer);

  UnaryPool* const pool_;
  State state_ = State::kWaiting;
  bool requires_leader_ = false;
  bool counted_ = false;
  bool timed_ = false;      // by SlowCalls
  bool forwarded_ = false;  // this time
  grpc::StatusCode code_ = grpc::StatusCode::OK;
  Forwarder::DoneFn remote_;  // set while another member's call is run
  size_t request_bytes_ = 0;
  size_t answer_bytes_ = 0;
  std::chrono::steady_clock::time_point accepted_;  // if RpcTally::seconds is wanted
  MonoTime started_{0};                             // as SlowCalls has it
  std::chrono::nanoseconds behind_{0};
  grpc::ByteBuffer request_;
  std::optional<grpc::ServerContext> context_;
  std::optional<UnaryResponder> responder_;
};

// UnaryPool keeps `accepts` calls of one method waiting, and a few more at hand.
//
// Thread rules: the queue's thread, or before that thread starts and after it has ended; calls come
// back on the engine thread.
class UnaryPool {
 public:
  using Factory = std::function<std::unique_ptr<UnaryCall>(UnaryPool*)>;

  // `host` and `service` outlive the pool.
  UnaryPool(CallHost* host, RawService* service, int method, int accepts, Factory factory)
      : host_(host),
        service_(service),
        method_(method),
        accepts_(accepts),
        factory_(std::move(factory)) {
    tally_.method = service->descriptor()->method(method);
  }
  UnaryPool(const UnaryPool&) = delete;
  UnaryPool& operator=(const UnaryPool&) = delete;

  void Open();
  [[nodiscard]] CallHost* host() const { return host_; }
  // Before Open: keeps the time that calls take.
  void TimeCalls() { tally_.seconds = std::make_unique<DurationHistogram>(); }
  // The engine thread's.
  [[nodiscard]] const RpcTally& tally() const { return tally_; }
  // Before Open: only the leader can serve this method, whose name is `name`.
  void UseForwarder(Forwarder* forwarder, std::string name) {
    forwarder_ = forwarder;
    name_ = std::move(name);
  }
  // Engine thread: a call of another member's client.
  void RunRemote(const std::string& request, Forwarder::DoneFn done);

 private:
  friend class UnaryCall;

  void AcceptAnother();
  [[nodiscard]] std::unique_ptr<UnaryCall> TakeIdle();
  void Recycle(UnaryCall* call);
  void Drop(UnaryCall* call);

  CallHost* const host_;
  RawService* const service_;
  const int method_;
  const int accepts_;
  const Factory factory_;
  RpcTally tally_;
  Forwarder* forwarder_ = nullptr;  // null: any member can serve it
  std::string name_;
  Mutex mutex_;
  std::vector<std::unique_ptr<UnaryCall>> idle_ ABSL_GUARDED_BY(mutex_);
};

// A UnaryCall whose request is a protobuf message. The message lives in an arena inside the call,
// so that a small request costs no allocation of its own, until the answer is written.
template <typename Message>
class MessageCall : public UnaryCall {
 public:
  using Request = Message;
  explicit MessageCall(UnaryPool* pool) : UnaryCall(pool), arena_(OptionsFor(&block_)) {}

 protected:
  // Queue thread: what to refuse; grpc::Status::OK otherwise. The message may be prepared for Start
  // here.
  virtual grpc::Status Prepare() = 0;

  [[nodiscard]] Message& request() const { return *message_; }

  grpc::Status Decode(const grpc::ByteBuffer& bytes) final {
    message_ = google::protobuf::Arena::CreateMessage<Message>(&arena_);
    const grpc::Status parsed = ParseRequest(bytes, message_);
    return parsed.ok() ? Prepare() : parsed;
  }
  [[nodiscard]] std::string Encode() const final { return message_->SerializeAsString(); }
  void Clear() override {
    message_ = nullptr;
    arena_.Reset();
  }

 private:
  struct Block {
    alignas(8) char bytes[1024];
  };
  static google::protobuf::ArenaOptions OptionsFor(Block* block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block->bytes;
    options.initial_block_size = sizeof(block->bytes);
    return options;
  }

  Block block_;
  google::protobuf::Arena arena_;
  Message* message_ = nullptr;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_UNARY_CALL_H_
