// SPDX-License-Identifier: Apache-2.0
// NatsLog where the stream is elsewhere: on three replicas, in another JetStream domain, behind
// TLS.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "base/testing/free_port.h"
#include "gtest/gtest.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/stream_setup.h"

namespace jetd::jetstream {
namespace {

constexpr std::chrono::seconds kFarTooLong{90};

class NatsClusterTest : public testing::Test, public Log::Observer, protected LoopRunner {
 protected:
  void SetUp() override {
    const char* program = std::getenv("JETD_NATS_SERVER");
    if (program == nullptr || *program == '\0') {
      GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    }
  }
  NatsTestServer* Start(const std::string& config, const std::string& jetstream = "") {
    servers_.push_back(NatsTestServer::StartFrom("JETD_NATS_SERVER", config, jetstream));
    return servers_.back().get();
  }
  void Open(NatsLogOptions options) {
    options.stream.bucket = "b";
    log_ = std::make_unique<NatsLog>(&loop_, std::move(options));
    log_->Open(this, [](const absl::Status& why) { FAIL() << why; });
  }
  // Three servers of one cluster.
  void StartThree(const std::string& config = "") {
    std::vector<int> ports;
    std::string routes;
    for (int i = 0; i < 3; ++i) {
      ports.push_back(FreePort());
      CatTo(routes, i > 0 ? ", " : "", "nats://127.0.0.1:", ports.back());
    }
    for (int i = 0; i < 3; ++i) {
      Start(Cat("server_name: n", i, "\ncluster { name: c, listen: \"127.0.0.1:", ports[i],
                "\", routes: [", routes, "] }\n", config));
    }
  }
  void OpenAtAll(NatsLogOptions options) {
    std::vector<std::string> urls;
    for (const auto& server : servers_) urls.push_back(server->url());
    options.endpoint = RotateEndpoints(urls, {});
    Open(std::move(options));
  }
  void Append(uint64_t first, uint64_t count) {
    for (uint64_t seq = first; seq < first + count; ++seq) {
      log_->Append(StreamSeq(seq), {.subject = "$KV.b.k", .header = "h", .payload = "v"});
    }
  }
  // Runs `ask`, which tells its status once, until that is not kUnavailable. The leader of a new
  // stream may not be known everywhere yet, and may move once more while servers are slow; the log
  // then gives its connection up and finds the stream again.
  template <typename Ask>
  void Insist(Ask ask) {
    while (true) {
      ASSERT_TRUE(RunUntil([&] { return connected_; }));
      std::optional<absl::Status> told;
      ask([&](const absl::Status& status) { told = status; });
      ASSERT_TRUE(RunUntil([&] { return told.has_value(); }));
      if (GetErrc(*told) != Errc::kUnavailable) {
        EXPECT_TRUE(told->ok()) << *told;
        return;
      }
      std::printf("asked again after: %s\n", std::string(told->message()).c_str());
    }
  }
  [[nodiscard]] uint64_t Last() {
    uint64_t found = 0;
    Insist([&](auto tell) {
      log_->Barrier([&, tell](absl::StatusOr<StreamSeq> last) {
        if (last.ok()) found = last->value();
        tell(last.status());
      });
    });
    return found;
  }
  void AppendUpTo(uint64_t count) {
    for (uint64_t last = Last(); last < count && !HasFatalFailure(); last = Last()) {
      const int refused = refused_;
      Append(last + 1, count - last);
      ASSERT_TRUE(
          RunUntil([&] { return appended_ == count || refused_ > refused || !connected_; }));
    }
  }
  // All of Log once, on records 1 to `count`.
  void UseEverything(uint64_t count) {
    AppendUpTo(count);
    EXPECT_EQ(Last(), count);
    uint64_t read = 0;
    Insist([&](auto tell) {
      read = 0;
      log_->Read(
          {}, [&](const Record& r) { EXPECT_EQ(r.seq.value(), ++read); },
          [&, tell](absl::StatusOr<StreamSeq> last) {
            EXPECT_EQ(last.ok() ? last->value() : count, count);
            tell(last.status());
          });
    });
    EXPECT_EQ(read, count);
    uint64_t got = 0;
    Insist([&](auto tell) {
      got = 0;
      log_->Get(
          {StreamSeq(1), StreamSeq(count), StreamSeq(count + 1)},
          [&](const Record& r) {
            EXPECT_EQ(r.payload, "v");
            ++got;
          },
          tell);
    });
    EXPECT_EQ(got, 2U);
    Insist([&](auto tell) { log_->Delete(StreamSeq(1), tell); });
    Insist([&](auto tell) {
      log_->State([&, tell](absl::StatusOr<StreamState> state) {
        EXPECT_EQ(state.ok() ? state->messages : count - 1, count - 1);
        tell(state.status());
      });
    });
  }

