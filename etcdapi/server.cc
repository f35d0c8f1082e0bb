// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/server.h"

#include <algorithm>
#include <future>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "etcdapi/status_map.h"

namespace jetd::etcdapi {
namespace {

using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// Answers every message with one error; for RPCs that jetd does not have.
class UnimplementedCall final : public UnaryCall {
 public:
  UnimplementedCall(UnaryPool* pool, rpc::Status status)
      : UnaryCall(pool), status_(std::move(status)) {}

 private:
  rpc::Status Decode(const rpc::Message& /*request*/) override { return status_; }
  void Start() override {}
  void Clear() override {}
  const rpc::Status status_;
};

class UnimplementedStream final : public StreamCall {
 public:
  UnimplementedStream(CallHost* host, rpc::Status status)
      : StreamCall(host), status_(std::move(status)) {}

 private:
  void OnOpen() override { Finish(status_); }
  void OnMessage(const rpc::Message& /*message*/) override {}
  void OnHalfClosed() override {}
  void OnWritten() override {}
  const rpc::Status status_;
};

// As clients name it: "etcdserverpb.KV/Put".
std::string NameOf(const MethodDescriptor* method) {
  return Cat(method->service()->full_name(), "/", method->name());
}

// From the farewell until its connections end, at the least: clients say that they have heard.
constexpr std::chrono::milliseconds kFarewell{20};

std::shared_ptr<SlowCalls> MakeSlowCalls(Loop* loop, const Server::Options& options) {
  if (options.slow_threshold.count() == 0) return nullptr;
  return std::make_shared<SlowCalls>(loop, options.slow_threshold, options.waits);
}

}  // namespace

Server::Server(Loop* loop, Options options, std::function<bool()> has_leader)
    : options_(std::move(options)),
      loop_(loop),
      slow_(MakeSlowCalls(loop, options_)),
      host_(loop, slow_.get(), std::move(has_leader)) {
  methods_.Keep(kHasLeader);
}

Server::~Server() { JETD_CHECK(!started_) << "a server ends by Stop"; }

void Server::AddService(const ServiceDescriptor* service) { services_.push_back(service); }

std::vector<std::string> Server::ServiceNames() const {
  std::vector<std::string> names;
  for (const ServiceDescriptor* service : services_) names.push_back(service->full_name());
  return names;
}

const MethodDescriptor* Server::Find(const ServiceDescriptor* service,
                                     std::string_view method) const {
  JETD_CHECK(std::find(services_.begin(), services_.end(), service) != services_.end())
      << service->full_name() << " was not added";
  const auto* found = service->FindMethodByName(std::string(method));
  JETD_CHECK(found != nullptr) << service->full_name() << " has no method " << method;
  return found;
}

void Server::BindUnary(const ServiceDescriptor* service, std::string_view method,
                       UnaryPool::Factory factory) {
  const MethodDescriptor* found = Find(service, method);
  auto& pool = unary_pools_[NameOf(found)];
  pool = std::make_unique<UnaryPool>(&host_, found, std::move(factory));
  if (options_.time_calls) pool->TimeCalls();
  methods_.Add(Cat("/", NameOf(found)), rpc::Methods::Kind::kUnary,
               [pool = pool.get()](rpc::Call* call) { return pool->Open(call); });
}

void Server::BindStream(const ServiceDescriptor* service, std::string_view method,
                        StreamPool::Factory factory) {
  const MethodDescriptor* found = Find(service, method);
  auto& pool = stream_pools_[NameOf(found)];
  pool = std::make_unique<StreamPool>(&host_, found, std::move(factory));
  methods_.Add(Cat("/", NameOf(found)), rpc::Methods::Kind::kStream,
               [pool = pool.get()](rpc::Call* call) { return pool->Open(call); });
}

void Server::BindUnimplemented(const ServiceDescriptor* service, std::string_view method,
                               std::string_view why) {
  const MethodDescriptor* found = Find(service, method);
  const rpc::Status status = Unimplemented(method, why);
  if (found->client_streaming() || found->server_streaming()) {
    BindStream(service, method, [status](CallHost* host) {
      return std::make_unique<UnimplementedStream>(host, status);
    });
  } else {
    BindUnary(service, method, [status](UnaryPool* pool) {
      return std::make_unique<UnimplementedCall>(pool, status);
    });
  }
}

void Server::BindRest() {
  for (const ServiceDescriptor* service : services_) {
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor* method = service->method(i);
      const std::string name = NameOf(method);
      if (unary_pools_.count(name) == 0 && stream_pools_.count(name) == 0) {
        BindUnimplemented(service, method->name(), "it is not there yet");
      }
    }
  }
}

