// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_STREAM_CALL_H_
#define JETD_ETCDAPI_STREAM_CALL_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "etcdapi/call_host.h"
#include "etcdapi/rpc_tally.h"
#include "rpc/call.h"
#include "rpc/message.h"
#include "rpc/status.h"

namespace jetd::etcdapi {

// StreamCall is one stream of a client (Watch, LeaseKeepAlive, RangeStream, …).
//
// At most one read and one write are under way. A subclass that does not call Read lets the client
// wait: that is the bound for what a client can ask of a stream. What it wants to write while a
// write is under way it keeps itself.
//
// It owns itself: it is freed when the transport is done with the call and the engine holds no
// callback to it.
//
// Thread rules: engine thread only.
class StreamCall {
 public:
  virtual ~StreamCall() = default;
  StreamCall(const StreamCall&) = delete;
  StreamCall& operator=(const StreamCall&) = delete;

  // Ends the stream, behind the write that is under way; later calls do nothing. OnClosed is called
  // before it returns.
  void Finish(const rpc::Status& status);
  // There is a leader now, or none any more.
  virtual void OnLeader(bool has_leader);

 protected:
  explicit StreamCall(CallHost* host) : host_(host) {}

  virtual void OnOpen() = 0;
  virtual void OnMessage(const rpc::Message& message) = 0;
  // The client sends no more. It may still read.
  virtual void OnHalfClosed() = 0;
  // The write is done: the message is in the transport's hands.
  virtual void OnWritten() = 0;
  // Nothing comes after this: the stream was finished or the client is gone.
  virtual void OnClosed() {}
  // True while the engine holds a callback to this stream: it is not freed then.
  [[nodiscard]] virtual bool Busy() const { return false; }

  // REQUIRES: no read (no write) under way, not closed.
  void Read();
  void Write(const rpc::Message& message);
  [[nodiscard]] bool reading() const { return reading_; }
  [[nodiscard]] bool writing() const { return writing_; }
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] CallHost* host() const { return host_; }
  // Last thing in a callback of the engine after which Busy may be false.
  void FreeIfOver();

 private:
  friend class CallHost;
  friend class StreamPool;

  // What the transport tells.
  class Side final : public rpc::CallHandler {
   public:
    explicit Side(StreamCall* stream) : stream_(stream) {}
    void OnMessage(const rpc::Message& message) override { stream_->Received(message); }
    void OnHalfClosed() override { stream_->HalfClosed(); }
    void OnWritten() override { stream_->Written(); }
    void OnOver(End end) override { stream_->Over(end.code); }

   private:
    StreamCall* const stream_;
  };

  void Open(rpc::Call* call, RpcTally* tally);
  void Received(const rpc::Message& message);
  void HalfClosed();
  void Written();
  void Over(rpc::Code code);
  void Close(rpc::Code code);

  CallHost* const host_;
  Side side_{this};
  RpcTally* tally_ = nullptr;  // the pool's
  rpc::Call* call_ = nullptr;  // null once it is over
  size_t index_ = 0;           // among the host's streams
  bool requires_leader_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool closed_ = false;
};

// The streams of one method. Thread rules: engine thread only.
class StreamPool {
 public:
  using Factory = std::function<std::unique_ptr<StreamCall>(CallHost*)>;
  StreamPool(CallHost* host, const google::protobuf::MethodDescriptor* method, Factory factory)
      : host_(host), factory_(std::move(factory)) {
    tally_.method = method;
  }
  StreamPool(const StreamPool&) = delete;
  StreamPool& operator=(const StreamPool&) = delete;

  // As rpc::Methods::Open.
  [[nodiscard]] rpc::CallHandler* Open(rpc::Call* call);
  [[nodiscard]] const RpcTally& tally() const { return tally_; }

 private:
  CallHost* const host_;
  const Factory factory_;
  RpcTally tally_;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_STREAM_CALL_H_
