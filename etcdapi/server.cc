// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/server.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <initializer_list>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "base/timer_slack.h"
#include "etcdapi/status_map.h"
#include "grpcpp/alarm.h"
#include "grpcpp/server_builder.h"

namespace jetd::etcdapi {
namespace {

using google::protobuf::ServiceDescriptor;

// gRPC's own bound for a message it receives, above ours: what lies between is refused by us, with
// grpc-go's text; what is above, by gRPC with its own.
constexpr int kTransportMessageBytes = 32 << 20;

// Answers every message with one error; for RPCs that jetd does not have.
class UnimplementedCall final : public UnaryCall {
 public:
  UnimplementedCall(UnaryPool* pool, grpc::Status status)
      : UnaryCall(pool), status_(std::move(status)) {}

 private:
  grpc::Status Decode(const grpc::ByteBuffer& /*request*/) override { return status_; }
  void Start() override {}
  void Clear() override {}
  const grpc::Status status_;
};

class UnimplementedStream final : public StreamCall {
 public:
  UnimplementedStream(CallHost* host, grpc::Status status)
      : StreamCall(host), status_(std::move(status)) {}

 private:
  void OnOpen() override { Finish(status_); }
  void OnMessage(const grpc::ByteBuffer& /*message*/) override {}
  void OnHalfClosed() override {}
  void OnWritten() override {}
  const grpc::Status status_;
};

// Comes off the queue after everything that was put on it before.
class Fence final : public Tag {
 public:
  void OnEvent(bool /*ok*/) override { passed_.set_value(); }
  void Wait() { passed_.get_future().wait(); }

 private:
  std::promise<void> passed_;
};

int ClampToInt(std::chrono::milliseconds value) {
  return static_cast<int>(std::min<int64_t>(value.count(), std::numeric_limits<int>::max()));
}

// A socket of mode 0600 even where the umask says otherwise; a moment after gRPC has made it.
absl::Status KeepToOwner(const ListenUrl& url) {
  if (!url.owner_only || !url.unix_socket) return absl::OkStatus();
  if (chmod(url.path().c_str(), S_IRUSR | S_IWUSR) == 0) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kUnavailable, "cannot keep ", url.text,
                    " to its owner: ", std::string_view(std::strerror(errno)));
}

// From the call of gRPC's Shutdown until its clients are told, with room.
constexpr std::chrono::milliseconds kGoAwayLead{20};

void Drain(grpc::ServerCompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) {
  }
}

int IndexOf(const ServiceDescriptor* service, std::string_view method) {
  const auto* found = service->FindMethodByName(std::string(method));
  JETD_CHECK(found != nullptr) << service->full_name() << " has no method " << method;
  return found->index();
}

}  // namespace

Server::Server(Loop* loop, Options options, std::function<bool()> has_leader)
    : options_(std::move(options)), loop_(loop), has_leader_(std::move(has_leader)) {}

Server::~Server() { JETD_CHECK(!thread_.joinable()) << "a server ends by Stop"; }

void Server::AddService(const ServiceDescriptor* service) {
  services_.push_back(std::make_unique<RawService>(service));
}

std::vector<std::string> Server::ServiceNames() const {
  std::vector<std::string> names;
  for (const auto& service : services_) names.push_back(service->descriptor()->full_name());
  return names;
}

RawService* Server::ServiceOf(const ServiceDescriptor* service) {
  const auto it = std::find_if(services_.begin(), services_.end(),
                               [&](const auto& s) { return s->descriptor() == service; });
  JETD_CHECK(it != services_.end()) << service->full_name() << " was not added";
  return it->get();
}

void Server::BindUnary(const ServiceDescriptor* service, std::string_view method, int accepts,
                       UnaryPool::Factory factory) {
  RawService* raw = ServiceOf(service);
  const int index = IndexOf(service, method);
  bound_.emplace_back(service, method);
  open_pools_.push_back([this, raw, index, accepts, factory = std::move(factory)] {
    unary_pools_.push_back(std::make_unique<UnaryPool>(host_.get(), raw, index, accepts, factory));
    if (options_.time_calls) unary_pools_.back()->TimeCalls();
    OfferToOthers(raw, index, unary_pools_.back().get());
    unary_pools_.back()->Open();
  });
}

