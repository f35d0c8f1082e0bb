// SPDX-License-Identifier: Apache-2.0
//
// What stands behind Stream: gRPC's calls on a completion queue. Internal to etcdclient.
#ifndef JETD_ETCDCLIENT_GRPC_STREAM_H_
#define JETD_ETCDCLIENT_GRPC_STREAM_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "etcdclient/stream.h"

namespace jetd::etcdclient {

// What a completion queue of this room hands back.
class QueueTag {
 public:
  virtual ~QueueTag() = default;
  virtual void Run(bool ok) = 0;
};

// Where etcd looks for the token of a user.
inline constexpr char kTokenMetadata[] = "token";

[[nodiscard]] inline absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

// The call itself, shared by the Stream that the user holds and by the operations under way, each
// of which keeps one reference until its tag comes back.
//
// At most one read, one write and one finish are under way. The call is over when the finish is
// back, which is asked for when a read says that there is nothing more.
template <typename Request, typename Response>
class GrpcCall : public std::enable_shared_from_this<GrpcCall<Request, Response>> {
 public:
  explicit GrpcCall(StreamHandler<Response> handler) : handler_(std::move(handler)) {}

  void Start(const std::shared_ptr<grpc::Channel>& channel, grpc::CompletionQueue* queue,
             const std::string& path, const std::string& token) {
    if (!token.empty()) context_.AddMetadata(kTokenMetadata, token);
    grpc::TemplatedGenericStub<Request, Response> stub(channel);
    MutexLock lock(mutex_);
    call_ = stub.PrepareCall(&context_, path, queue);
    call_->StartCall(NewTag(&GrpcCall::OnStarted));
  }

  void Send(Request request) {
    MutexLock lock(mutex_);
    if (write_broken_ || close_wanted_) return;
    outgoing_.push_back(std::move(request));
    PumpWrites();
  }

  void CloseSend() {
    MutexLock lock(mutex_);
    close_wanted_ = true;
    PumpWrites();
  }

  void Cancel() { context_.TryCancel(); }

  void WaitForEnd() {
    MutexLock lock(mutex_);
    // Room for what comes in, so that the call reaches its end.
    draining_ = true;
    waiting_.clear();
    PumpRead();
    while (!ended_) changed_.Wait(mutex_);
  }

  absl::StatusOr<Response> Next(std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    MutexLock lock(mutex_);
    while (waiting_.empty() && !ended_) {
      if (!changed_.WaitUntil(mutex_, deadline) && waiting_.empty() && !ended_) {
        return absl::DeadlineExceededError("no message in time");
      }
    }
    if (waiting_.empty()) {
      return end_.ok() ? absl::OutOfRangeError(kEndOfStream) : absl::StatusOr<Response>(end_);
    }
    Response response = std::move(waiting_.front());
    waiting_.pop_front();
    PumpRead();
    return response;
  }

 private:
  using Step = void (GrpcCall::*)(bool ok);

  class Tag final : public QueueTag {
   public:
    Tag(std::shared_ptr<GrpcCall> call, Step step) : call_(std::move(call)), step_(step) {}
    void Run(bool ok) override {
      const std::unique_ptr<Tag> self(this);
      ((*call_).*step_)(ok);
    }

   private:
    const std::shared_ptr<GrpcCall> call_;
    const Step step_;
  };

  void* NewTag(Step step) {
    return static_cast<QueueTag*>(new Tag(this->shared_from_this(), step));
  }

  void OnStarted(bool ok) {
    MutexLock lock(mutex_);
    started_ = true;
    if (!ok) {
      write_broken_ = true;
      read_over_ = true;
    }
    PumpRead();
    PumpWrites();
  }

  void OnRead(bool ok) {
    if (ok && handler_.on_message) handler_.on_message(std::move(incoming_));
    MutexLock lock(mutex_);
    reading_ = false;
    if (!ok) {
      read_over_ = true;
      write_broken_ = true;
    } else if (!handler_.on_message && !draining_) {
      waiting_.push_back(std::move(incoming_));
      changed_.NotifyAll();
    }
    PumpRead();
  }

  void OnWritten(bool ok) {
    MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) write_broken_ = true;
    PumpWrites();
    PumpRead();
  }

  void OnFinished(bool /*ok*/) {
    const absl::Status end = FromGrpc(status_);
    if (handler_.on_end) handler_.on_end(end);
    MutexLock lock(mutex_);
    end_ = end;
    ended_ = true;
    changed_.NotifyAll();
  }

  void PumpRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!started_ || reading_ || finishing_) return;
    if (read_over_) {
      if (writing_) return;  // its tag comes back first
      finishing_ = true;
      call_->Finish(&status_, NewTag(&GrpcCall::OnFinished));
      return;
    }
    if (waiting_.size() >= Stream<Request, Response>::kMaxWaiting) return;
    reading_ = true;
    incoming_ = Response();
    call_->Read(&incoming_, NewTag(&GrpcCall::OnRead));
  }

  void PumpWrites() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!started_ || writing_) return;
    if (write_broken_) {
      outgoing_.clear();
      return;
    }
    if (!outgoing_.empty()) {
      writing_ = true;
      writing_message_ = std::move(outgoing_.front());
      outgoing_.pop_front();
      call_->Write(writing_message_, NewTag(&GrpcCall::OnWritten));
    } else if (close_wanted_ && !close_sent_) {
      close_sent_ = true;
      writing_ = true;
      call_->WritesDone(NewTag(&GrpcCall::OnWritten));
    }
  }

  const StreamHandler<Response> handler_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<Request, Response>> call_;
  // Owned by the operation under way.
  Response incoming_;
  Request writing_message_;
  grpc::Status status_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Request> outgoing_ ABSL_GUARDED_BY(mutex_);
  std::deque<Response> waiting_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool write_broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool close_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool close_sent_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
};

template <typename Request, typename Response>
class GrpcStream final : public Stream<Request, Response> {
 public:
  static std::unique_ptr<Stream<Request, Response>> Start(
      const std::shared_ptr<grpc::Channel>& channel, grpc::CompletionQueue* queue,
      const std::string& path, const std::string& token, StreamHandler<Response> handler) {
    auto call = std::make_shared<GrpcCall<Request, Response>>(std::move(handler));
    call->Start(channel, queue, path, token);
    return std::make_unique<GrpcStream>(std::move(call));
  }

  explicit GrpcStream(std::shared_ptr<GrpcCall<Request, Response>> call) : call_(std::move(call)) {}
  ~GrpcStream() override {
    call_->Cancel();
    call_->WaitForEnd();
  }

  void Send(Request request) override { call_->Send(std::move(request)); }
  void CloseSend() override { call_->CloseSend(); }
  void Cancel() override { call_->Cancel(); }
  absl::StatusOr<Response> Next(std::chrono::milliseconds timeout) override {
    return call_->Next(timeout);
  }

 private:
  const std::shared_ptr<GrpcCall<Request, Response>> call_;
};

}  // namespace jetd::etcdclient

#endif  // JETD_ETCDCLIENT_GRPC_STREAM_H_
