// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_STREAM_CALL_H_
#define JETD_ETCDAPI_STREAM_CALL_H_

#include <functional>
#include <memory>
#include <optional>

#include "base/loop.h"
#include "etcdapi/call_host.h"
#include "etcdapi/raw_service.h"
#include "etcdapi/rpc_tally.h"
#include "etcdapi/tag.h"
#include "grpcpp/server_context.h"

namespace jetd::etcdapi {

// StreamCall is one stream of a client (Watch, LeaseKeepAlive, RangeStream, …). Everything about it
// is decided on the engine thread; the queue's thread only carries events there.
//
// At most one read and one write are under way. A subclass that does not call Read lets the client
// wait: that is the bound for what a client can ask of a stream. What it wants to write while a
// write is under way it keeps itself.
//
// It owns itself: it is freed on the engine thread when the call is over and no operation of it is
// left in gRPC.
class StreamCall {
 public:
  virtual ~StreamCall() = default;
  StreamCall(const StreamCall&) = delete;
  StreamCall& operator=(const StreamCall&) = delete;

  // Engine thread. Ends the stream, behind the write that is under way; later calls do nothing.
  // OnClosed is called before it returns.
  void Finish(const grpc::Status& status);
  // Engine thread. There is a leader now, or none any more.
  virtual void OnLeader(bool has_leader);

 protected:
  explicit StreamCall(CallHost* host);

  // Engine thread, all of them.
  virtual void OnOpen() = 0;
  virtual void OnMessage(const grpc::ByteBuffer& message) = 0;
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
  void Write(const grpc::ByteBuffer& message);
  [[nodiscard]] bool reading() const { return read_.pending; }
  [[nodiscard]] bool writing() const { return write_.pending; }
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] CallHost* host() const { return host_; }
  // Last thing in a callback of the engine after which Busy may be false.
  void FreeIfOver();

 private:
  friend class StreamPool;

  // One kind of gRPC operation of this stream, on its way or not.
  class Event final : public Tag, public Loop::Task {
   public:
    using Handler = void (StreamCall::*)(bool ok);
    Event(StreamCall* stream, Handler handler) : stream_(stream), handler_(handler) {}
    void OnEvent(bool ok) override;
    void Run() override;
    // Engine thread (accept: queue thread).
    void* Start();
    bool pending = false;

   private:
    StreamCall* const stream_;
    const Handler handler_;
    bool ok_ = false;
  };

  void Accept(RawService* service, int method, RpcTally* tally,
              std::function<void()> accept_another);
  void AcceptEvent(bool ok);
  void ReadEvent(bool ok);
  void WriteEvent(bool ok);
  void FinishEvent(bool ok);
  void DoneEvent(bool ok);
  void Close();

  CallHost* const host_;
  RpcTally* tally_ = nullptr;  // the pool's; set when the stream is accepted
  grpc::ServerContext context_;
  StreamResponder responder_;
  grpc::ByteBuffer incoming_;
  std::function<void()> accept_another_;
  bool requires_leader_ = false;
  bool closed_ = false;
  bool finishing_ = false;
  grpc::Status final_status_;
  Event accept_{this, &StreamCall::AcceptEvent};
  Event read_{this, &StreamCall::ReadEvent};
  Event write_{this, &StreamCall::WriteEvent};
  Event finish_{this, &StreamCall::FinishEvent};
  Event done_{this, &StreamCall::DoneEvent};
};

// Keeps `accepts` streams of one method waiting for clients.
// Thread rules: Open before the queue's thread starts; afterwards that thread.
class StreamPool {
 public:
  using Factory = std::function<std::unique_ptr<StreamCall>(CallHost*)>;
  StreamPool(CallHost* host, RawService* service, int method, int accepts, Factory factory)
      : host_(host),
        service_(service),
        method_(method),
        accepts_(accepts),
        factory_(std::move(factory)) {
    tally_.method = service->descriptor()->method(method);
  }
  StreamPool(const StreamPool&) = delete;
  StreamPool& operator=(const StreamPool&) = delete;

  void Open();
  // The engine thread's.
  [[nodiscard]] const RpcTally& tally() const { return tally_; }

 private:
  void AcceptAnother();

  CallHost* const host_;
  RawService* const service_;
  const int method_;
  const int accepts_;
  const Factory factory_;
  RpcTally tally_;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_STREAM_CALL_H_
