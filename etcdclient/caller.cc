// SPDX-License-Identifier: Apache-2.0
#include "etcdclient/caller.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <deque>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "etcdclient/grpc_stream.h"
#include "etcdclient/target.h"

namespace jetd::etcdclient {
namespace {

class GrpcCaller final : public Caller {
 public:
  explicit GrpcCaller(std::vector<std::shared_ptr<grpc::Channel>> channels)
      : channels_(std::move(channels)) {}
  ~GrpcCaller() override {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) static_cast<QueueTag*>(tag)->Run(ok);
  }

  bool RunOnce(std::chrono::steady_clock::time_point deadline) override {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
        deadline - std::chrono::steady_clock::now());
    const gpr_timespec until =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left.count(), GPR_TIMESPAN));
    void* tag = nullptr;
    bool ok = false;
    if (queue_.AsyncNext(&tag, &ok, until) != grpc::CompletionQueue::GOT_EVENT) return false;
    static_cast<QueueTag*>(tag)->Run(ok);
    return true;
  }

  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel(int connection) const {
    return channels_[static_cast<size_t>(connection) % channels_.size()];
  }
  [[nodiscard]] grpc::CompletionQueue* queue() { return &queue_; }

 private:
  const std::vector<std::shared_ptr<grpc::Channel>> channels_;
  grpc::CompletionQueue queue_;
};

template <typename Request>
class GrpcReusableCall final : public ReusableCall<Request>, private QueueTag {
 public:
  using Response = ResponseOf<Request>;

  GrpcReusableCall(GrpcCaller* caller, int connection, typename ReusableCall<Request>::Done done)
      : ReusableCall<Request>(std::move(done)),
        queue_(caller->queue()),
        stub_(caller->channel(connection)),
        path_(UnaryCall<Request>::kPath) {}
  ~GrpcReusableCall() override { JETD_CHECK(!under_way_) << "a call is under way"; }

  void Start() override {
    JETD_CHECK(!under_way_) << "a call is under way";
    under_way_ = true;
    context_.emplace();
    context_->set_wait_for_ready(true);
    reader_ = stub_.PrepareUnaryCall(&*context_, path_, this->request_, queue_);
    reader_->StartCall();
    reader_->Finish(&this->response_, &status_, static_cast<QueueTag*>(this));
  }
  void Cancel() override {
    if (under_way_) context_->TryCancel();
  }

 private:
  void Run(bool /*ok*/) override {
    under_way_ = false;
    this->done_(FromGrpc(status_));
  }

  grpc::CompletionQueue* const queue_;
  grpc::TemplatedGenericStub<Request, Response> stub_;
  const std::string path_;
  bool under_way_ = false;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader_;
  grpc::Status status_;
};

// At most one read, one write and one finish are under way; the finish is asked for when a read
// says that there is nothing more, and its return is the end.
template <typename Request, typename Response>
class GrpcReusableStream final : public ReusableStream<Request, Response> {
 public:
  using Handler = typename ReusableStream<Request, Response>::Handler;

  GrpcReusableStream(GrpcCaller* caller, int connection, Handler handler)
      : ReusableStream<Request, Response>(std::move(handler)) {
    context_.set_wait_for_ready(true);
    grpc::TemplatedGenericStub<Request, Response> stub(caller->channel(connection));
    call_ = stub.PrepareCall(&context_, StreamCall<Request, Response>::kPath, caller->queue());
    call_->StartCall(static_cast<QueueTag*>(&started_tag_));
  }
  ~GrpcReusableStream() override {
    MutexLock lock(mutex_);
    JETD_CHECK(ended_) << "the stream is under way";
  }

  void Send(Request request) override {
    MutexLock lock(mutex_);
    outgoing_.push_back(std::move(request));
    PumpWrites();
  }
  void CloseSend() override {
    MutexLock lock(mutex_);
    close_wanted_ = true;
    PumpWrites();
  }
  void Cancel() override { context_.TryCancel(); }

 private:
  class Tag final : public QueueTag {
   public:
    using Step = void (GrpcReusableStream::*)(bool ok);
    Tag(GrpcReusableStream* stream, Step step) : stream_(stream), step_(step) {}
    void Run(bool ok) override { (stream_->*step_)(ok); }

