// SPDX-License-Identifier: Apache-2.0
//
// A real jetd is written to, compacted, killed and started again; the client writes down itself
// what was there after each of its writes, and when. Then jetctl tells of moments of the past.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/strings.h"
#include "cli/command_harness.h"
#include "etcdclient/client.h"
#include "etcdclient/testing/server_process.h"
#include "gtest/gtest.h"
#include "jetstream/nats_ask.h"
#include "jetstream/nats_test_server.h"
#include "nlohmann/json.hpp"
#include "replication/mirror_harness.h"
#include "replication/point.h"

namespace jetd::cli {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;
namespace pb = etcdclient::pb;

struct Version {
  std::string value;
  int64_t create = 0, mod = 0, version = 0, lease = 0;
  friend bool operator==(const Version&, const Version&) = default;
};
using Keys = std::map<std::string, Version>;

std::ostream& operator<<(std::ostream& out, const Version& version) {
  return out << version.value << " " << version.create << " " << version.mod << " "
             << version.version << " " << version.lease;
}

constexpr char kMirror[] = "KV_travel_mirror";
constexpr char kOfMirror[] = "--stream=KV_travel_mirror";

// What a client knows without asking.
struct Moment {
  int64_t time_ns = 0;  // after its answer, before the next write
  Keys keys;
};

class TimeTravelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("JETD_DATA_DIR");
    unsetenv("JETD_NATS_URL");
    log::Init({.level = log::Level::kError});
    const auto program = ServerProcess::Find(ServerKind::kJetd);
    if (!program.ok()) GTEST_SKIP() << "JETD_BIN names no jetd";
    program_ = *program;
  }
  // On a nats-server of its own, or on the one of others.
  void Start() {
    std::vector<std::string> flags;
    if (nats_ != nullptr) flags = {"--nats-url=" + nats_->url(), "--bucket=travel"};
    auto server = ServerProcess::Start({.program = program_, .flags = flags});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    source_ = flags.empty() ? std::vector{Cat("--data-dir=", server_->data_dir())} : flags;
    Connect();
  }
  void Connect() {
    ASSERT_TRUE(server_->WaitReady(std::chrono::seconds(60)).ok()) << server_->LogTail();
    auto client = server_->Connect();
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }
  [[nodiscard]] Ran Travel(const std::string& command, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), source_.begin(), source_.end());
    arguments.insert(arguments.begin(), command);
    return Jetctl(arguments);
  }
  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng_); }

  template <typename Request>
  auto Must(const Request& request) {
    // So long that only what hangs runs out of it.
    auto response = client_->Call(request, {.timeout = std::chrono::seconds(90)});
    EXPECT_TRUE(response.ok()) << response.status();
    return *std::move(response);
  }

  // One to four keys in one transaction, put or deleted.
  void Write() {
    pb::TxnRequest txn;
    Keys keys = now_.keys;
    std::vector<std::string> put;
    const size_t first = Pick(12);
    for (size_t i = first; i <= first + Pick(4); ++i) {
      const std::string key = Cat("/k/", i);
      if (Pick(4) == 0) {
        txn.add_success()->mutable_request_delete_range()->set_key(key);
        keys.erase(key);
        continue;
      }
      pb::PutRequest* const request = txn.add_success()->mutable_request_put();
      request->set_key(key);
      request->set_value(Cat("value ", Pick(1'000'000)));
      if (lease_ != 0 && Pick(3) == 0) request->set_lease(lease_);
      Version& version = keys[key];
      version.value = request->value();
      version.lease = request->lease();
      ++version.version;
      put.push_back(key);
    }
    const int64_t revision = Must(txn).header().revision();
    for (const std::string& key : put) {
      Version& version = keys[key];
      if (version.version == 1) version.create = revision;
      version.mod = revision;
    }
    Note(revision, std::move(keys));
  }
  void Grant() {
    pb::LeaseGrantRequest grant;
    grant.set_ttl(3'600);
    lease_ = Must(grant).id();
  }
  void Revoke() {
    pb::LeaseRevokeRequest revoke;
    revoke.set_id(lease_);
    const int64_t revision = Must(revoke).header().revision();
    Keys keys = now_.keys;
    std::erase_if(keys, [this](const auto& one) { return one.second.lease == lease_; });
    lease_ = 0;
    Note(revision, std::move(keys));
  }
  void Note(int64_t revision, Keys keys) {
    now_ = {.time_ns = absl::GetCurrentTimeNanos(), .keys = std::move(keys)};
    // Nothing may have been there to delete.
    if (revision > 1) moments_[revision] = now_;
  }
  void Compact(int64_t revision) {
    pb::CompactionRequest compact;
    compact.set_revision(revision);
    compact.set_physical(true);
    (void)Must(compact);
  }
  [[nodiscard]] int64_t newest() const { return moments_.rbegin()->first; }

  Ran Get(const std::string& at) const {
    return Travel("get", {"--at=" + at, "--prefix=", "--output=json"});
  }
  static Keys KeysOf(const Ran& ran) {
    Keys keys;
    const auto json = nlohmann::json::parse(ran.results, nullptr, false);
    EXPECT_TRUE(json.is_object()) << ran.results << ran.messages;
    if (!json.is_object()) return keys;
    for (const auto& one : json["kvs"]) {
      std::string key;
      Version version;
      EXPECT_TRUE(absl::Base64Unescape(one["key"].get<std::string>(), &key));
      EXPECT_TRUE(absl::Base64Unescape(one["value"].get<std::string>(), &version.value));
      version.create = one["create_revision"];
      version.mod = one["mod_revision"];
      version.version = one["version"];
      version.lease = one.value("lease", int64_t{0});
      keys[key] = version;
    }
    EXPECT_EQ(json["count"], keys.size());
    return keys;
  }
  nlohmann::json Ranges() {
    const Ran ran = Travel("points", {"--output=json"});
    EXPECT_EQ(ran.exit_code, kExitOk) << ran.messages;
    const auto json = nlohmann::json::parse(ran.results, nullptr, false);
    EXPECT_TRUE(json.is_object()) << ran.results;
    return json["sources"][0]["ranges"];
  }
  void WaitForMirror() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(4);
    int64_t seen = 0;
    while (seen != newest()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "the mirror is at " << seen;
      const Ran ran = Travel("points", {"--output=json", kOfMirror});
      const auto json = nlohmann::json::parse(ran.results, nullptr, false);
      if (ran.exit_code == kExitOk) seen = json["sources"][0]["current_revision"];
    }
  }
  // Any of them.
  std::pair<int64_t, const Moment*> Any() {
    auto it = moments_.begin();
    std::advance(it, Pick(moments_.size()));
    return {it->first, &it->second};
  }
  void Live(int writes) {
    for (int i = 0; i < writes; ++i) {
      const size_t what = Pick(20);
      if (what == 0 && lease_ == 0) Grant();
      if (what == 1 && lease_ != 0) Revoke();
      Write();
    }
  }

  std::mt19937_64 rng_{7};
  std::string program_;
  std::unique_ptr<jetstream::NatsTestServer> nats_;
  std::vector<std::string> source_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<etcdclient::Client> client_;
  int64_t lease_ = 0;
  Moment now_;
  std::map<int64_t, Moment> moments_;  // by revision
};

