// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_log.h"

#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "base/loop_runner.h"
#include "gtest/gtest.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/server_check.h"

namespace jetd::jetstream {
namespace {

constexpr std::chrono::seconds kFarTooLong{60};

// Notes what happens, in words.
struct Notes : Log::Observer {
  void OnConnected(const LogInfo& i) override {
    info = i;
    connected = true;
    ++connections;
  }
  void OnDisconnected(const absl::Status&) override {
    connected = false;
    ++disconnections;
  }
  void OnAppended(StreamSeq seq) override { appended.push_back(seq.value()); }
  void OnRefused(StreamSeq seq, const absl::Status& why) override {
    refused.push_back(seq.value());
    refusals.push_back(why);
  }
  void OnDurable(StreamSeq seq) override { durable = seq.value(); }
  void OnForeignTerm() override { ++foreign_terms; }

  LogInfo info;
  bool connected = false;
  int connections = 0;
  int disconnections = 0;
  std::vector<uint64_t> appended, refused;
  std::vector<absl::Status> refusals;
  uint64_t durable = 0;
  int foreign_terms = 0;
};

class NatsLogTest : public testing::TestWithParam<const char*>, protected LoopRunner {
 protected:
  void SetUp() override {
    server_ = NatsTestServer::StartFrom(GetParam());
    if (server_ == nullptr) GTEST_SKIP() << GetParam() << " names no nats-server";
  }

  NatsLogOptions Options(const std::string& bucket = "b") {
    NatsLogOptions options;
    options.endpoint = RotateEndpoints({server_->url()}, {});
    options.stream.bucket = bucket;
    // A server that stands still for a while with its disk keeps its connections.
    options.answer_timeout = kFarTooLong;
    return options;
  }

  // An answer of the JetStream API, asked on a connection of somebody else.
  nlohmann::json Ask(const std::string& subject, const std::string& payload = "") {
    auto other = NatsConnection::Connect(&loop_, {.url = server_->url(), .credentials = {}},
                                         "other", std::chrono::seconds(10))
                     .value();
    other->Start([](const absl::Status&) {});
    NatsApi api(&loop_, other.get(), "$JS.API.", kFarTooLong);
    std::optional<nlohmann::json> answer;
    api.Request(subject, payload, [&](absl::StatusOr<NatsMessage*> reply) {
      answer = ParseAnswer(reply.value()->payload());
    });
    other->Flush();
    EXPECT_TRUE(RunUntil([&] { return answer.has_value(); }));
    other->Stop();
    return *answer;
  }

  // The one line that a log gives up with.
  absl::Status Fatal(NatsLogOptions options) {
    NatsLog log(&loop_, std::move(options));
    Notes notes;
    absl::Status fatal;
    log.Open(&notes, [&](const absl::Status& why) { fatal = why; });
    EXPECT_TRUE(RunUntil([&] { return !fatal.ok() || notes.connected; }));
    return fatal;
  }

