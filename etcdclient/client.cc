// SPDX-License-Identifier: Apache-2.0
#include "etcdclient/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <thread>
#include <unordered_set>
#include <utility>

#include "base/mutex.h"
#include "base/strings.h"
#include "etcdclient/grpc_stream.h"
#include "etcdclient/target.h"

namespace jetd::etcdclient {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

void SetUp(grpc::ClientContext& context, const CallOptions& options, const std::string& token) {
  if (!token.empty()) context.AddMetadata(kTokenMetadata, token);
  context.set_deadline(system_clock::now() + options.timeout);
  context.set_wait_for_ready(options.unreachable == CallOptions::Unreachable::kWait);
}

// One asynchronous unary call; frees itself with its answer.
template <typename Request>
class PendingCall;

class GrpcClient final : public Client {
 public:
  GrpcClient(std::shared_ptr<grpc::Channel> channel, std::string token)
      : channel_(std::move(channel)),
        token_(std::move(token)),
        bytes_stub_(channel_),
        thread_([this] { RunQueue(); }) {}

  ~GrpcClient() override {
    {
      MutexLock lock(mutex_);
      for (grpc::ClientContext* context : pending_) context->TryCancel();
    }
    queue_.Shutdown();
    thread_.join();
  }

  absl::StatusOr<std::string> CallBytes(std::string_view path, std::string_view request,
                                        const CallOptions& options) override {
    grpc::Slice slice(request.data(), request.size());
    grpc::ByteBuffer answer;
    const absl::Status status =
        Run(bytes_stub_, std::string(path), grpc::ByteBuffer(&slice, 1), answer, options);
    if (!status.ok()) return status;
    std::vector<grpc::Slice> pieces;
    std::string bytes;
    if (answer.Dump(&pieces).ok()) {
      for (const grpc::Slice& piece : pieces) {
        bytes.append(reinterpret_cast<const char*>(piece.begin()), piece.size());
      }
    }
    return bytes;
  }

  template <typename Request>
  absl::StatusOr<ResponseOf<Request>> CallTyped(const Request& request,
                                                const CallOptions& options) {
    grpc::TemplatedGenericStub<Request, ResponseOf<Request>> stub(channel_);
    ResponseOf<Request> response;
    const absl::Status status = Run(stub, UnaryCall<Request>::kPath, request, response, options);
    if (!status.ok()) return status;
    return response;
  }

  void Track(grpc::ClientContext* context) {
    MutexLock lock(mutex_);
    pending_.insert(context);
  }
  void Untrack(grpc::ClientContext* context) {
    MutexLock lock(mutex_);
    pending_.erase(context);
  }

  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  [[nodiscard]] const std::string& token() const { return token_; }
  [[nodiscard]] grpc::CompletionQueue* queue() { return &queue_; }

 private:
  // Blocks on a queue of the call's own, so that no other thread is involved.
  template <typename Stub, typename Request, typename Response>
  absl::Status Run(Stub& stub, const std::string& path, const Request& request, Response& response,
                   const CallOptions& options) const {
    grpc::ClientContext context;
    SetUp(context, options, token_);
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareUnaryCall(&context, path, request, &queue);
    call->StartCall();
    grpc::Status status;
    call->Finish(&response, &status, &context);
    void* tag = nullptr;
    bool ok = false;
    (void)queue.Next(&tag, &ok);
    queue.Shutdown();
    while (queue.Next(&tag, &ok)) {
    }
    return FromGrpc(status);
  }

  void RunQueue() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) static_cast<QueueTag*>(tag)->Run(ok);
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::string token_;
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> bytes_stub_;
  grpc::CompletionQueue queue_;
  Mutex mutex_;
  std::unordered_set<grpc::ClientContext*> pending_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: uses what stands above
};

template <typename Request>
class PendingCall final : public QueueTag {
 public:
  using Done = std::function<void(absl::StatusOr<ResponseOf<Request>>)>;

