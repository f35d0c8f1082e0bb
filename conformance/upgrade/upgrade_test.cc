// SPDX-License-Identifier: Apache-2.0
//
// Two versions of jetd on one bucket, in both orders: rolling on a nats-server that runs, and one
// after the other on a data folder. The other version is the program that JETD_OTHER_BIN names, an
// earlier release say; without it, this one. And a version whose format this one does not know: it
// takes over, and this one refuses with one line and writes nothing.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "etcdclient/client.h"
#include "etcdclient/testing/server_process.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_server.h"
#include "replication/bucket_check.h"
#include "replication/stream_dump.h"

namespace jetd::conformance {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;
using jetstream::NatsTestServer;
namespace pb = etcdclient::pb;

constexpr std::chrono::seconds kPatience{60};
constexpr etcdclient::CallOptions kPatient{.timeout = kPatience};

class UpgradeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    const auto program = ServerProcess::Find(ServerKind::kJetd);
    if (!program.ok()) GTEST_SKIP() << "JETD_BIN names no jetd";
    this_version_ = *program;
    const char* other = std::getenv("JETD_OTHER_BIN");
    other_version_ = other != nullptr && *other != '\0' ? other : this_version_;
    if (const char* next = std::getenv("JETD_NEXT"); next != nullptr) next_version_ = next;
    if (const char* nats = std::getenv("JETD_NATS_SERVER"); nats != nullptr) nats_server_ = nats;
    if (nats_server_.empty()) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  }

  static std::unique_ptr<ServerProcess> Start(const std::string& program, const std::string& name,
                                              const std::string& nats_url,
                                              const std::string& data_dir = {}) {
    ServerProcess::Options options;
    options.program = program;
    options.flags = {Cat("--name=", name)};
    if (!nats_url.empty()) options.flags.push_back(Cat("--nats-url=", nats_url));
    options.data_dir = data_dir;
    auto server = ServerProcess::Start(options);
    JETD_CHECK(server.ok()) << server.status();
    return *std::move(server);
  }
  static std::unique_ptr<ServerProcess> StartReady(const std::string& program,
                                                   const std::string& name,
                                                   const std::string& nats_url,
                                                   const std::string& data_dir = {}) {
    auto server = Start(program, name, nats_url, data_dir);
    const absl::Status ready = server->WaitReady(kPatience);
    EXPECT_TRUE(ready.ok()) << ready;
    return server;
  }

  // Twenty keys that are there, some of them changed and gone, one with a lease.
  static void Write(const ServerProcess& server, const std::string& mark) {
    auto client = *server.Connect();
    pb::LeaseGrantRequest grant;
    grant.set_ttl(600);
    const auto lease = client->Call(grant, kPatient);
    ASSERT_TRUE(lease.ok()) << lease.status();
    for (int i = 0; i < 20; ++i) {
      pb::PutRequest put;
      put.set_key(Cat("/key/", i));
      put.set_value(Cat(mark, " ", i));
      if (i == 7) put.set_lease(lease->id());
      ASSERT_TRUE(client->Call(put, kPatient).ok());
    }
    pb::DeleteRangeRequest gone;
    gone.set_key("/key/3");
    ASSERT_TRUE(client->Call(gone, kPatient).ok());
  }
  // What a client sees, and HashKV.
  static std::string Seen(const ServerProcess& server) {
    auto client = *server.Connect();
    pb::RangeRequest range;
    range.set_key("/");
    range.set_range_end("0");
    const auto keys = client->Call(range, kPatient);
    pb::HashKVRequest hash;
    const auto sum = client->Call(hash, kPatient);
    JETD_CHECK(keys.ok() && sum.ok()) << keys.status() << sum.status();
    std::string text = Cat("revision ", keys->header().revision(), " hash ", sum->hash(), "\n");
    for (const auto& kv : keys->kvs()) CatTo(text, kv.key(), " = ", kv.value(), "\n");
    return text;
  }

  std::string this_version_, other_version_, next_version_, nats_server_;
};

// While one serves, the other takes over; then the first is gone; then it comes back.
TEST_F(UpgradeTest, RollingInBothOrders) {
  for (const auto& [before, after] :
       {std::pair(other_version_, this_version_), std::pair(this_version_, other_version_)}) {
    const auto nats = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    auto first = StartReady(before, "first", nats->url());
    Write(*first, "first");
    const std::string seen = Seen(*first);
    auto second = StartReady(after, "second", nats->url());
    EXPECT_EQ(Seen(*second), seen);
    Write(*second, "second");
    ASSERT_TRUE(first->Stop(kPatience).ok());
    Write(*second, "alone");
    const std::string later = Seen(*second);
    first = StartReady(before, "first", nats->url());
    EXPECT_EQ(Seen(*first), later);
    Write(*first, "back");
    ASSERT_TRUE(second->Stop(kPatience).ok());
    ASSERT_TRUE(first->Stop(kPatience).ok());
    const auto check = replication::BucketCheck::Run({.source = {.nats_urls = {nats->url()}}});
    ASSERT_TRUE(check.ok()) << check.status();
    EXPECT_EQ((*check)->report().damages(), 0U) << ToText((*check)->report());
  }
}