TEST_F(TimeTravelTest, FiftyMomentsAreWhatTheClientSaw) {
  Start();
  Live(100);
  server_->Kill(ServerProcess::Scope::kTree);
  ASSERT_TRUE(server_->Restart().ok());
  Connect();
  Live(100);
  for (int i = 0; i < 50; ++i) {
    const auto [revision, moment] = Any();
    const std::string at = i % 2 == 0 ? Cat(revision) : replication::TimeText(moment->time_ns);
    const Ran ran = Get(at);
    ASSERT_EQ(ran.exit_code, kExitOk) << at << ": " << ran.messages;
    ASSERT_EQ(KeysOf(ran), moment->keys) << at;
  }
  // Nothing was compacted: all is there.
  const auto ranges = Ranges();
  ASSERT_EQ(ranges.size(), 1U) << ranges;
  EXPECT_EQ(ranges[0]["first_revision"], 1);
  EXPECT_EQ(ranges[0]["last_revision"], newest());

  // The same of a jetd that is stopped, and of one key.
  ASSERT_TRUE(server_->Stop(std::chrono::seconds(60)).ok());
  const Ran stopped = Get(Cat(newest()));
  ASSERT_EQ(stopped.exit_code, kExitOk) << stopped.messages;
  EXPECT_EQ(KeysOf(stopped), now_.keys);
  const auto& [key, version] = *now_.keys.begin();
  const Ran value = Travel("get", {"--at=now", key, "--print-value-only"});
  EXPECT_EQ(value.results, version.value + "\n");
  const Ran before = Get("before:" + key);
  ASSERT_EQ(before.exit_code, kExitOk) << before.messages;
  EXPECT_EQ(KeysOf(before), std::prev(moments_.lower_bound(version.mod))->second.keys);
  const Ran future = Get(Cat(newest() + 1));
  EXPECT_EQ(future.exit_code, kExitFailed);
  EXPECT_EQ(future.messages, Cat("jetctl get: revision ", newest() + 1,
                                 " is in the future: the newest is ", newest(), "\n"));
}

