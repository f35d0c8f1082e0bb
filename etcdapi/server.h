// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_SERVER_H_
#define JETD_ETCDAPI_SERVER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/loop.h"
#include "etcdapi/call_host.h"
#include "etcdapi/forwarder.h"
#include "etcdapi/listen_url.h"
#include "etcdapi/rpc_tally.h"
#include "etcdapi/slow_calls.h"
#include "etcdapi/stream_call.h"
#include "etcdapi/unary_call.h"
#include "google/protobuf/descriptor.h"
#include "rpc/http1.h"
#include "rpc/methods.h"
#include "rpc/transport.h"

namespace jetd::etcdapi {

// Server is the gRPC server: a transport on the engine's loop, and the methods that it serves. It
// knows no service; the Bind… functions of the services fill it before Start.
//
// Thread rules: AddService, Bind…, Start and Stop on one thread (main's), which is not the
// engine's.
class Server {
 public:
  struct Options {
    std::vector<Listener> listeners;
    // A request message larger than this is refused with grpc-go's text.
    size_t max_message_bytes = 0;
    // etcd's defaults: pings of clients more often than this end their connection; idle ones are
    // asked for a sign of life.
    std::chrono::milliseconds keepalive_min_time{5'000};
    std::chrono::milliseconds keepalive_interval{2 * 60 * 60 * 1'000};
    std::chrono::milliseconds keepalive_timeout{20'000};
    // How long Stop tells those who come that the server stops.
    std::chrono::milliseconds stop_linger{100};
    // How long Stop lets calls end by themselves, and clients take what they are told, before it
    // closes their connections.
    std::chrono::milliseconds stop_grace{1'000};
    // Unary calls that take as long are named in the log, with what they waited for; 0: none.
    std::chrono::nanoseconds slow_threshold{0};
    // What calls may wait for; asked on the engine thread. Set where a threshold is.
    std::function<SlowCalls::Waits()> waits;
    // Keeps how long unary calls take (RpcTally::seconds); costs two looks at the clock a call.
    bool time_calls = false;
    // Gets clients that speak HTTP/1, on the engine thread; null: they are closed.
    rpc::Http1Handler http1;
  };

  // `has_leader` is asked on the engine thread.
  Server(Loop* loop, Options options, std::function<bool()> has_leader);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void AddService(const google::protobuf::ServiceDescriptor* service);
  // Full names of what was added so far.
  [[nodiscard]] std::vector<std::string> ServiceNames() const;
  // Methods that are not bound answer Unimplemented; `why` is told to the caller.
  void BindUnary(const google::protobuf::ServiceDescriptor* service, std::string_view method,
                 UnaryPool::Factory factory);
  void BindStream(const google::protobuf::ServiceDescriptor* service, std::string_view method,
                  StreamPool::Factory factory);
  void BindUnimplemented(const google::protobuf::ServiceDescriptor* service,
                         std::string_view method, std::string_view why);

  // This method only the leader can serve: `forwarder` brings its calls there. Before Start;
  // nothing without UseForwarder.
  void Forward(const google::protobuf::ServiceDescriptor* service, std::string_view method);
  // What another member's calls of `method` run, for one that is no unary call.
  using RemoteFn = std::function<void(const std::string& request, Forwarder::DoneFn done)>;
  void BindRemote(const std::string& method, RemoteFn run);
  void UseForwarder(Forwarder* forwarder) { forwarder_ = forwarder; }

  // Listens and serves; the loop must run. An error names the URL that could not be had.
  [[nodiscard]] absl::Status Start();
  // The port of listener number `i` (0 for a unix socket).
  [[nodiscard]] int port(size_t i) const { return ports_.at(i); }
  // Takes no more calls, ends streams with "server stopped", waits for the answers of the others.
  // The engine must still run: it answers what it holds (the committer's Stop answers all).
  // Returns when no call is left.
  void Stop();

  // Engine thread: tells all streams whether there is a leader. Without one, those of clients that
  // asked for a leader end.
  void TellLeader(bool has_leader);
  // Engine thread: calls `fn` for each RPC that is served, or was before Stop.
  void ForEachTally(const std::function<void(const RpcTally&)>& fn) const;
  // Engine thread: runs a call that another member has forwarded. One of a method that is not
  // forwarded, or while this server does not serve, is refused with "no leader".
  void RunRemote(const std::string& method, const std::string& request, Forwarder::DoneFn done);

 private:
  using Method = google::protobuf::MethodDescriptor;

  [[nodiscard]] const Method* Find(const google::protobuf::ServiceDescriptor* service,
                                   std::string_view method) const;
  void BindRest();
  void OfferToOthers();
  void OnEngine(const std::function<void()>& fn);
  void BeginStop(std::function<void()> done);
  void EndStreams();
  void CloseWhenIdle(std::function<void()> done);

  const Options options_;
  Loop* const loop_;
  const std::shared_ptr<SlowCalls> slow_;  // null: not wanted
  CallHost host_;

  // Main's until the server serves, then the engine thread's.
  std::vector<const google::protobuf::ServiceDescriptor*> services_;
  rpc::Methods methods_;
  std::map<std::string, std::unique_ptr<UnaryPool>> unary_pools_;  // by "etcdserverpb.KV/Put"
  std::map<std::string, std::unique_ptr<StreamPool>> stream_pools_;
  std::vector<std::string> forwarded_;
  Forwarder* forwarder_ = nullptr;
  std::map<std::string, RemoteFn> remote_;  // by method

  // The engine thread's.
  std::unique_ptr<rpc::Transport> transport_;
  bool serving_ = false;
  bool bound_ = false;  // all pools are there, and stay
  TimerId patience_ = 0;

  // Main's.
  std::vector<int> ports_;
  bool started_ = false;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_SERVER_H_