TEST_F(UpgradeTest, OneAfterTheOtherOnADataFolder) {
  const auto keeper = StartReady(this_version_, "m", "");
  const std::string data_dir = keeper->data_dir();
  Write(*keeper, "0");
  ASSERT_TRUE(keeper->Stop(kPatience).ok());
  std::string seen;
  int turn = 0;
  for (const std::string& program : {other_version_, this_version_, other_version_}) {
    const auto server = StartReady(program, "m", "", data_dir);
    if (!seen.empty()) {
      EXPECT_EQ(Seen(*server), seen);
    }
    Write(*server, Cat(++turn));
    seen = Seen(*server);
    // By turns with a checkpoint and without.
    if (turn % 2 == 0) {
      server->Kill(ServerProcess::Scope::kTree);
    } else {
      ASSERT_TRUE(server->Stop(kPatience).ok());
    }
  }
  const auto check = replication::BucketCheck::Run(
      {.source = {.data_dir = data_dir,
                  .nats_server = nats_server_,
                  .stopped = replication::StreamSource::Stopped::kCopy}});
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_EQ((*check)->report().damages(), 0U) << ToText((*check)->report());
}

// How far a reader of this version gets.
std::string ReadStream(const std::string& nats_url) {
  const replication::StreamSource source{.nats_urls = {nats_url}};
  const auto read = replication::DumpStream(source, [](const auto&) {});
  return read.ok() ? Cat("up to ", read->last.value()) : std::string(MessageOf(read.status()));
}

// It waits for the end by itself, and its last word is one line.
void ExpectRefusal(ServerProcess* server, const std::string& word) {
  const absl::Status ready = server->WaitReady(kPatience);
  EXPECT_TRUE(absl::IsFailedPrecondition(ready)) << ready;
  EXPECT_EQ(server->HowItEnded(), "exit code 1");
  const std::string log = server->LogTail(20'000);
  const size_t ending = log.rfind("ending: ");  // of this run
  ASSERT_NE(ending, std::string::npos) << log;
  const std::string line = log.substr(ending, log.find('\n', ending) - ending);
  EXPECT_NE(line.find(word), std::string::npos) << line;
  EXPECT_NE(line.find("jetd"), std::string::npos) << line;
}

TEST_F(UpgradeTest, ANewerFormatIsRefusedWithoutAWrite) {
  if (next_version_.empty()) GTEST_SKIP() << "JETD_NEXT names no jetd";
  const auto nats = NatsTestServer::StartFrom("JETD_NATS_SERVER");
  {
    // A bucket of this version, taken over by the next.
    auto first = StartReady(this_version_, "first", nats->url());
    Write(*first, "first");
    auto second = StartReady(next_version_, "second", nats->url());
    Write(*second, "second");
    ASSERT_TRUE(first->Stop(kPatience).ok());
    const std::string seen = Seen(*second);
    auto again = Start(this_version_, "first", nats->url());
    ExpectRefusal(again.get(), "format 2 is newer");
    EXPECT_EQ(Seen(*second), seen);
    // It still leads: nobody has written a term record.
    Write(*second, "and on");
    ASSERT_TRUE(second->Stop(kPatience).ok());
  }
  EXPECT_NE(ReadStream(nats->url()).find("format 2 is newer"), std::string::npos);
  const auto other = NatsTestServer::StartFrom("JETD_NATS_SERVER");
  {
    // One that the next made.
    auto second = StartReady(next_version_, "second", other->url());
    Write(*second, "second");
    ASSERT_TRUE(second->Stop(kPatience).ok());
    auto first = Start(this_version_, "first", other->url());
    ExpectRefusal(first.get(), "its format 2 is newer than this jetd");
  }
}

// The checkpoint of the newer one stays too.
TEST_F(UpgradeTest, ANewerDataFolderIsLeftAsItIs) {
  if (next_version_.empty()) GTEST_SKIP() << "JETD_NEXT names no jetd";
  const auto next = StartReady(next_version_, "m", "");
  Write(*next, "next");
  const std::string seen = Seen(*next);
  ASSERT_TRUE(next->Stop(kPatience).ok());
  const std::string checkpoint = next->data_dir() + "/values/checkpoint";
  ASSERT_TRUE(std::filesystem::exists(checkpoint));
  {
    auto refused = Start(this_version_, "m", "", next->data_dir());
    ExpectRefusal(refused.get(), "its format 2 is newer than this jetd");
  }
  EXPECT_TRUE(std::filesystem::exists(checkpoint));
  const auto again = StartReady(next_version_, "m", "", next->data_dir());
  EXPECT_EQ(Seen(*again), seen);
  EXPECT_NE(again->LogTail(20'000).find("began at the checkpoint"), std::string::npos);
}

}  // namespace
}  // namespace jetd::conformance
