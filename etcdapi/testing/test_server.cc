// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/testing/test_server.h"

#include <future>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/strings.h"
#include "etcdapi/health_service.h"
#include "etcdapi/kv_service.h"
#include "etcdapi/lease_service.h"
#include "etcdapi/maintenance_service.h"
#include "etcdapi/reflection_service.h"
#include "etcdapi/watch_service.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace jetd::etcdapi {
namespace {

ListenUrl UrlOf(const std::string& text) {
  const auto url = ParseListenUrl(text);
  JETD_CHECK(url.ok()) << url.status();
  return *url;
}

}  // namespace

TestServer::TestServer(const Options& options) {
  MakeEngine(options);
  thread_ = std::thread([this] { loop_.Run(); });
  Server::Options server_options;
  auto listeners = PrepareListeners({UrlOf(options.url)}, options.tls);
  JETD_CHECK(listeners.ok()) << listeners.status();
  server_options.listeners = *std::move(listeners);
  server_options.max_message_bytes = options.limits.max_request_bytes + limits::kGrpcOverheadBytes;
  server_options.time_calls = options.time_calls;
  server_options.stop_grace = options.stop_grace;
  server_ = std::make_unique<Server>(&loop_, std::move(server_options),
                                     [this] { return leader_guard_->has_leader(); });
  BindKv(&engine_, options.limits, server_.get());
  BindWatch(&engine_, server_.get());
  BindLease(&engine_, server_.get());
  BindMaintenance(&engine_, server_.get());
  BindCluster(&engine_, server_.get());
  BindUnsupported(&engine_, server_.get());
  BindHealth(server_.get());
  BindReflection(server_.get());
  OnEngine([this] { committer_->Start([](const absl::Status&) {}); });
  const absl::Status started = server_->Start();
  JETD_CHECK(started.ok()) << started;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(std::numeric_limits<int>::max());
  // A channel of its own: not shared with that of a server before on the same port.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel_ = grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments);
  if (options.wait_until_leading) WaitUntilLeading();
}

TestServer::~TestServer() {
  Stop();
  OnEngine([this] { committer_->Stop(); });
  loop_.Stop();
  thread_.join();
}

void TestServer::MakeEngine(const Options& options) {
  jetstream::MemoryLog::Options log_options;
  log_options.connect_on_open = options.connect_on_open;
  log_options.exclusive = options.exclusive;
  log_ = std::make_unique<jetstream::MemoryLog>(&loop_, &stream_, std::move(log_options));
  revision::Committer::Options committer_options;
  committer_options.member_id = StableId("member");
  committer_options.member_name = "test";
  committer_options.incarnation = "0123456789abcdef0123456789abcdef";
  committer_ = std::make_unique<revision::Committer>(&loop_, log_.get(), &store_,
                                                     std::move(committer_options));
  hub_ = std::make_unique<watch::WatchHub>(&loop_, &store_, options.hub);
  committer_->AddListener(hub_.get());
  engine_.hub = hub_.get();
  lessor_ =
      std::make_unique<lease::Lessor>(&loop_, committer_.get(), &store_, lease::Lessor::Options());
  committer_->AddListener(lessor_.get());
  engine_.lessor = lessor_.get();
  committer_->AddListener(&hashes_);
  engine_.hashes = &hashes_;
  committer_->AddListener(&tally_);
  leader_guard_ = std::make_unique<LeaderGuard>(
      &loop_, [this] { return committer_->serving(); },
      [this](bool has_leader) { server_->TellLeader(has_leader); });
  loop_.AddRoundHook([this] { leader_guard_->Look(); });
  engine_.loop = &loop_;
  engine_.log = log_.get();
  engine_.store = &store_;
  engine_.committer = committer_.get();
  engine_.member_id = StableId("member");
  engine_.member_name = "test";
  engine_.client_urls = {"http://127.0.0.1:2379"};
}

std::string TestServer::address() const { return Cat("127.0.0.1:", server_->port(0)); }

void TestServer::OnEngine(const std::function<void()>& fn) {
  std::promise<void> done;
  loop_.Post([&] {
    fn();
    done.set_value();
  });
  done.get_future().wait();
}

void TestServer::WaitUntilLeading() {
  std::promise<void> leading;
  // Asked again in every round of the engine until it is so.
  std::function<void()> look = [&] {
    if (committer_->leading()) {
      leading.set_value();
    } else {
      loop_.Defer(look);
    }
  };
  loop_.Post(look);
  leading.get_future().wait();
}

void TestServer::Stop() {
  if (std::exchange(stopped_, true)) return;
  server_->Stop();
}

}  // namespace jetd::etcdapi