   private:
    GrpcReusableStream* const stream_;
    const Step step_;
  };

  void OnStarted(bool ok) {
    MutexLock lock(mutex_);
    started_ = true;
    read_over_ = !ok;
    PumpRead();
    PumpWrites();
  }

  void OnRead(bool ok) {
    if (ok && this->handler_.on_message) this->handler_.on_message(incoming_);
    MutexLock lock(mutex_);
    read_over_ = !ok;
    PumpRead();
  }

  void OnWritten(bool /*ok*/) {
    MutexLock lock(mutex_);
    writing_ = false;
    PumpWrites();
    if (read_over_) PumpRead();
  }

  void OnFinished(bool /*ok*/) {
    {
      MutexLock lock(mutex_);
      ended_ = true;
    }
    if (this->handler_.on_end) this->handler_.on_end(FromGrpc(status_));
  }

  void PumpRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!read_over_) {
      call_->Read(&incoming_, static_cast<QueueTag*>(&read_tag_));
    } else if (!writing_ && !finishing_) {
      finishing_ = true;
      call_->Finish(&status_, static_cast<QueueTag*>(&finished_tag_));
    }
  }

  void PumpWrites() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!started_ || writing_ || read_over_) return;
    if (!outgoing_.empty()) {
      writing_ = true;
      writing_message_ = std::move(outgoing_.front());
      outgoing_.pop_front();
      call_->Write(writing_message_, static_cast<QueueTag*>(&written_tag_));
    } else if (close_wanted_ && !close_sent_) {
      close_sent_ = true;
      writing_ = true;
      call_->WritesDone(static_cast<QueueTag*>(&written_tag_));
    }
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<Request, Response>> call_;
  Tag started_tag_{this, &GrpcReusableStream::OnStarted};
  Tag read_tag_{this, &GrpcReusableStream::OnRead};
  Tag written_tag_{this, &GrpcReusableStream::OnWritten};
  Tag finished_tag_{this, &GrpcReusableStream::OnFinished};
  // Owned by the operation under way.
  Response incoming_;
  Request writing_message_;
  grpc::Status status_;

  Mutex mutex_;
  std::deque<Request> outgoing_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool close_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool close_sent_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Caller>> Caller::Connect(const Options& options) {
  const auto target =
      TargetOf(options.endpoint, {options.ca_file, options.cert_file, options.key_file});
  if (!target.ok()) return target.status();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // A connection of its own per channel, straight to the server.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  if (options.keepalive.count() > 0) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options.keepalive.count()));
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  }
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < options.connections; ++i) {
    channels.push_back(grpc::CreateCustomChannel(target->address, target->credentials, arguments));
  }
  return std::make_unique<GrpcCaller>(std::move(channels));
}

template <typename Request>
std::unique_ptr<ReusableCall<Request>> Caller::NewCall(int connection,
                                                       typename ReusableCall<Request>::Done done) {
  return std::make_unique<GrpcReusableCall<Request>>(static_cast<GrpcCaller*>(this), connection,
                                                     std::move(done));
}

template <typename Request, typename Response>
std::unique_ptr<ReusableStream<Request, Response>> Caller::NewStream(
    int connection, typename ReusableStream<Request, Response>::Handler handler) {
  return std::make_unique<GrpcReusableStream<Request, Response>>(static_cast<GrpcCaller*>(this),
                                                                 connection, std::move(handler));
}

#define JETD_ETCDCLIENT_UNARY(request, response, path)                 \
  template std::unique_ptr<ReusableCall<pb::request>> Caller::NewCall( \
      int, typename ReusableCall<pb::request>::Done);
JETD_ETCDCLIENT_UNARY_CALLS(JETD_ETCDCLIENT_UNARY)
#undef JETD_ETCDCLIENT_UNARY

#define JETD_ETCDCLIENT_STREAM(request, response, path)                                  \
  template std::unique_ptr<ReusableStream<pb::request, pb::response>> Caller::NewStream( \
      int, typename ReusableStream<pb::request, pb::response>::Handler);
JETD_ETCDCLIENT_STREAMS(JETD_ETCDCLIENT_STREAM)
#undef JETD_ETCDCLIENT_STREAM

}  // namespace jetd::etcdclient