void Server::Forward(const ServiceDescriptor* service, std::string_view method) {
  forwarded_.push_back(NameOf(Find(service, method)));
}

void Server::BindRemote(const std::string& method, RemoteFn run) {
  remote_[method] = std::move(run);
}

void Server::OfferToOthers() {
  for (const std::string& method : forwarded_) {
    UnaryPool* const pool = unary_pools_.at(method).get();
    remote_[method] = [pool](const std::string& request, Forwarder::DoneFn done) {
      pool->RunRemote(request, std::move(done));
    };
    pool->UseForwarder(forwarder_, method);
  }
}

void Server::RunRemote(const std::string& method, const std::string& request,
                       Forwarder::DoneFn done) {
  const auto it = serving_ ? remote_.find(method) : remote_.end();
  if (!serving_ || it == remote_.end()) {
    done(ToGrpc(Refusal::kNoLeader), {});
  } else {
    it->second(request, std::move(done));
  }
}

void Server::OnEngine(const std::function<void()>& fn) {
  std::promise<void> done;
  loop_->Post([&] {
    fn();
    done.set_value();
  });
  done.get_future().wait();
}

absl::Status Server::Start() {
  BindRest();
  OfferToOthers();
  std::vector<std::unique_ptr<rpc::ListeningSocket>> sockets;
  for (const Listener& listener : options_.listeners) {
    auto socket = Listen(listener);
    if (!socket.ok()) return socket.status();
    ports_.push_back((*socket)->port());
    sockets.push_back(*std::move(socket));
  }
  OnEngine([&] {
    // The loop keeps its hooks for ever.
    if (slow_ != nullptr) loop_->AddRoundHook([slow = slow_] { slow->EndRound(); });
    rpc::Transport::Options options;
    options.max_message_bytes = options_.max_message_bytes;
    options.keepalive_min_time = options_.keepalive_min_time;
    options.keepalive_interval = options_.keepalive_interval;
    options.keepalive_timeout = options_.keepalive_timeout;
    options.http1 = options_.http1;
    transport_ = std::make_unique<rpc::Transport>(loop_, &methods_, std::move(options));
    transport_->Serve(std::move(sockets));
    serving_ = bound_ = true;
  });
  started_ = true;
  return absl::OkStatus();
}

void Server::TellLeader(bool has_leader) {
  host_.ForEachStream([has_leader](StreamCall* stream) { stream->OnLeader(has_leader); });
}

void Server::ForEachTally(const std::function<void(const RpcTally&)>& fn) const {
  if (!bound_) return;
  for (const auto& [name, pool] : unary_pools_) fn(pool->tally());
  for (const auto& [name, pool] : stream_pools_) fn(pool->tally());
}

void Server::Stop() {
  if (!std::exchange(started_, false)) return;
  std::promise<void> none_left;
  loop_->Post([this, &none_left] { BeginStop([&none_left] { none_left.set_value(); }); });
  none_left.get_future().wait();
}

// For a moment calls are still taken, and told to go elsewhere. Streams that come back meanwhile
// are kept waiting: told at once, they would come again and again. They hear when the client knows
// that this connection is over.
void Server::BeginStop(std::function<void()> done) {
  serving_ = false;
  host_.StopServing();
  EndStreams();
  loop_->RunAfter(options_.stop_linger, [this, done = std::move(done)] {
    transport_->Drain();
    host_.RefuseStreams();
    EndStreams();
    patience_ = loop_->RunAfter(options_.stop_grace, [this] { transport_->Close(); });
    loop_->RunAfter(kFarewell, [this, done] { CloseWhenIdle(done); });
  });
}

void Server::EndStreams() {
  host_.ForEachStream([](StreamCall* stream) { stream->Finish(ToGrpc(Refusal::kStopped)); });
}

// Calls whose client is gone, and which the engine has not answered yet, count too. What the last
// have said is still on its way then, or waits for a client that reads slowly.
void Server::CloseWhenIdle(std::function<void()> done) {
  host_.WhenNoCalls([this, done = std::move(done)] {
    transport_->EndNow([this, done] {
      loop_->Cancel(patience_);
      transport_.reset();
      done();
    });
  });
}

}  // namespace jetd::etcdapi
