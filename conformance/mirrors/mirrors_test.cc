// SPDX-License-Identifier: Apache-2.0
//
// A jetd on one JetStream domain, its mirror in another, and the link between them: what is removed
// while the mirror is cut off, how soon it is back, and a control plane's view of a promotion.
#include "replication/mirrors.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "conformance/relay/relay.h"
#include "etcdclient/client.h"
#include "etcdclient/testing/server_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_domains.h"
#include "replication/mirror_fixture.h"
#include "replication/mirror_tools.h"
#include "replication/promotion.h"

namespace jetd::conformance {
namespace {

using etcdclient::Client;
using etcdclient::ServerKind;
using etcdclient::ServerProcess;
using jetstream::MirrorState;
using jetstream::NatsTestDomains;
using replication::Mirrors;
using replication::Promotion;
using replication::StreamSource;
using replication::WaitUntil;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using Fit = MirrorState::Fit;

constexpr etcdclient::CallOptions kPatient{.timeout = seconds(60)};

class MirrorsConformanceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    const auto program = ServerProcess::Find(ServerKind::kJetd);
    if (!program.ok()) GTEST_SKIP() << "JETD_BIN names no jetd";
    program_ = *program;
    domains_ = NatsTestDomains::Start([this](int port) {
      link_ = Relay::Start(port).value();
      return link_->port();
    });
    if (domains_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    jetd_ = StartJetd(domains_->hub().url());
    ASSERT_TRUE(jetd_ != nullptr);
    ASSERT_TRUE(jetd_->WaitReady(seconds(60)).ok()) << jetd_->LogTail();
    client_ = jetd_->Connect().value();
    mirrors_ = Open(domains_->hub().url());
    const absl::Status added = mirrors_->Add({.domain = "dr", .cap_records = cap_});
    ASSERT_TRUE(added.ok()) << added;
  }

  [[nodiscard]] std::unique_ptr<ServerProcess> StartJetd(const std::string& url) const {
    auto server = ServerProcess::Start({.program = program_, .flags = {Cat("--nats-url=", url)}});
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? *std::move(server) : nullptr;
  }
  static StreamSource Source(const std::string& url, const std::string& domain = {}) {
    return {.bucket = "etcd", .nats_urls = {url}, .domain = domain};
  }
  static std::unique_ptr<Mirrors> Open(const std::string& url) {
    return Mirrors::Open(Source(url)).value();
  }
  int64_t Put(const std::string& key, const std::string& value) const {
    etcdclient::pb::PutRequest put;
    put.set_key(key);
    put.set_value(value);
    const auto answer = client_->Call(put, kPatient);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->header().revision() : 0;
  }
  void Delete(const std::string& key) const {
    etcdclient::pb::DeleteRangeRequest request;
    request.set_key(key);
    EXPECT_TRUE(client_->Call(request, kPatient).ok());
  }
  void Compact(int64_t revision) const {
    etcdclient::pb::CompactionRequest compact;
    compact.set_revision(revision);
    // Answered when all is gone that may go.
    compact.set_physical(true);
    const auto answer = client_->Call(compact, kPatient);
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
  static std::string Get(Client* client, const std::string& key) {
    etcdclient::pb::RangeRequest range;
    range.set_key(key);
    const auto answer = client->Call(range, kPatient);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() && answer->kvs_size() == 1 ? answer->kvs(0).value() : "";
  }
  [[nodiscard]] MirrorState State() const {
    const auto reports = mirrors_->Look();
    EXPECT_TRUE(reports.ok()) << reports.status();
    return reports.ok() && reports->size() == 1 ? reports->front().state : MirrorState{};
  }
  [[nodiscard]] bool HasAll() const {
    const MirrorState state = State();
    return state.fit == Fit::kFits && state.reached == state.last;
  }
  // Records in the origin's stream.
  [[nodiscard]] uint64_t Messages() const {
    return mirrors_->LookAlone("hub").value().stream.state.messages;
  }
  [[nodiscard]] uint64_t MessagesOfMirror() const {
    return Open(domains_->leaf().url())->LookAlone("dr").value().stream.state.messages;
  }

  uint64_t cap_ = 1'000'000;
  std::string program_;
  std::unique_ptr<Relay> link_;
  std::unique_ptr<NatsTestDomains> domains_;
  std::unique_ptr<ServerProcess> jetd_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Mirrors> mirrors_;
};

// A cut link; 200 writes to one key and their compaction meanwhile.
TEST_F(MirrorsConformanceTest, RemovalWaitsForAMirrorThatIsCutOff) {
  Put("/other", "1");
  ASSERT_TRUE(WaitUntil([this] { return HasAll(); }));
  link_->Refuse();
  ASSERT_TRUE(WaitUntil([this] { return State().fit == Fit::kUnheard; }));
  int64_t revision = 0;
  for (int i = 0; i < 200; ++i) revision = Put("/a", Cat("value ", i));
  Compact(revision);
  const uint64_t all = Messages();
  EXPECT_GE(all, 203U);
  const auto healed = steady_clock::now();
  link_->Release();
  ASSERT_TRUE(WaitUntil([this] { return HasAll(); }));
  const auto attached = steady_clock::now();
  EXPECT_GE(MessagesOfMirror(), all);
  ASSERT_TRUE(WaitUntil([this] { return Messages() < 20; }));
  RecordProperty(
      "reattach_ms",
      static_cast<int>(std::chrono::duration_cast<milliseconds>(attached - healed).count()));
  std::printf(
      "the mirror had all again %lld ms after the link was back\n",
      static_cast<long long>(std::chrono::duration_cast<milliseconds>(attached - healed).count()));
  const auto verified =
      replication::VerifyMirror(Source(domains_->hub().url()), Source(domains_->hub().url(), "dr"));
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->difference.count, 0U);
}

class SmallCapTest : public MirrorsConformanceTest {
 protected:
  SmallCapTest() { cap_ = 50; }
};

TEST_F(SmallCapTest, PastTheCapRemovalGoesOn) {
  Put("/gone", "1");
  Put("/a", "1");
  const int64_t before = Put("/a", "2");
  ASSERT_TRUE(WaitUntil([this] { return HasAll(); }));
  // Once it has removed something it knows where the mirror is.
  const uint64_t full = Messages();
  Compact(before);
  ASSERT_TRUE(WaitUntil([this, full] { return Messages() <= full; }));
  link_->Refuse();
  ASSERT_TRUE(WaitUntil([this] { return State().fit == Fit::kUnheard; }));
  Delete("/gone");
  int64_t revision = 0;
  for (int i = 0; i < 200; ++i) revision = Put("/a", Cat("value ", i));
  Compact(revision);
  ASSERT_TRUE(WaitUntil([this] { return Messages() < 20; }));
  link_->Release();
  ASSERT_TRUE(WaitUntil([this] { return HasAll(); }));
  // It has missed values, and no state: the key that was deleted meanwhile is not there.
  const auto verified =
      replication::VerifyMirror(Source(domains_->hub().url()), Source(domains_->hub().url(), "dr"));
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->difference.count, 0U) << verified->difference.named.front();
  EXPECT_EQ(verified->keys, 1U);
}

