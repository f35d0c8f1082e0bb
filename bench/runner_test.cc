// SPDX-License-Identifier: Apache-2.0
#include "bench/runner.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "etcdclient/testing/server_process.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace jetd::bench {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;

// Every phase on a real etcd, with a fixed number of operations; skips where there is none.
class RunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto program = ServerProcess::Find(ServerKind::kEtcd);
    if (!program.ok()) GTEST_SKIP() << "JETD_ETCD is not set";
    auto server = ServerProcess::Start({.kind = ServerKind::kEtcd, .program = *program});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    runner_ = NewRunner();
    const auto ready = runner_->Run("await,keys=0");
    ASSERT_TRUE(ready.ok()) << ready.status();
    EXPECT_GT(ready->ready_at_ns, 0);
  }

  std::unique_ptr<Runner> NewRunner() {
    return std::make_unique<Runner>(Runner::Options{
        .endpoint = server_->endpoint(), .pids = {server_->pid()}, .connections = 2});
  }

  PhaseReport Run(const std::string& phase) {
    auto report = runner_->Run(phase);
    EXPECT_TRUE(report.ok()) << phase << ": " << report.status();
    if (!report.ok()) return {};
    EXPECT_EQ(report->result.errors, 0) << phase << ": " << report->result.first_error;
    return *std::move(report);
  }

  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Runner> runner_;
};

TEST_F(RunnerTest, CountsAndMeasuresTheWork) {
  const PhaseReport report = Run("create,ops=50,clients=4");
  EXPECT_EQ(report.result.ops, 50);
  EXPECT_EQ(report.result.latency.count(), 50U);
  EXPECT_EQ(report.keys, 50);
  ASSERT_EQ(report.servers.size(), 1U);
  EXPECT_EQ(report.servers[0].name, "etcd");
  EXPECT_GT(report.servers[0].cpu_ns, 0);
  EXPECT_GT(report.servers[0].rss_bytes, 0);
  EXPECT_GT(report.generator_cpu_ns, 0);
  const auto json = nlohmann::json::parse(JsonOf(report));
  EXPECT_EQ(json["ops"], 50);
  EXPECT_EQ(json["servers"][0]["name"], "etcd");
  EXPECT_NE(TextOf(report).find("create,ops=50"), std::string::npos);
}

TEST_F(RunnerTest, EveryPhaseChecksItsAnswers) {
  Run("create,ops=60,clients=3");
  EXPECT_EQ(Run("update,ops=100,clients=3").result.ops, 100);
  EXPECT_EQ(Run("get,ops=40").result.ops, 40);
  EXPECT_EQ(Run("get,ops=40,rate=10000").result.ops, 40);
  // Three pages make a list: 25, 25 and 10 keys.
  EXPECT_EQ(Run("list,ops=6,clients=1,limit=25").result.items, 120);
  EXPECT_EQ(Run("list,ops=2,clients=2,limit=0").result.items, 120);
  const PhaseReport watch = Run("watch,ops=20,clients=2,watchers=5");
  EXPECT_EQ(watch.lag.count(), 100U);
  EXPECT_EQ(Run("watch,ops=20,clients=2,watchers=200,namespaces=100").lag.count(), 40U);
  EXPECT_EQ(Run("mixed,ops=100,clients=4").result.ops, 100);
  EXPECT_EQ(Run("compact,keep=20").result.latency.count(), 1U);
  EXPECT_EQ(Run("lease-grant,ops=10").result.ops, 10);
  EXPECT_EQ(Run("lease-keepalive,ops=30,clients=3").result.ops, 30);
  EXPECT_EQ(Run("lease-revoke,clients=2,warmup=0").result.ops, 10);
  EXPECT_EQ(Run("idle,ops=10,rate=1000").result.ops, 10);
  // Ends when nothing is left.
  EXPECT_EQ(Run("delete,warmup=0").keys, 0);
}

TEST_F(RunnerTest, KeepalivesGrantTheirLeasesThemselves) {
  EXPECT_EQ(Run("lease-keepalive,ops=30,clients=3").result.ops, 30);
}

TEST_F(RunnerTest, AnotherRunFindsTheKeys) {
  Run("create,ops=20,clients=4");
  Run("delete,ops=5,clients=4");
  runner_ = NewRunner();
  EXPECT_EQ(Run("get,ops=30").keys, 15);
  EXPECT_EQ(Run("create,ops=5").keys, 20);
}

TEST_F(RunnerTest, CompactsBesideAnotherRunAndKeepsWhatItIsTold) {
  Run("create,ops=10");  // revisions 2 to 11
  auto other = NewRunner();
  const auto report = other->Run("compact,keep=3");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->result.ops, 1);
  const auto client = server_->Connect();
  ASSERT_TRUE(client.ok());
  const auto at = [&client](int64_t revision) {
    etcdclient::pb::RangeRequest range;
    range.set_key("/registry/pods/");
    range.set_range_end(PrefixEnd("/registry/pods/"));
    range.set_revision(revision);
    return (*client)->Call(range).status();
  };
  EXPECT_TRUE(at(8).ok());
  EXPECT_EQ(at(7).code(), absl::StatusCode::kOutOfRange);
  // Further back than the last one.
  EXPECT_FALSE(other->Run("compact,keep=5").ok());
  // The first one's phases go on.
  EXPECT_EQ(Run("update,ops=20").result.ops, 20);
}

TEST_F(RunnerTest, SeesAStrangersEvents) {
  Run("create,ops=2,clients=1");
  const auto client = server_->Connect();
  ASSERT_TRUE(client.ok());
  etcdclient::pb::PutRequest put;
  put.set_key("/registry/pods/of-somebody-else");
  put.set_value("something else, long enough");
  // A second or so by the rate; on a slow disk it ends when both have written.
  std::atomic<bool> over = false;
  std::thread stranger([&] {
    while (!over) EXPECT_TRUE((*client)->Call(put).ok());
  });
  const auto report = runner_->Run("watch,clients=1,watchers=1,rate=10,ops=10");
  over = true;
  stranger.join();
  ASSERT_TRUE(report.ok());
  EXPECT_GE(report->result.errors, 1);
  EXPECT_NE(report->result.first_error.find("an event that nobody"), std::string::npos)
      << report->result.first_error;
}

TEST_F(RunnerTest, SeesAStrangersWrite) {
  Run("create,ops=1,clients=1");
  const auto client = server_->Connect();
  ASSERT_TRUE(client.ok());
  etcdclient::pb::PutRequest put;
  put.set_key(KeySpace("/registry/pods/").NameOf(0));
  put.set_value("something else, long enough");
  ASSERT_TRUE((*client)->Call(put).ok());
  for (const char* phase : {"get,ops=1", "update,ops=1,clients=1", "list,ops=1,clients=1"}) {
    const auto report = runner_->Run(phase);
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->result.errors, 1) << phase;
  }
  // RangeStream is of etcd 3.7: an error, and no hang.
  EXPECT_EQ(runner_->Run("range-stream,ops=1,clients=1")->result.errors, 1);
}

}  // namespace
}  // namespace jetd::bench