  std::unique_ptr<NatsTestServer> server_;
};

TEST_P(NatsLogTest, AppendsInAChainAndReadsBack) {
  NatsLog log(&loop_, Options());
  Notes notes;
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  EXPECT_EQ(notes.info.subject_prefix, "$KV.b.");
  EXPECT_EQ(notes.info.replicas, 1);
  for (uint64_t i = 1; i <= 1000; ++i) {
    const std::string subject = "$KV.b.key" + std::to_string(i);
    log.Append(StreamSeq(i), {.subject = subject, .header = "1 2 3", .payload = subject});
  }
  StreamSeq barrier;
  log.Barrier([&](absl::StatusOr<StreamSeq> last) { barrier = last.value(); });
  ASSERT_TRUE(RunUntil([&] { return barrier == StreamSeq(1000) && notes.durable == 1000; }));
  ASSERT_EQ(notes.appended.size(), 1000U);

  std::vector<uint64_t> seen;
  StreamSeq last;
  log.Read(
      {.from = StreamSeq(10)},
      [&](const Record& r) {
        EXPECT_EQ(r.subject, "$KV.b.key" + std::to_string(r.seq.value()));
        EXPECT_EQ(r.payload, r.subject);
        EXPECT_EQ(r.header, "1 2 3");
        EXPECT_FALSE(r.is_delete);
        EXPECT_GT(r.time_ns, 0);
        seen.push_back(r.seq.value());
      },
      [&](absl::StatusOr<StreamSeq> l) { last = l.value(); });
  ASSERT_TRUE(RunUntil([&] { return last != StreamSeq(); }));
  EXPECT_EQ(last, StreamSeq(1000));
  EXPECT_EQ(seen.size(), 991U);
}

TEST(WarningsOfTest, SaysWhatAPowerCutCostsAndWhichRequestsAreRefused) {
  LogInfo info;
  info.max_payload_bytes = 7 << 20;
  EXPECT_TRUE(WarningsOf(info).empty());
  info.durability_caveat = "a power cut loses all";
  EXPECT_EQ(WarningsOf(info), std::vector<std::string>{"a power cut loses all"});
  info.max_payload_bytes = (1 << 20) - 66'000;  // the server's default
  ASSERT_EQ(WarningsOf(info).size(), 2U);
  EXPECT_NE(WarningsOf(info)[1].find("max_payload"), std::string::npos);
}

TEST_P(NatsLogTest, MakesABucketThatKvToolsOpen) {
  Notes notes;
  NatsLog log(&loop_, Options());
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  const nlohmann::json config = Ask("$JS.API.STREAM.INFO.KV_b").at("config");
  EXPECT_EQ(config.at("subjects"), nlohmann::json::array({"$KV.b.>"}));
  EXPECT_EQ(config.at("discard"), "new");
  EXPECT_EQ(config.at("storage"), "file");
  EXPECT_EQ(config.at("max_msgs_per_subject"), (int64_t{1} << 53) - 1);
  EXPECT_EQ(config.at("duplicate_window"), 100'000'000);
  EXPECT_EQ(config.at("allow_direct"), true);
  EXPECT_EQ(config.at("allow_rollup_hdrs"), true);
  EXPECT_EQ(config.at("deny_delete"), false);
  EXPECT_EQ(config.at("metadata").at("jetd.format"), "1");
  EXPECT_NE(notes.info.durability_caveat, "");
}

TEST_P(NatsLogTest, RefusesWhatIsNotOursAndLeavesIt) {
  const auto refused = [&](const std::string& bucket, nlohmann::json change) {
    nlohmann::json config = NewStreamConfig({.bucket = bucket});
    config.merge_patch(change);
    const std::string stream = StreamName(bucket);
    EXPECT_EQ(ApiErrorOf(Ask("$JS.API.STREAM.CREATE." + stream, config.dump())).code, 0) << change;
    const nlohmann::json before = Ask("$JS.API.STREAM.INFO." + stream);
    const absl::Status fatal = Fatal(Options(bucket));
    EXPECT_TRUE(absl::IsFailedPrecondition(fatal)) << bucket << ": " << fatal;
    const nlohmann::json after = Ask("$JS.API.STREAM.INFO." + stream);
    EXPECT_EQ(before.at("config"), after.at("config"));
    EXPECT_EQ(before.at("state"), after.at("state"));
    return std::string(fatal.message());
  };
  EXPECT_NE(refused("kine", {{"metadata", nullptr}}).find("not made by jetd"), std::string::npos);
  EXPECT_NE(refused("newer", {{"metadata", {{"jetd.format", "2"}}}}).find("newer"),
            std::string::npos);
  refused("odd", {{"metadata", {{"jetd.format", "x"}}}});
  refused("old", {{"discard", "old"}});
  refused("age", {{"max_age", 3'600'000'000'000}});
  refused("history", {{"max_msgs_per_subject", 64}});
  refused("memory", {{"storage", "memory"}});
  refused("deletes", {{"deny_delete", true}});
  refused("direct", {{"allow_direct", false}});
  refused("subjects", {{"subjects", {"$KV.subjects.a"}}});
}

TEST_P(NatsLogTest, ConnectsAnewAfterKill) {
  Notes notes;
  NatsLog log(&loop_, Options());
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  const int64_t created = notes.info.created_ns;
  uint64_t next = 1;
  for (int round = 0; round < 5; ++round) {
    const size_t before = notes.appended.size();
    for (int i = 0; i < 300; ++i) {
      log.Append(StreamSeq(next++), {.subject = "$KV.b.k", .header = "h", .payload = "v"});
    }
    // In the middle of the answers.
    ASSERT_TRUE(RunUntil([&] { return notes.appended.size() > before + 20; }));
    server_->Kill();
    ASSERT_TRUE(RunUntil([&] { return !notes.connected; }));
    server_->Restart();
    ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
    EXPECT_EQ(notes.info.created_ns, created);
    StreamSeq last;
    log.Barrier([&](absl::StatusOr<StreamSeq> l) { last = l.value(); });
    ASSERT_TRUE(RunUntil([&] { return last != StreamSeq(); }));
    EXPECT_GE(last.value(), notes.appended.back());
    EXPECT_LE(last.value(), next - 1);
    next = last.value() + 1;
  }
  EXPECT_EQ(notes.connections, 6);
  EXPECT_EQ(notes.disconnections, 5);
  EXPECT_TRUE(notes.refused.empty());
}

TEST_P(NatsLogTest, GivesUpAConnectionThatIsSilent) {
  NatsLogOptions options = Options();
  options.answer_timeout = std::chrono::milliseconds(200);
  Notes notes;
  NatsLog log(&loop_, std::move(options));
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  server_->Freeze();
  log.Append(StreamSeq(1), {.subject = "$KV.b.k", .header = "h", .payload = "v"});
  ASSERT_TRUE(RunUntil([&] { return !notes.connected; }));
  EXPECT_TRUE(notes.appended.empty());
  server_->Thaw();
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
}

TEST_P(NatsLogTest, AStreamThatVanishesIsNotMadeAnew) {
  Notes notes;
  NatsLog log(&loop_, Options());
  absl::Status fatal;
  log.Open(&notes, [&](const absl::Status& why) { fatal = why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  log.Append(StreamSeq(1), {.subject = "$KV.b.k", .header = "h", .payload = "v"});
  ASSERT_TRUE(RunUntil([&] { return notes.appended.size() == 1; }));
  EXPECT_EQ(ApiErrorOf(Ask("$JS.API.STREAM.DELETE.KV_b")).code, 0);
  log.Append(StreamSeq(2), {.subject = "$KV.b.k", .header = "h", .payload = "v"});
  ASSERT_TRUE(RunUntil([&] { return !fatal.ok(); }));
  EXPECT_TRUE(absl::IsFailedPrecondition(fatal)) << fatal;
  EXPECT_EQ(notes.disconnections, 1);
  EXPECT_EQ(ApiErrorOf(Ask("$JS.API.STREAM.INFO.KV_b")).err_code, js_error::kStreamNotFound);
}

TEST_P(NatsLogTest, TriesEveryUrl) {
  NatsLogOptions options = Options();
  options.endpoint = RotateEndpoints({"nats://127.0.0.1:1", server_->url()}, {});
  options.min_backoff = std::chrono::milliseconds(1);
  Notes notes;
  NatsLog log(&loop_, std::move(options));
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  EXPECT_FALSE(notes.info.server_version.empty());
}

TEST_P(NatsLogTest, ReadsALongStreamInManyWindows) {
  constexpr uint64_t kRecords = 30'000;
  Notes notes;
  NatsLog log(&loop_, Options());
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  for (uint64_t first = 1; first <= kRecords; first += 1000) {
    for (uint64_t i = first; i < first + 1000; ++i) {
      log.Append(StreamSeq(i), {.subject = i % 3 == 0 ? "$KV.b.c" : "$KV.b.d",
                                .header = "h",
                                .payload = std::string(i % 1000, 'x')});
    }
    ASSERT_TRUE(RunUntil([&] { return notes.appended.size() == first + 999; }));
  }
  // The second larger than a window in bytes. As many at a time as the committer would send: the
  // answer to a write is waited for only so long, with all that goes over the wire before it.
  const std::string large(4 << 20, 'x');
  for (uint64_t i = kRecords + 1; i <= kRecords + 20; ++i) {
    log.Append(StreamSeq(i), {.subject = "$KV.b.c", .header = "h", .payload = large});
    const uint64_t in_flight = limits::kMaxInFlightBytes / large.size();
    ASSERT_TRUE(RunUntil([&] { return notes.appended.size() + in_flight > i; }));
  }
  uint64_t all = 0;
  uint64_t bytes = 0;
  uint64_t some = 0;
  int done = 0;
  const auto finished = [&](absl::StatusOr<StreamSeq> last) {
    EXPECT_EQ(last.value(), StreamSeq(kRecords + 20));
    ++done;
  };
  ASSERT_TRUE(RunUntil([&] { return notes.appended.size() == kRecords + 20; }));
  log.Read(
      {},
      [&](const Record& r) {
        EXPECT_EQ(r.seq.value(), ++all);
        bytes += r.payload.size();
      },
      finished);
  log.Read(
      {.subjects = {"$KV.b.c"}, .headers_only = true},
      [&](const Record& r) {
        EXPECT_TRUE(r.seq.value() % 3 == 0 || r.payload_size == large.size());
        ++some;
      },
      finished);
  // As long as records come: on a busy machine nats-server 2.10 takes ten milliseconds for each.
  for (uint64_t seen = 0; !RunUntil([&] { return done == 2; }); seen = all + some) {
    ASSERT_GT(all + some, seen);
  }
  EXPECT_EQ(all, kRecords + 20);
  EXPECT_EQ(bytes, 30ULL * 499'500 + 20 * large.size());
  EXPECT_EQ(some, kRecords / 3 + 20);
}

TEST_P(NatsLogTest, NothingIsCalledAfterCloseFromACallback) {
  Notes notes;
  NatsLog log(&loop_, Options());
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  for (uint64_t i = 1; i <= 100; ++i) {
    log.Append(StreamSeq(i), {.subject = "$KV.b.k", .header = "h"});
  }
  bool closed = false;
  int late = 0;
  const auto note = [&] { late += closed ? 1 : 0; };
  log.State([&](absl::StatusOr<StreamState>) { note(); });
  log.Barrier([&](absl::StatusOr<StreamSeq>) {
    log.Close();
    closed = true;
  });
  log.Barrier([&](absl::StatusOr<StreamSeq>) { note(); });
  log.Read(
      {}, [&](const Record&) { note(); }, [&](absl::StatusOr<StreamSeq>) { note(); });
  log.State([&](absl::StatusOr<StreamState>) { note(); });
  ASSERT_TRUE(RunUntil([&] { return closed; }));
  // Whatever is still on its way has time to come.
  Ask("$JS.API.STREAM.INFO.KV_b");
  EXPECT_EQ(late, 0);
  Notes again;
  log.Open(&again, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return again.connected; }));
}

INSTANTIATE_TEST_SUITE_P(Servers, NatsLogTest,
                         testing::Values("JETD_NATS_SERVER", "JETD_NATS_SERVER_2_10"));

class NatsAccessTest : public NatsLogTest {
 protected:
  void SetUp() override {}
  bool StartWith(const std::string& config) {
    server_ = NatsTestServer::StartFrom(GetParam(), config);
    return server_ != nullptr;
  }
  bool Connects(const NatsCredentials& credentials) {
    NatsLogOptions options = Options();
    options.endpoint = RotateEndpoints({server_->url()}, credentials);
    int attempts = 0;
    const NatsEndpointFn endpoint = options.endpoint;
    options.endpoint = [&] {
      ++attempts;
      return endpoint();
    };
    options.min_backoff = std::chrono::milliseconds(1);
    Notes notes;
    NatsLog log(&loop_, std::move(options));
    log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
    EXPECT_TRUE(RunUntil([&] { return notes.connected || attempts > 2; }));
    return notes.connected;
  }
  std::string WriteFile(const std::string& name, const std::string& text) {
    const std::string path = server_->folder() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
};

TEST_P(NatsAccessTest, UserAndPassword) {
  if (!StartWith("authorization { user: u, password: pw }\n")) GTEST_SKIP() << GetParam();
  EXPECT_FALSE(Connects({}));
  EXPECT_FALSE(Connects({.user = "u", .password = "wrong"}));
  EXPECT_TRUE(Connects({.user = "u", .password = "pw"}));
}

TEST_P(NatsAccessTest, Token) {
  if (!StartWith("authorization { token: t0 }\n")) GTEST_SKIP() << GetParam();
  EXPECT_FALSE(Connects({.token = "t1"}));
  EXPECT_TRUE(Connects({.token = "t0"}));
}

TEST_P(NatsAccessTest, NkeySeed) {
  // The pair of nkey_test.
  if (!StartWith("authorization { users: [ { nkey: "
                 "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK } ] }\n")) {
    GTEST_SKIP() << GetParam();
  }
  const std::string seed =
      WriteFile("seed", "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y\n");
  EXPECT_FALSE(Connects({.nkey_seed_file = seed + ".not-there"}));
  EXPECT_TRUE(Connects({.creds_file = seed}));
  // Some signatures begin with a zero byte.
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(Connects({.nkey_seed_file = seed})) << i;
}

TEST_P(NatsAccessTest, AServerThatAsksForNoSignature) {
  if (!StartWith("")) GTEST_SKIP() << GetParam();
  const std::string seed =
      WriteFile("seed", "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y\n");
  EXPECT_TRUE(Connects({.nkey_seed_file = seed}));
}

INSTANTIATE_TEST_SUITE_P(Servers, NatsAccessTest,
                         testing::Values("JETD_NATS_SERVER", "JETD_NATS_SERVER_2_10"));

using NatsLimitsTest = NatsAccessTest;

TEST_P(NatsLimitsTest, AShortControlLineIsRefused) {
  if (!StartWith("max_control_line: 1024\n")) GTEST_SKIP() << GetParam();
  const absl::Status fatal = Fatal(Options());
  EXPECT_TRUE(absl::IsFailedPrecondition(fatal)) << fatal;
  EXPECT_NE(std::string(fatal.message()).find("set max_control_line"), std::string::npos) << fatal;
}

// Whoever passes the check takes the longest line that is sent later.
TEST_P(NatsLimitsTest, WhatPassesTheCheckTakesTheLongestLine) {
  if (!StartWith("max_control_line: 3700\n")) GTEST_SKIP() << GetParam();
  Notes notes;
  NatsLog log(&loop_, Options());
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  const std::string subject = "$KV.b." + std::string(3'500 - 6, 'x');
  log.Append(StreamSeq(1),
             {.subject = subject, .header = "h", .payload = std::string(2 << 20, 'v')});
  ASSERT_TRUE(RunUntil([&] { return notes.appended.size() == 1 || !notes.connected; }));
  EXPECT_TRUE(notes.connected);
}

TEST_P(NatsLimitsTest, ASmallPayloadIsRefused) {
  if (!StartWith("max_payload: 64KB\n")) GTEST_SKIP() << GetParam();
  const absl::Status fatal = Fatal(Options());
  EXPECT_TRUE(absl::IsFailedPrecondition(fatal)) << fatal;
  EXPECT_NE(std::string(fatal.message()).find("max_payload"), std::string::npos) << fatal;
}

INSTANTIATE_TEST_SUITE_P(Servers, NatsLimitsTest,
                         testing::Values("JETD_NATS_SERVER", "JETD_NATS_SERVER_2_10"));

class NatsOldTest : public NatsLogTest {};

TEST_P(NatsOldTest, AServerBefore210IsRefused) {
  const absl::Status fatal = Fatal(Options());
  EXPECT_TRUE(absl::IsFailedPrecondition(fatal)) << fatal;
  EXPECT_NE(std::string(fatal.message()).find("jetd needs 2.10 or later"), std::string::npos);
  // It was left alone.
  EXPECT_EQ(ApiErrorOf(Ask("$JS.API.STREAM.INFO.KV_b")).err_code, js_error::kStreamNotFound);
}

INSTANTIATE_TEST_SUITE_P(Servers, NatsOldTest, testing::Values("JETD_NATS_SERVER_2_9"));

TEST(NatsEndpoint, NoErrorShowsASecret) {
  Loop loop;
  for (const char* const url :
       {"nats://user:secret@127.0.0.1:1", "nats://user:secret@no such host:1",
        "nats://user:secret@127.0.0.1:port", "nats://secret@127.0.0.1:1"}) {
    const auto made = NatsConnection::Connect(&loop, {.url = url}, "test", std::chrono::seconds(5));
    EXPECT_FALSE(made.ok());
    EXPECT_EQ(std::string(made.status().message()).find("secret"), std::string::npos)
        << made.status();
  }
}

TEST(NatsEndpoint, AnErrorSaysItsReasonOnce) {
  Loop loop;
  const auto made = NatsConnection::Connect(&loop, {.url = "nats://127.0.0.1:1"}, "test",
                                            std::chrono::seconds(5));
  EXPECT_EQ(std::string(made.status().message()),
            "cannot connect to nats://127.0.0.1:1: No server available for connection");
}

TEST(NatsEndpoint, SecretsAreNotShown) {
  EXPECT_EQ(UrlWithoutSecrets("nats://u:p@h:1"), "nats://h:1");
  EXPECT_EQ(UrlWithoutSecrets("nats://token@h:1"), "nats://h:1");
  EXPECT_EQ(UrlWithoutSecrets("u:p@h:1"), "h:1");
  EXPECT_EQ(UrlWithoutSecrets("a:b@nats://u:p@h:1"), "h:1");
  EXPECT_EQ(UrlWithoutSecrets("nats://u:p@x/@h:1"), "nats://h:1");
  EXPECT_EQ(UrlWithoutSecrets("tls://h:1"), "tls://h:1");
}

}  // namespace
}  // namespace jetd::jetstream
