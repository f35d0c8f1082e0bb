// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_UNARY_CALL_H_
#define JETD_ETCDAPI_UNARY_CALL_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "etcdapi/call_host.h"
#include "etcdapi/forwarder.h"
#include "etcdapi/request_decoder.h"
#include "etcdapi/rpc_tally.h"
#include "google/protobuf/arena.h"
#include "rpc/call.h"
#include "rpc/message.h"
#include "rpc/status.h"

namespace jetd::etcdapi {

class UnaryPool;

// UnaryCall is one place for a request and its answer, used again for call after call:
//
//   Open ─> OnMessage: Decode (parse, check) ── refused ──> answered
//                        │
//           Start … Reply or Fail, now or later
//                        │ the transport sends the answer
//           OnOver: Clear, back to the pool
//
// A client that goes away meanwhile changes nothing for the engine: it answers, and the answer is
// dropped.
//
// While another member leads, a call that only the leader can serve is forwarded instead of started
// (Forwarder); at the leader it is run without a transport, and its answer goes back as bytes.
//
// The pool owns it while it waits; while a call is under way it belongs to the transport and the
// engine, and the host counts it.
//
// Thread rules: engine thread only.
class UnaryCall : private rpc::CallHandler {
 public:
  explicit UnaryCall(UnaryPool* pool) : pool_(pool) {}
  ~UnaryCall() override = default;

 protected:
  // An error is the answer.
  virtual rpc::Status Decode(const rpc::Message& request) = 0;
  // Ends in exactly one Reply or Fail, now or later.
  virtual void Start() = 0;
  // Lets go of the request.
  virtual void Clear() = 0;
  // The request's bytes, for another member.
  [[nodiscard]] virtual std::string Encode() const { return {}; }

  void Reply(const rpc::Message& answer);
  void Fail(const rpc::Status& status);
  [[nodiscard]] size_t request_bytes() const { return request_bytes_; }

 private:
  friend class UnaryPool;
  enum class State { kReading, kStarted, kAnswered };

  void Open(rpc::Call* call);
  void OnMessage(const rpc::Message& message) final;
  void OnHalfClosed() final;
  void OnWritten() final {}
  void OnOver(End end) final;

  void Run();
  void Answered(rpc::Code code, size_t bytes);
  void Done();
  void NoteStart();
  void NoteAnswer();
  void CountStart();
  void CountEnd();
  void Forward();
  void StartRemote(const std::string& request, Forwarder::DoneFn done);
  void AnswerRemote(const rpc::Status& status, const rpc::Message& answer);

  UnaryPool* const pool_;
  rpc::Call* call_ = nullptr;  // null: another member's, or the client is gone
  State state_ = State::kReading;
  bool requires_leader_ = false;
  bool counted_ = false;
  bool timed_ = false;      // by SlowCalls
  bool forwarded_ = false;  // this time
  rpc::Code code_ = rpc::Code::kOk;
  Forwarder::DoneFn remote_;  // set while another member's call is run
  size_t request_bytes_ = 0;
  size_t answer_bytes_ = 0;
  std::chrono::steady_clock::time_point accepted_;  // if RpcTally::seconds is wanted
  MonoTime started_{0};                             // as SlowCalls has it
  std::chrono::nanoseconds behind_{0};
};

// UnaryPool has the calls of one method: a few at hand, and as many as are under way.
//
// Thread rules: engine thread only, but for what is said to come before the server starts.
class UnaryPool {
 public:
  using Factory = std::function<std::unique_ptr<UnaryCall>(UnaryPool*)>;

  // `host` outlives the pool.
  UnaryPool(CallHost* host, const google::protobuf::MethodDescriptor* method, Factory factory)
      : host_(host), factory_(std::move(factory)) {
    tally_.method = method;
  }
  UnaryPool(const UnaryPool&) = delete;
  UnaryPool& operator=(const UnaryPool&) = delete;

  // Before the server starts: keeps the time that calls take.
  void TimeCalls() { tally_.seconds = std::make_unique<DurationHistogram>(); }
  // Before the server starts: only the leader can serve this method, whose name is `name`.
  void UseForwarder(Forwarder* forwarder, std::string name) {
    forwarder_ = forwarder;
    name_ = std::move(name);
  }

  [[nodiscard]] CallHost* host() const { return host_; }
  [[nodiscard]] const RpcTally& tally() const { return tally_; }
  // As rpc::Methods::Open.
  [[nodiscard]] rpc::CallHandler* Open(rpc::Call* call);
  // A call of another member's client.
  void RunRemote(const std::string& request, Forwarder::DoneFn done);

 private:
  friend class UnaryCall;

  [[nodiscard]] UnaryCall* Take();
  void Recycle(UnaryCall* call);

  CallHost* const host_;
  const Factory factory_;
  RpcTally tally_;
  Forwarder* forwarder_ = nullptr;  // null: any member can serve it
  std::string name_;
  std::vector<std::unique_ptr<UnaryCall>> idle_;
};

// A UnaryCall whose request is a protobuf message. The message lives in an arena inside the call,
// so that a small request costs no allocation of its own, until the answer is written.
template <typename Message>
class MessageCall : public UnaryCall {
 public:
  using Request = Message;
  explicit MessageCall(UnaryPool* pool) : UnaryCall(pool), arena_(OptionsFor(&block_)) {}

 protected:
  // What to refuse; OK otherwise. The message may be prepared for Start here.
  virtual rpc::Status Prepare() = 0;

  [[nodiscard]] Message& request() const { return *message_; }

  rpc::Status Decode(const rpc::Message& bytes) final {
    message_ = google::protobuf::Arena::CreateMessage<Message>(&arena_);
    rpc::Status parsed = ParseRequest(bytes, message_);
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