void Server::Forward(const ServiceDescriptor* service, std::string_view method) {
  forwarded_.emplace_back(service, method);
}

void Server::BindRemote(const std::string& method, RemoteFn run) {
  remote_[method] = std::move(run);
}

void Server::OfferToOthers(const RawService* service, int method, UnaryPool* pool) {
  const std::string& name = service->descriptor()->method(method)->name();
  if (std::find(forwarded_.begin(), forwarded_.end(), std::pair(service->descriptor(), name)) ==
      forwarded_.end()) {
    return;
  }
  std::string full = Cat(service->descriptor()->full_name(), "/", name);
  remote_[full] = [pool](const std::string& request, Forwarder::DoneFn done) {
    pool->RunRemote(request, std::move(done));
  };
  pool->UseForwarder(forwarder_, std::move(full));
}

void Server::RunRemote(const std::string& method, const std::string& request,
                       Forwarder::DoneFn done) {
  CallHost* host = serving_host_.load(std::memory_order_acquire);
  if (host == nullptr || !pools_open_.load(std::memory_order_acquire)) {
    done(ToGrpc(Refusal::kNoLeader), {});
    return;
  }
  // Counted before it is asked whether this server still serves: Stop waits for the count.
  host->CallStarted();
  const auto it = remote_.find(method);
  if (it == remote_.end() || !host->serving()) {
    done(ToGrpc(Refusal::kNoLeader), {});
  } else {
    it->second(request, std::move(done));
  }
  host->CallEnded();
}

void Server::BindStream(const ServiceDescriptor* service, std::string_view method, int accepts,
                        StreamPool::Factory factory) {
  RawService* raw = ServiceOf(service);
  const int index = IndexOf(service, method);
  bound_.emplace_back(service, method);
  open_pools_.push_back([this, raw, index, accepts, factory = std::move(factory)] {
    stream_pools_.push_back(
        std::make_unique<StreamPool>(host_.get(), raw, index, accepts, factory));
    stream_pools_.back()->Open();
  });
}

void Server::BindUnimplemented(const ServiceDescriptor* service, std::string_view method,
                               std::string_view why) {
  const auto* descriptor = service->method(IndexOf(service, method));
  const grpc::Status status = Unimplemented(method, why);
  if (descriptor->client_streaming() || descriptor->server_streaming()) {
    BindStream(service, method, 1, [status](CallHost* host) {
      return std::make_unique<UnimplementedStream>(host, status);
    });
  } else {
    BindUnary(service, method, 1, [status](UnaryPool* pool) {
      return std::make_unique<UnimplementedCall>(pool, status);
    });
  }
}

void Server::BindRest() {
  for (const auto& service : services_) {
    const ServiceDescriptor* descriptor = service->descriptor();
    for (int i = 0; i < descriptor->method_count(); ++i) {
      const std::string& method = descriptor->method(i)->name();
      if (std::find(bound_.begin(), bound_.end(), std::pair(descriptor, method)) == bound_.end()) {
        BindUnimplemented(descriptor, method, "it is not there yet");
      }
    }
  }
}