  // As somebody else with NATS's tools.
  void Edit(const nlohmann::json& config) {
    auto other = NatsConnection::Connect(&loop_, {.url = servers_[0]->url(), .credentials = {}},
                                         "other", std::chrono::seconds(10));
    ASSERT_TRUE(other.ok()) << other.status();
    (*other)->Start([](const absl::Status&) {});
    NatsApi api(&loop_, other->get(), "$JS.API.", kFarTooLong);
    // Again where the leader of the cluster is not known yet.
    for (bool edited = false; !edited;) {
      std::optional<nlohmann::json> answer;
      api.Request("$JS.API.STREAM.UPDATE.KV_b", config.dump(),
                  [&](const absl::StatusOr<NatsMessage*>& reply) {
                    answer = reply.ok() ? ParseAnswer((*reply)->payload()) : nlohmann::json();
                  });
      (*other)->Flush();
      ASSERT_TRUE(RunUntil([&] { return answer.has_value(); }));
      edited = answer->is_object() && ApiErrorOf(*answer).code == 0;
    }
    (*other)->Stop();
  }

  void OnConnected(const LogInfo& info) override {
    info_ = info;
    connected_ = true;
  }
  void OnDisconnected(const absl::Status&) override { connected_ = false; }
  void OnAppended(StreamSeq seq) override { appended_ = seq.value(); }
  void OnRefused(StreamSeq, const absl::Status&) override { ++refused_; }
  void OnDurable(StreamSeq) override {}
  void OnForeignTerm() override {}