TEST_F(TimeTravelTest, ACompactionLeavesWhatItSaysAndAMirrorAll) {
  nats_ = jetstream::NatsTestServer::StartFrom("JETD_NATS_SERVER");
  if (nats_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER is not set";
  Start();
  Live(60);
  ASSERT_TRUE(replication::MakeMirror(nats_->url(), "travel", kMirror).ok());
  Live(60);
  const int64_t compacted = newest();
  WaitForMirror();
  Compact(compacted);
  Live(60);
  WaitForMirror();
  const auto ranges = Ranges();
  ASSERT_GE(ranges.size(), 1U);
  EXPECT_EQ(ranges.back()["last_revision"], newest());
  EXPECT_LE(ranges.back()["first_revision"].get<int64_t>(), compacted);
  int refused = 0;
  for (int i = 0; i < 30; ++i) {
    const auto [revision, moment] = Any();
    const int64_t at = revision;
    const bool there = std::any_of(ranges.begin(), ranges.end(), [at](const auto& range) {
      return range["first_revision"] <= at && at <= range["last_revision"];
    });
    const Ran ran = Get(Cat(at));
    ASSERT_EQ(ran.exit_code, there ? kExitOk : kExitFailed) << at << ": " << ran.messages;
    const Ran mirrored =
        Travel("get", {"--at=" + Cat(at), "--prefix=", "--output=json", kOfMirror});
    ASSERT_EQ(KeysOf(mirrored), moment->keys) << at;
    if (there) {
      ASSERT_EQ(KeysOf(ran), moment->keys) << at;
      continue;
    }
    ++refused;
    EXPECT_NE(ran.messages.find("cannot be read any more"), std::string::npos) << ran.messages;
    EXPECT_LT(at, compacted);
  }
  EXPECT_GT(refused, 0);
  // What changed, too: told of the mirror as of the origin, and of all that the client saw.
  const std::vector<std::string> since = {Cat("--from=", compacted), "--to=now", "--output=json",
                                          "--values"};
  std::vector<std::string> of_mirror = since;
  of_mirror.emplace_back(kOfMirror);
  EXPECT_EQ(Travel("diff", of_mirror).results, Travel("diff", since).results);
  const Ran history = Travel("history", {"--prefix=", "--output=json", kOfMirror});
  const auto versions = nlohmann::json::parse(history.results, nullptr, false);
  ASSERT_TRUE(versions.is_object()) << history.results << history.messages;
  std::set<int64_t> told;
  for (const auto& one : versions["versions"]) {
    EXPECT_EQ(one["gone_before"], 0);
    told.insert(one["revision"].get<int64_t>());
  }
  for (const auto& [revision, moment] : moments_) EXPECT_TRUE(told.contains(revision)) << revision;
  const Ran both = Travel("points", {"--mirror=/KV_travel_mirror"});
  EXPECT_EQ(both.exit_code, kExitOk) << both.messages;
  EXPECT_NE(both.results.find("\norigin "), std::string::npos) << both.results;
  EXPECT_NE(both.results.find("\n/KV_travel_mirror  1 "), std::string::npos) << both.results;
}

// A script that looks for damage must find it here too.
TEST_F(TimeTravelTest, DamageHasAnExitCodeOfItsOwn) {
  nats_ = jetstream::NatsTestServer::StartFrom("JETD_NATS_SERVER");
  if (nats_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER is not set";
  Start();
  Live(30);
  server_->Kill(ServerProcess::Scope::kTree);
  const auto removed = jetstream::AskNats({.url = nats_->url()},
                                          {.subject = "$JS.API.STREAM.MSG.DELETE.KV_travel",
                                           .payload = R"({"seq":15,"no_erase":true})"},
                                          std::chrono::seconds(10));
  ASSERT_TRUE(removed.ok()) << removed.status();
  const Ran history = Travel("history", {"--prefix="});
  EXPECT_EQ(history.exit_code, kExitDamaged) << history.messages;
  EXPECT_NE(history.messages.find("this is not all"), std::string::npos) << history.messages;
  const Ran get = Get(Cat(newest()));
  EXPECT_EQ(get.exit_code, kExitDamaged) << get.messages;
}

TEST_F(TimeTravelTest, HistoryAndDiff) {
  Start();
  Live(30);
  const int64_t middle = newest();
  Live(30);
  const Ran history = Travel("history", {"--prefix=", "--output=json", "--values"});
  ASSERT_EQ(history.exit_code, kExitOk) << history.messages;
  const auto versions = nlohmann::json::parse(history.results, nullptr, false);
  ASSERT_TRUE(versions.is_object()) << history.results;
  // Every put of it is in the moment that it made; every key of a moment has its put.
  std::map<std::pair<std::string, int64_t>, std::string> puts;
  for (const auto& one : versions["versions"]) {
    EXPECT_EQ(one["gone_before"], 0);
    const auto name = one["name"].get<std::string>();
    const auto revision = one["revision"].get<int64_t>();
    if (one["op"] == "put") {
      std::string* const value = &puts[{name, revision}];
      ASSERT_TRUE(absl::Base64Unescape(one["value"].get<std::string>(), value));
      EXPECT_EQ(moments_.at(revision).keys.at(name).version, one["version"].get<int64_t>());
    } else {
      EXPECT_FALSE(moments_.at(revision).keys.contains(name));
    }
  }
  for (const auto& [revision, moment] : moments_) {
    for (const auto& [key, version] : moment.keys) {
      EXPECT_EQ(puts.at({key, version.mod}), version.value);
    }
  }

  const Ran diff = Travel("diff", {Cat("--from=", middle), "--output=json", "--values"});
  ASSERT_EQ(diff.exit_code, kExitOk) << diff.messages;
  const auto json = nlohmann::json::parse(diff.results, nullptr, false);
  ASSERT_TRUE(json.is_object()) << diff.results;
  EXPECT_EQ(json["from"]["revision"], middle);
  EXPECT_EQ(json["to"]["revision"], newest());
  // Done to what was there in the middle, it is what is there now.
  Keys keys = moments_.at(middle).keys;
  for (const auto& one : json["changes"]) {
    const auto key = one["name"].get<std::string>();
    if (one["change"] == "deleted") {
      EXPECT_EQ(keys.erase(key), 1U);
      continue;
    }
    EXPECT_EQ(keys.contains(key), one["change"] == "changed") << key;
    Version& version = keys[key];
    ASSERT_TRUE(absl::Base64Unescape(one["to"]["value"].get<std::string>(), &version.value));
    version.create = one["to"]["create_revision"];
    version.mod = one["to"]["mod_revision"];
    version.version = one["to"]["version"];
    version.lease = one["to"].value("lease", int64_t{0});
  }
  EXPECT_EQ(keys, now_.keys);
  const Ran table = Travel("diff", {Cat("--from=", newest()), "--to=now"});
  EXPECT_EQ(table.exit_code, kExitOk);
  EXPECT_NE(table.messages.find("0 added, 0 changed, 0 deleted"), std::string::npos)
      << table.messages;
}

}  // namespace
}  // namespace jetd::cli