absl::Status Server::Start() {
  BindRest();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(
      std::max<int>(kTransportMessageBytes, 2 * static_cast<int>(options_.max_message_bytes)));
  builder.SetMaxSendMessageSize(std::numeric_limits<int>::max());
  // Two servers on one port would share its clients without a word.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, ClampToInt(options_.keepalive_interval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ClampToInt(options_.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             ClampToInt(options_.keepalive_min_time));
  // None but in a build that bench/sweep makes.
  using Argument = std::pair<const char*, int>;
  for (const auto& [name, value] : std::initializer_list<Argument>{JETD_GRPC_ARGUMENTS}) {
    builder.AddChannelArgument(name, value);
  }
  ports_.assign(options_.listeners.size(), 0);
  for (size_t i = 0; i < options_.listeners.size(); ++i) {
    const Listener& listener = options_.listeners[i];
    builder.AddListeningPort(listener.url.address, listener.credentials, &ports_[i]);
  }
  for (const auto& service : services_) builder.RegisterService(service.get());
  queue_ = builder.AddCompletionQueue();
  auto answers = builder.AddCompletionQueue(/*is_frequently_polled=*/false);
  {
    const TimerSlack slack(kTimerSlack);
    server_ = builder.BuildAndStart();
  }
  const auto failed = std::find(ports_.begin(), ports_.end(), 0);
  const bool listening =
      failed == ports_.end() || options_.listeners[failed - ports_.begin()].url.unix_socket;
  if (server_ == nullptr || !listening) {
    if (server_ != nullptr) server_->Shutdown();
    queue_->Shutdown();
    answers->Shutdown();
    Drain(queue_.get());
    Drain(answers.get());
    const size_t which = failed == ports_.end() ? 0 : failed - ports_.begin();
    return MakeStatus(absl::StatusCode::kUnavailable, "cannot listen on ",
                      options_.listeners[which].url.text,
                      ": the address is taken, or not of this machine");
  }
  absl::Status kept;
  for (const Listener& listener : options_.listeners) kept.Update(KeepToOwner(listener.url));
  UseAnswers(std::move(answers));
  host_ = std::make_unique<CallHost>(loop_, queue_.get(), answers_.get(), slow_.get(),
                                     options_.max_message_bytes, has_leader_);
  serving_host_.store(host_.get(), std::memory_order_release);
  for (const auto& open : open_pools_) open();
  pools_open_.store(true, std::memory_order_release);
  thread_ = std::thread([this] { ServeQueue(); });
  return kept;
}

// The loop runs already, and takes hooks only on its own thread.
void Server::UseAnswers(std::unique_ptr<grpc::ServerCompletionQueue> queue) {
  std::promise<void> done;
  loop_->Post([&] {
    answers_ = AnswerQueue::Create(loop_, std::move(queue));
    if (options_.slow_threshold.count() > 0) {
      slow_ = std::make_shared<SlowCalls>(loop_, options_.slow_threshold, options_.waits);
      // The loop keeps its hooks for ever.
      loop_->AddRoundHook([slow = slow_] { slow->EndRound(); });
    }
    done.set_value();
  });
  done.get_future().wait();
}

void Server::ServeQueue() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) static_cast<Tag*>(tag)->Fire(ok);
}

void Server::TellLeader(bool has_leader) {
  CallHost* host = serving_host_.load(std::memory_order_acquire);
  if (host == nullptr) return;
  host->ForEachStream([has_leader](StreamCall* stream) { stream->OnLeader(has_leader); });
}

void Server::ForEachTally(const std::function<void(const RpcTally&)>& fn) const {
  if (!pools_open_.load(std::memory_order_acquire)) return;
  for (const auto& pool : unary_pools_) fn(pool->tally());
  for (const auto& pool : stream_pools_) fn(pool->tally());
}

void Server::Stop() {
  if (!thread_.joinable()) return;
  // The engine passes here before the pools are gone: see `ended`.
  pools_open_.store(false, std::memory_order_release);
  // gRPC cancels calls that arrive once it shuts down, and a client takes "cancelled" for its own
  // decision. So for a moment calls are still accepted, and told to go elsewhere. Streams that come
  // back on the same connection are kept waiting: told at once, they would come again and again,
  // also in the moment of the shutdown. They hear after it, when the client knows that this
  // connection is over.
  host_->StopServing();
  const auto end_streams = [host = host_.get()] {
    host->ForEachStream([](StreamCall* stream) { stream->Finish(ToGrpc(Refusal::kStopped)); });
  };
  loop_->Post(end_streams);
  std::this_thread::sleep_for(options_.stop_linger);
  std::promise<void> ended;
  loop_->Post([this, end_streams, &ended] {
    loop_->RunAfter(kGoAwayLead, [this, end_streams, &ended] {
      host_->RefuseStreams();
      end_streams();
      ended.set_value();
    });
  });
  server_->Shutdown(std::chrono::system_clock::now() + options_.stop_grace);
  ended.get_future().wait();
  host_->StopAccepting();
  host_->WaitUntilNoCalls();
  // A call may have been accepted at the last moment and still be in the queue.
  Fence fence;
  grpc::Alarm alarm;
  alarm.Set(queue_.get(), std::chrono::system_clock::now(), fence.Arm());
  fence.Wait();
  host_->WaitUntilNoCalls();
  queue_->Shutdown();
  thread_.join();
  answers_->Close();
  unary_pools_.clear();
  stream_pools_.clear();
}

}  // namespace jetd::etcdapi