  // The log goes first: it is on the loop, and on the servers.
  std::vector<std::unique_ptr<NatsTestServer>> servers_;
  LogInfo info_;
  bool connected_ = false;
  uint64_t appended_ = 0;
  int refused_ = 0;
  std::unique_ptr<NatsLog> log_;
};

TEST_F(NatsClusterTest, ThreeReplicas) {
  StartThree();
  NatsLogOptions options;
  options.stream.replicas = 3;
  options.answer_timeout = std::chrono::seconds(5);
  OpenAtAll(std::move(options));
  ASSERT_TRUE(RunUntil([&] { return connected_; }));
  EXPECT_EQ(info_.replicas, 3);
  EXPECT_NE(info_.durability_caveat, "");
  UseEverything(500);

  // Whichever server goes, the others have all that was answered, and take more.
  for (const auto& server : servers_) {
    server->Kill();
    uint64_t last = 0;
    while (appended_ <= last || appended_ < 500) {
      ASSERT_TRUE(RunUntil([&] { return connected_; }));
      bool asked = false;
      log_->Barrier([&](absl::StatusOr<StreamSeq> l) {
        last = l.ok() ? l->value() : 0;
        asked = true;
      });
      ASSERT_TRUE(RunUntil([&] { return asked; }));
      if (last == 0) continue;  // the connection broke, or there is no leader yet
      EXPECT_GE(last, 500U);
      const uint64_t before = appended_;
      const int refused = refused_;
      Append(last + 1, 1);
      ASSERT_TRUE(
          RunUntil([&] { return appended_ == last + 1 || refused_ > refused || !connected_; }));
      if (appended_ == before) last = appended_;
    }
    server->Restart();
  }
}

// What a power cut could cost is judged anew.
TEST_F(NatsClusterTest, NoticesThatReplicasChanged) {
  StartThree();
  NatsLogOptions options;
  options.stream.replicas = 3;
  options.answer_timeout = std::chrono::seconds(5);
  OpenAtAll(std::move(options));
  ASSERT_TRUE(RunUntil([&] { return connected_ && info_.replicas == 3; }));
  const std::string before = info_.durability_caveat;
  Edit(NewStreamConfig({.bucket = "b", .replicas = 1}));
  ASSERT_TRUE(RunUntil([&] { return connected_ && info_.replicas == 1; }));
  EXPECT_NE(info_.durability_caveat, before);
}

// At once, and not when the server ends the connection, minutes later.
TEST_F(NatsClusterTest, LeavesAServerThatIsGoingToEnd) {
  StartThree("lame_duck_grace_period: \"5m\"\nlame_duck_duration: \"10m\"\n");
  std::vector<std::string> urls;
  for (const auto& server : servers_) urls.push_back(server->url());
  NatsLogOptions options;
  options.stream.replicas = 3;
  options.answer_timeout = std::chrono::seconds(5);
  options.other_servers = true;
  std::string url;
  options.endpoint = [&url, next = RotateEndpoints(urls, {})]() {
    absl::StatusOr<NatsEndpoint> endpoint = next();
    url = endpoint->url;
    return endpoint;
  };
  Open(std::move(options));
  AppendUpTo(100);
  ASSERT_TRUE(RunUntil([&] { return connected_; }));
  NatsTestServer* lame = nullptr;
  for (const auto& server : servers_) {
    if (server->url() == url) lame = server.get();
  }
  ASSERT_NE(lame, nullptr);
  lame->LameDuck();
  ASSERT_TRUE(RunUntil([&] { return connected_ && url != lame->url(); }));
  EXPECT_TRUE(lame->running());
  AppendUpTo(200);
  EXPECT_EQ(Last(), 200U);
}

// At once, and not when the next connection happens to come.
TEST_F(NatsClusterTest, NoticesThatTheStreamWasMadeUnusable) {
  Start("");
  NatsLogOptions options;
  options.endpoint = RotateEndpoints({servers_[0]->url()}, {});
  options.stream.bucket = "b";
  log_ = std::make_unique<NatsLog>(&loop_, std::move(options));
  absl::Status fatal;
  log_->Open(this, [&](const absl::Status& why) { fatal = why; });
  ASSERT_TRUE(RunUntil([&] { return connected_; }));
  nlohmann::json config = NewStreamConfig({.bucket = "b"});
  config["description"] = "edited";
  Edit(config);  // nothing that matters
  Append(1, 1);
  ASSERT_TRUE(RunUntil([&] { return appended_ == 1 || !connected_; }));
  EXPECT_TRUE(connected_);
  config["max_age"] = 3'600'000'000'000;
  Edit(config);
  ASSERT_TRUE(RunUntil([&] { return !fatal.ok(); }));
  EXPECT_NE(MessageOf(fatal).find("its records expire (max_age)"), std::string_view::npos);
}

// A reading's consumer lives at one of the replicas, and that one may be behind: it then counts
// fewer records than were answered.
TEST_F(NatsClusterTest, AReadingAtAReplicaThatIsBehindMissesNothing) {
  StartThree();
  NatsLogOptions options;
  options.stream.replicas = 3;
  options.answer_timeout = std::chrono::seconds(5);
  OpenAtAll(std::move(options));
  for (uint64_t count = 200; count <= 8'000; count += 200) {
    AppendUpTo(count);
    uint64_t read = 0;
    StreamSeq end;
    Insist([&](auto tell) {
      read = count - 200;
      log_->Read(
          {.from = StreamSeq(count - 199)},
          [&](const Record& r) { EXPECT_EQ(r.seq.value(), ++read); },
          [&, tell](absl::StatusOr<StreamSeq> last) {
            end = last.ok() ? *last : StreamSeq();
            tell(last.status());
          });
    });
    ASSERT_EQ(end, StreamSeq(count));
    ASSERT_EQ(read, count);
  }
}

TEST_F(NatsClusterTest, AnotherDomain) {
  const int leaf_port = FreePort();
  NatsTestServer* const hub =
      Start(Cat("server_name: hub\nleafnodes { listen: \"127.0.0.1:", leaf_port, "\" }\n"),
            ", domain: hub");
  NatsTestServer* const leaf =
      Start(Cat("server_name: leaf\nleafnodes { remotes: [ { url: \"nats://127.0.0.1:", leaf_port,
                "\" } ] }\n"),
            ", domain: leaf");
  NatsLogOptions options;
  options.endpoint = RotateEndpoints({leaf->url()}, {});
  options.domain = "hub";
  // Until the leaf has found its hub, nobody answers.
  options.answer_timeout = std::chrono::seconds(1);
  Open(std::move(options));
  ASSERT_TRUE(RunUntil([&] { return connected_; }));
  UseEverything(300);
  log_ = nullptr;
  connected_ = false;

  // It is at the hub, and nowhere else.
  NatsLogOptions at_hub;
  at_hub.endpoint = RotateEndpoints({hub->url()}, {});
  Open(std::move(at_hub));
  ASSERT_TRUE(RunUntil([&] { return connected_; }));
  EXPECT_EQ(Last(), 300U);
}

TEST_F(NatsClusterTest, TlsWithACertificateAuthority) {
  const std::string folder = testing::TempDir() + Cat("/jetd_tls_", getpid());
  const std::string make =
      Cat("mkdir -p ", folder, " && cd ", folder,
          " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
          "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem "
          "2>/dev/null");
  if (std::system(make.c_str()) != 0) GTEST_SKIP() << "there is no openssl";
  NatsTestServer* const server = Start(
      Cat("tls { cert_file: \"", folder, "/cert.pem\", key_file: \"", folder, "/key.pem\" }\n"));
  NatsLogOptions options;
  options.endpoint = RotateEndpoints({server->url()}, {.tls_ca_file = folder + "/cert.pem"});
  Open(std::move(options));
  ASSERT_TRUE(RunUntil([&] { return connected_; }));
  EXPECT_FALSE(info_.server_version.empty());
  UseEverything(2000);
  log_ = nullptr;
  connected_ = false;

  // One that we do not know is not trusted.
  const std::string other = "cd " + folder +
                            " && openssl req -x509 -newkey ec -pkeyopt "
                            "ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x -keyout "
                            "other_key.pem -out other.pem 2>/dev/null";
  ASSERT_EQ(std::system(other.c_str()), 0);
  NatsLogOptions distrust;
  int attempts = 0;
  distrust.endpoint =
      [&, rotate = RotateEndpoints({server->url()}, {.tls_ca_file = folder + "/other.pem"})] {
        ++attempts;
        return rotate();
      };
  distrust.min_backoff = std::chrono::milliseconds(1);
  Open(std::move(distrust));
  ASSERT_TRUE(RunUntil([&] { return attempts > 2 || connected_; }));
  EXPECT_FALSE(connected_);
  ASSERT_EQ(std::system(("rm -r " + folder).c_str()), 0);
}

}  // namespace
}  // namespace jetd::jetstream