  static void Start(GrpcClient* client, const Request& request, const CallOptions& options,
                    Done done) {
    auto* call = new PendingCall(client, std::move(done));
    SetUp(call->context_, options, client->token());
    client->Track(&call->context_);
    grpc::TemplatedGenericStub<Request, ResponseOf<Request>> stub(client->channel());
    call->reader_ =
        stub.PrepareUnaryCall(&call->context_, UnaryCall<Request>::kPath, request, client->queue());
    call->reader_->StartCall();
    call->reader_->Finish(&call->response_, &call->status_, static_cast<QueueTag*>(call));
  }

  void Run(bool /*ok*/) override {
    const std::unique_ptr<PendingCall> self(this);
    client_->Untrack(&context_);
    if (status_.ok()) {
      done_(std::move(response_));
    } else {
      done_(FromGrpc(status_));
    }
  }

 private:
  PendingCall(GrpcClient* client, Done done) : client_(client), done_(std::move(done)) {}

  GrpcClient* const client_;
  const Done done_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<ResponseOf<Request>>> reader_;
  ResponseOf<Request> response_;
  grpc::Status status_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const Options& options) {
  const auto target =
      TargetOf(options.endpoint, {options.ca_file, options.cert_file, options.key_file});
  if (!target.ok()) return target.status();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // A connection of its own per client, straight to the server, soon tried again after a restart.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return std::make_unique<GrpcClient>(
      grpc::CreateCustomChannel(target->address, target->credentials, arguments), options.token);
}

template <typename Request>
absl::StatusOr<ResponseOf<Request>> Client::Call(const Request& request,
                                                 const CallOptions& options) {
  return static_cast<GrpcClient*>(this)->CallTyped(request, options);
}

template <typename Request>
void Client::CallAsync(const Request& request,
                       std::function<void(absl::StatusOr<ResponseOf<Request>>)> done,
                       const CallOptions& options) {
  PendingCall<Request>::Start(static_cast<GrpcClient*>(this), request, options, std::move(done));
}

template <typename Request, typename Response>
std::unique_ptr<Stream<Request, Response>> Client::Open(StreamHandler<Response> handler) {
  auto* self = static_cast<GrpcClient*>(this);
  return GrpcStream<Request, Response>::Start(self->channel(), self->queue(),
                                              StreamCall<Request, Response>::kPath, self->token(),
                                              std::move(handler));
}

absl::StatusOr<pb::RangeResponse> Client::CallRangeStream(const pb::RangeRequest& request,
                                                          const CallOptions& options) {
  const auto deadline = std::chrono::steady_clock::now() + options.timeout;
  const auto stream = Open<pb::RangeRequest, pb::RangeStreamResponse>();
  stream->Send(request);
  stream->CloseSend();
  pb::RangeResponse merged;
  while (true) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    auto piece = stream->Next(left);
    if (piece.ok()) {
      merged.MergeFrom(piece->range_response());
    } else if (absl::IsOutOfRange(piece.status()) && MessageOf(piece.status()) == kEndOfStream) {
      return merged;
    } else {
      return piece.status();
    }
  }
}

#define JETD_ETCDCLIENT_UNARY(request, response, path)                                        \
  template absl::StatusOr<pb::response> Client::Call(const pb::request&, const CallOptions&); \
  template void Client::CallAsync(                                                            \
      const pb::request&, std::function<void(absl::StatusOr<pb::response>)>, const CallOptions&);
JETD_ETCDCLIENT_UNARY_CALLS(JETD_ETCDCLIENT_UNARY)
#undef JETD_ETCDCLIENT_UNARY

#define JETD_ETCDCLIENT_STREAM(request, response, path)                     \
  template std::unique_ptr<Stream<pb::request, pb::response>> Client::Open( \
      StreamHandler<pb::response>);
JETD_ETCDCLIENT_STREAMS(JETD_ETCDCLIENT_STREAM)
#undef JETD_ETCDCLIENT_STREAM

}  // namespace jetd::etcdclient