// The primary's domain is lost, the mirror is promoted, another jetd serves it; the old jetd is
// refused when its domain comes back.
TEST_F(MirrorsConformanceTest, PromoteAndGoOnAboveAllThatWasAnswered) {
  int64_t newest = 0;
  for (int i = 0; i < 100; ++i) newest = Put(Cat("/k", i % 10), Cat("value ", i));
  Delete("/k3");
  ASSERT_TRUE(WaitUntil([this] { return HasAll(); }));
  client_.reset();
  jetd_->Kill(ServerProcess::Scope::kTree);
  mirrors_.reset();
  domains_->hub().Kill();
  const auto promoted = replication::Promote({.mirror = Source(domains_->leaf().url())});
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(promoted->origin, Promotion::Origin::kUnreachable);
  const auto next = StartJetd(domains_->leaf().url());
  ASSERT_TRUE(next->WaitReady(seconds(60)).ok()) << next->LogTail();
  const auto client = next->Connect().value();
  EXPECT_EQ(Get(client.get(), "/k9"), "value 99");
  EXPECT_EQ(Get(client.get(), "/k3"), "");
  // What clients know from before counts as compacted.
  etcdclient::pb::RangeRequest old;
  old.set_key("/k9");
  old.set_revision(newest);
  const auto compacted = client->Call(old, kPatient);
  EXPECT_THAT(std::string(compacted.status().message()), HasSubstr("has been compacted"));
  etcdclient::pb::PutRequest put;
  put.set_key("/k3");
  put.set_value("again");
  const auto written = client->Call(put, kPatient);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(written->header().revision(), promoted->bumped.value() + 1);
  // The old domain is back, and its jetd with it.
  domains_->hub().Restart();
  ASSERT_TRUE(WaitUntil([this] {
    const auto reports = Open(domains_->hub().url())->Look();
    return reports.ok() && reports->size() == 1 && reports->front().state.fit == Fit::kPromoted;
  }));
  const auto returned = StartJetd(domains_->hub().url());
  ASSERT_TRUE(WaitUntil([&] { return !returned->running(); })) << returned->LogTail();
  EXPECT_THAT(returned->LogTail(), HasSubstr("is the primary now"));
}

// A planned move: the origin runs on until it is sealed, and nothing that it answered is missing.
TEST_F(MirrorsConformanceTest, ASealedOriginsJetdEnds) {
  const int64_t newest = Put("/a", "1");
  const auto promoted = replication::Promote({.mirror = Source(domains_->leaf().url())});
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(promoted->origin, Promotion::Origin::kSealed);
  EXPECT_EQ(promoted->missing, 0U);
  EXPECT_GE(promoted->newest.value(), newest);
  ASSERT_TRUE(WaitUntil([this] { return !jetd_->running(); })) << jetd_->LogTail();
  EXPECT_THAT(jetd_->LogTail(), HasSubstr("the JetStream domain dr was promoted"));
}

}  // namespace
}  // namespace jetd::conformance
