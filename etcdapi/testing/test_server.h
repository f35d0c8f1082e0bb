// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_TESTING_TEST_SERVER_H_
#define JETD_ETCDAPI_TESTING_TEST_SERVER_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/loop.h"
#include "etcdapi/commit_tally.h"
#include "etcdapi/engine.h"
#include "etcdapi/leader_guard.h"
#include "etcdapi/request_check.h"
#include "etcdapi/server.h"
#include "grpcpp/channel.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "revision/committer.h"
#include "revision/store.h"

namespace jetd::etcdapi {

// TestServer is a whole jetd in the test's process, on a stream in memory: the real server,
// services and engine, on a real port. The engine runs on a thread of its own, as in the program.
//
//   TestServer server;
//   auto kv = etcdserverpb::KV::NewStub(server.channel());
//
// Thread rules: everything on the test's thread; OnEngine runs a function on the engine's and
// waits.
class TestServer {
 public:
  struct Options {
    RequestLimits limits{.max_request_bytes = limits::kMaxRequestBytes,
                         .max_txn_ops = limits::kMaxTxnOps};
    std::string url = "http://127.0.0.1:0";
    TlsFiles tls;
    watch::WatchHub::Options hub;
    // Waits until the engine leads before the constructor returns.
    bool wait_until_leading = true;
    bool connect_on_open = true;
    // As with an embedded nats-server: see Log::exclusive.
    bool exclusive = false;
    // See Server::Options.
    bool time_calls = false;
    std::chrono::milliseconds stop_grace{1'000};
  };
  TestServer() : TestServer(Options()) {}
  explicit TestServer(const Options& options);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  [[nodiscard]] std::string address() const;
  [[nodiscard]] Server* server() { return server_.get(); }
  [[nodiscard]] const Engine* engine() const { return &engine_; }
  [[nodiscard]] const CommitTally* tally() const { return &tally_; }

  void OnEngine(const std::function<void()>& fn);
  // Engine thread.
  [[nodiscard]] jetstream::MemoryLog* log() { return log_.get(); }
  [[nodiscard]] revision::Committer* committer() { return committer_.get(); }
  [[nodiscard]] revision::Store* store() { return &store_; }
  [[nodiscard]] bool has_leader() const { return leader_guard_->has_leader(); }

  // Blocks until the committer leads.
  void WaitUntilLeading();
  // Ends the server before the destructor does.
  void Stop();

 private:
  void MakeEngine(const Options& options);

  Loop loop_;
  jetstream::MemoryStream stream_;
  std::unique_ptr<jetstream::MemoryLog> log_;
  revision::Store store_;
  std::unique_ptr<revision::Committer> committer_;
  std::unique_ptr<watch::WatchHub> hub_;
  std::unique_ptr<lease::Lessor> lessor_;
  HashMemory hashes_{&store_};
  CommitTally tally_{&loop_};
  std::unique_ptr<LeaderGuard> leader_guard_;
  Engine engine_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::thread thread_;
  bool stopped_ = false;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_TESTING_TEST_SERVER_H_
