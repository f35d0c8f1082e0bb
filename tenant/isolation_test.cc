// SPDX-License-Identifier: Apache-2.0
//
// What one tenant can do to another with its credentials: nothing. Each attempt is refused by the
// nats-server, which logs it, and stands beside the same call by one who may make it: the tenant
// that owns what was tried, where a jetd needs it, otherwise whoever looks after its account or the
// server. What takes a cluster is in isolation_cluster_test.cc.
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"
#include "tenant/isolation_harness.h"
#include "tenant/operator_server.h"
#include "tenant/tenant_admin.h"

namespace jetd::tenant {
namespace {

using jetstream::NatsTestServer;
using nlohmann::json;

// All that nats-server 2.15 serves without a cluster, in an order in which each can succeed.
std::vector<Attempt> OneServersRequests() {
  constexpr char kDone[] = R"("success":true)";
  return {
      {"$JS.API.STREAM.CREATE.@S", "@config", Who::kTenant, "KV_beta"},
      {"$KV.@B.key", "value", Who::kTenant, R"("seq":1)"},
      {"$KV.@B._jetd.term", "{}", Who::kTenant, R"("seq":2)"},
      // What a jetd asks JetStream for.
      {"$JS.API.STREAM.INFO.@S", "", Who::kTenant, R"("messages":2)"},
      {"$JS.API.STREAM.MSG.GET.@S", R"({"seq":1})", Who::kTenant, "$KV.beta.key"},
      {"$JS.API.STREAM.MSG.DELETE.@S", R"({"seq":2})", Who::kTenant, kDone},
      {"$JS.API.DIRECT.GET.@S", R"({"seq":1})", Who::kTenant, "value"},
      {"$JS.API.CONSUMER.CREATE.@S.c",
       R"({"stream_name":"@S","config":{"name":"c","ack_policy":"none","deliver_policy":"all",)"
       R"("mem_storage":true}})",
       Who::kTenant, R"("name":"c")"},
      {"$JS.API.CONSUMER.MSG.NEXT.@S.c", R"({"batch":1,"no_wait":true})", Who::kTenant, "value",
       Shown::kRecord},
      {"$JS.API.CONSUMER.DELETE.@S.c", "", Who::kTenant, kDone},
      // Among members of a bucket, and to its mirrors in other domains.
      {"_jetd.@B.inbox.x", "", Who::kTenant, "", Shown::kHeard},
      {"_jetd.@B.lead.1", "", Who::kTenant, "", Shown::kHeard},
      {"_jetd.@B.news", "", Who::kTenant, "", Shown::kHeard},
      {"$JS.@B.API.STREAM.INFO.@S", "", Who::kTenant, "", Shown::kHeard},
      // What a jetd does not need.
      {"$JS.API.STREAM.NAMES", "", Who::kAccount, "KV_beta"},
      {"$JS.API.STREAM.LIST", "", Who::kAccount, "KV_beta"},
      {"$JS.API.STREAM.UPDATE.@S", "@config", Who::kAccount, "KV_beta"},
      {"$JS.API.STREAM.SNAPSHOT.@S", R"({"deliver_subject":"@X"})", Who::kAccount, "KV_beta"},
      {"$JS.API.DIRECT.GET.@S.$KV.@B.key", "", Who::kAccount, "value"},
      {"$JS.API.CONSUMER.CREATE.@S",
       R"({"stream_name":"@S","config":{"ack_policy":"none","deliver_policy":"all"}})",
       Who::kAccount, R"("stream_name":"KV_beta")"},
      {"$JS.API.CONSUMER.CREATE.@S.f.$KV.@B.key",
       R"({"stream_name":"@S","config":{"name":"f","filter_subject":"$KV.@B.key",)"
       R"("ack_policy":"none","deliver_policy":"all"}})",
       Who::kAccount, R"("name":"f")"},
      {"$JS.API.CONSUMER.DURABLE.CREATE.@S.d",
       R"({"stream_name":"@S","config":{"durable_name":"d","ack_policy":"explicit",)"
       R"("deliver_policy":"all","priority_groups":["g"],"priority_policy":"pinned_client",)"
       R"("priority_timeout":60000000000}})",
       Who::kAccount, R"("name":"d")"},
      {"$JS.API.CONSUMER.NAMES.@S", "", Who::kAccount, R"("d")"},
      {"$JS.API.CONSUMER.LIST.@S", "", Who::kAccount, R"("name":"d")"},
      {"$JS.API.CONSUMER.INFO.@S.d", "", Who::kAccount, R"("name":"d")"},
      {"$JS.API.CONSUMER.UNPIN.@S.d", R"({"group":"g"})", Who::kAccount, "consumer_unpin"},
      {"$JS.API.CONSUMER.RESET.@S.d", "", Who::kAccount, "consumer_reset"},
      {"$JS.API.CONSUMER.PAUSE.@S.d", R"({"pause_until":"2999-01-01T00:00:00Z"})", Who::kAccount,
       R"("paused":true)"},
      {"$JS.ACK.@S.d.1.1.1.1.0", "", Who::kAccount, "", Shown::kHeard},
      {"$JS.API.STREAM.CREATE.KV_copy", R"({"name":"KV_copy","mirror":{"name":"@S"}})",
       Who::kAccount, "KV_copy"},
      {"$JS.API.STREAM.CREATE.other", R"({"name":"other","subjects":["other"]})", Who::kAccount,
       "other"},
      {"$JS.API.STREAM.PURGE.@S", "", Who::kAccount, kDone},
      {"$JS.API.STREAM.DELETE.@S", "", Who::kAccount, kDone},
      {"$JS.API.STREAM.RESTORE.@S", R"({"config":@config,"state":{}})", Who::kAccount,
       "deliver_subject"},
      {"$SYS.REQ.USER.INFO", "", Who::kAccount, R"("data")"},
      {"$SYS.REQ.ACCOUNT.PING.CONNZ", "", Who::kAccount, R"("data")"},
      {"_INBOX.x", "", Who::kAccount, "", Shown::kHeard},
      {"any.subject", "", Who::kAccount, "", Shown::kHeard},
      // Of the server's.
      {"$SYS.REQ.SERVER.PING", "", Who::kSystem, R"("server")"},
      {"$SYS.REQ.ACCOUNT.@A.INFO", "", Who::kSystem, "@A"},
      {"$JS.API.ACCOUNT.PURGE.@A", "", Who::kSystem, R"("initiated":true)"},
  };
}
// A static server has no resolver, and so nobody to serve these: they arrive.
std::vector<Attempt> ClaimsRequests(ServerKind kind) {
  if (kind == ServerKind::kStatic) {
    return {{"$SYS.REQ.CLAIMS.UPDATE", "", Who::kSystem, "", Shown::kHeard},
            {"$SYS.REQ.CLAIMS.LIST", "", Who::kSystem, "", Shown::kHeard},
            {"$SYS.REQ.CLAIMS.DELETE", "", Who::kSystem, "", Shown::kHeard}};
  }
  return {{"$SYS.REQ.CLAIMS.LIST", "", Who::kSystem, "@A"},
          {"$SYS.REQ.CLAIMS.UPDATE", "@update", Who::kSystem, R"("code":200)"},
          {"$SYS.REQ.CLAIMS.DELETE", "@deletion", Who::kSystem, R"("code":200)"}};
}

// What might be overheard: a pattern, who may listen to it, and a subject that it takes.
struct Listening {
  const char* pattern;
  Who who;
  const char* sample;
};
constexpr Listening kListening[] = {
    {">", Who::kAccount, "any.subject"},
    {"*.*.*", Who::kAccount, "any.subject.else"},
    {"$KV.>", Who::kAccount, "$KV.beta.key"},
    {"$KV.beta.>", Who::kTenant, "$KV.beta.key"},
    {"_INBOX.>", Who::kAccount, "_INBOX.x"},
    {"_jetd.>", Who::kAccount, "_jetd.beta.news"},
    {"_jetd.beta.>", Who::kAccount, "_jetd.beta.news"},
    {"_jetd.beta.inbox.>", Who::kTenant, "_jetd.beta.inbox.x"},
    {"_jetd.beta.lead.*", Who::kTenant, "_jetd.beta.lead.1"},
    {"$SYS.>", Who::kSystem, "$SYS.REQ.SERVER.PING"},
    {"$SYS.ACCOUNT.>", Who::kSystem, "$SYS.ACCOUNT.beta.x"},
    {"$JS.>", Who::kAccount, "$JS.API.STREAM.INFO.KV_beta"},
    {"$JS.API.>", Who::kAccount, "$JS.API.STREAM.INFO.KV_beta"},
    {"$JS.API.STREAM.PURGE.KV_beta", Who::kTenant, "$JS.API.STREAM.PURGE.KV_beta"},
    {"$JS.ACK.>", Who::kAccount, "$JS.ACK.KV_beta.c.1.1.1.1.0"},
    {"$JS.EVENT.>", Who::kAccount, "$JS.EVENT.ADVISORY.STREAM.UPDATED.KV_beta"},
    {"$JS.EVENT.ADVISORY.STREAM.UPDATED.KV_beta", Who::kTenant,
     "$JS.EVENT.ADVISORY.STREAM.UPDATED.KV_beta"},
};

class IsolationTest : public testing::TestWithParam<ServerKind>, protected IsolatedTenants {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    const absl::Status made =
        BeginFolder({.folder = folder_, .kind = GetParam(), .resolver_dir = folder_ + "/jwt"});
    ASSERT_TRUE(made.ok()) << made;
    const std::vector<std::string> names = {"acme", "beta", "eve", "mallory"};
    // A static server finds its tenants when it starts, the other learns of them.
    if (is_static()) AddTenants(names);
    const std::string here = "../" + std::string(std::filesystem::path(folder_).filename());
    server_ = NatsTestServer::StartFrom(
        "JETD_NATS_SERVER",
        is_static() ? StaticAccounts(folder_) : Cat("include \"", here, "/operator.conf\"\n"));
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    if (!is_static()) {
      AddTenants(names, server_->url());
      AddAdminsToOperator();
    }
    ConnectTo(server_->url());
  }
  [[nodiscard]] bool is_static() const { return GetParam() == ServerKind::kStatic; }

  void AddAdminsToOperator() {
    const auto account =
        ReadKey(folder_ + "/keys/accounts/beta.seed", jetstream::NkeyKind::kAccount);
    ASSERT_TRUE(account.ok()) << account.status();
    const auto user = jetstream::NkeyPair::Generate(jetstream::NkeyKind::kUser);
    const std::string creds = folder_ + "/account.creds";
    const std::string jwt = UnboundUserJwt(*account, user.public_key(), "admin", NowSeconds());
    ASSERT_TRUE(WriteSecret(creds, CredentialsText(jwt, user.Seed())).ok());
    endpoints_[NameOf(Who::kAccount)].credentials = {.creds_file = creds};
    endpoints_[NameOf(Who::kSystem)].credentials = {.creds_file = folder_ + "/" + kSystemCreds};
  }

  // Those who may do something to beta's account.
  using Owners = std::map<Who, std::unique_ptr<Client>>;
  Owners ConnectOwners() {
    Owners owners;
    owners[Who::kTenant] = Connect("beta");
    for (const Who who : {Who::kAccount, Who::kSystem}) owners[who] = Connect(who);
    return owners;
  }
  // A stream as jetd makes it, with one record.
  void MakeBucket(Client* client, const std::string& bucket) {
    const json made = AskAndWait(client, "$JS.API.STREAM.CREATE.KV_" + bucket,
                                 jetstream::NewStreamConfig({.bucket = bucket}).dump());
    ASSERT_FALSE(made.contains("error")) << made;
    const json ack = AskAndWait(client, Cat("$KV.", bucket, ".key"), "value");
    ASSERT_EQ(ack.value("seq", 0), 1) << ack;
  }
  // What requests to beta's stream and its account are made of.
  [[nodiscard]] Words TheWords() const {
    Words words = {{"@A", is_static() ? "beta" : tenants_.at("beta").account},
                   {"@B", "beta"},
                   {"@C", "x"},
                   {"@L", "x"},
                   {"@P", "x"},
                   {"@S", "KV_beta"},
                   {"@X", "_INBOX.snapshot"},
                   {"@config", jetstream::NewStreamConfig({.bucket = "beta"}).dump()}};
    if (!is_static()) {
      const auto key = ReadKey(folder_ + "/" + kOperatorSeed, jetstream::NkeyKind::kOperator);
      JETD_CHECK(key.ok()) << key.status();
      words["@update"] = AccountJwt(*key, tenants_.at("beta").account, "beta",
                                    {.storage_bytes = -1, .streams = -1}, NowSeconds());
      // Of one that nobody is connected to.
      words["@deletion"] = DeletionJwt(*key, {tenants_.at("eve").account}, NowSeconds());
    }
    return words;
  }
  void DoAll(const Owners& owners, const Owners& ears, const std::vector<Attempt>& all,
             Pairs* pairs) {
    for (const Attempt& one : all) {
      // A tenant may say more than it may listen to.
      const Who ear = one.who == Who::kTenant ? Who::kAccount : one.who;
      pairs->Allowed(one.subject, one.who, Try(owners.at(one.who).get(), ears.at(ear).get(), one));
    }
  }

  std::unique_ptr<NatsTestServer> server_;
};

TEST_P(IsolationTest, WhatIsRefusedIsAllowedForItsOwner) {
  std::vector<Attempt> all = OneServersRequests();
  for (const Attempt& one : ClaimsRequests(GetParam())) all.push_back(one);
  all = Filled(all, TheWords());
  std::vector<Attempt> tenants, admins;
  std::vector<std::pair<std::string, Who>> expected;
  for (const Attempt& one : all) {
    (one.who == Who::kTenant ? tenants : admins).push_back(one);
    expected.emplace_back(one.subject, one.who);
  }
  const auto acme = Connect("acme");
  const Owners owners = ConnectOwners();
  const Owners ears = ConnectOwners();
  Client* const beta = owners.at(Who::kTenant).get();
  Pairs pairs;
  DoAll(owners, ears, tenants, &pairs);
  const json before = AskAndWait(beta, "$JS.API.STREAM.INFO.KV_beta");
  TryInVain(acme.get(), "another", all, server_->log_path(), &pairs);
  TryInVain(beta, "the tenant", admins, server_->log_path(), &pairs);
  const json after = AskAndWait(beta, "$JS.API.STREAM.INFO.KV_beta");
  EXPECT_EQ(before["state"], after["state"]);
  EXPECT_EQ(before["config"], after["config"]);
  DoAll(owners, ears, admins, &pairs);
  pairs.ExpectAll(expected);
}

// Who may make them is shown where they can be done (isolation_cluster_test.cc).
TEST_P(IsolationTest, WhatIsForClustersIsRefusedByOneServerToo) {
  const std::vector<Attempt> all = Filled(ClusterRequests(), TheWords());
  const auto acme = Connect("acme");
  const auto beta = Connect("beta");
  Pairs pairs;
  TryInVain(acme.get(), "another", all, server_->log_path(), &pairs);
  TryInVain(beta.get(), "the tenant", all, server_->log_path(), &pairs);
  for (const Attempt& one : all) {
    EXPECT_TRUE(pairs.IsRefused(one.subject, "another")) << one.subject;
    EXPECT_TRUE(pairs.IsRefused(one.subject, "the tenant")) << one.subject;
  }
}

TEST_P(IsolationTest, NothingOfOthersIsOverheard) {
  const auto acme = Connect("acme");
  const Owners owners = ConnectOwners();
  const Owners ears = ConnectOwners();
  Client* const beta = owners.at(Who::kTenant).get();
  std::vector<std::pair<std::string, Who>> expected;
  for (const Listening& one : kListening) expected.emplace_back(one.pattern, one.who);
  Pairs pairs;
  for (Client* const client : {acme.get(), beta}) {
    const size_t logged = std::filesystem::file_size(server_->log_path());
    for (const Listening& one : kListening) {
      if (client == acme.get() || one.who != Who::kTenant) client->Listen(one.pattern);
    }
    AskAndWait(client, "$JS.API.INFO");
    for (const Listening& one : kListening) {
      if (Logged(server_->log_path(), logged, "Subscription Violation", one.pattern)) {
        pairs.Refused(one.pattern, client == beta ? "the tenant" : "another");
      }
    }
  }
  MakeBucket(beta, "beta");
  for (const Listening& one : kListening) {
    // Who looks after the account, or the server, says what there is to be heard.
    Client* const speaker = owners.at(one.who == Who::kTenant ? Who::kAccount : one.who).get();
    Client* const listener = ears.at(one.who).get();
    pairs.Allowed(one.pattern, one.who, Hear(listener, one.pattern, speaker, one.sample));
  }
  AskAndWait(acme.get(), "$JS.API.INFO");
  EXPECT_THAT(acme->heard(), testing::IsEmpty());
  pairs.ExpectAll(expected);
}

// What a user may make is a stream of its bucket's name; it may be made as a mirror of another's,
// or with another's as a source. Its account knows no such stream; within beta's it fills.
TEST_P(IsolationTest, AMirrorOfAnothersStreamStaysEmpty) {
  const Owners owners = ConnectOwners();
  Client* const beta = owners.at(Who::kTenant).get();
  MakeBucket(beta, "beta");
  const std::map<std::string, const char*> configs = {
      {"eve", R"({"name":"KV_eve","mirror":{"name":"KV_beta"}})"},
      {"mallory", R"({"name":"KV_mallory","sources":[{"name":"KV_beta","external":)"
                  R"({"api":"$JS.beta.API","deliver":"_jetd.mallory.inbox.x"}}]})"},
  };
  for (const auto& [bucket, config] : configs) {
    const auto client = Connect(bucket);
    const std::string stream = "KV_" + bucket;
    const json made = AskAndWait(client.get(), "$JS.API.STREAM.CREATE." + stream, config);
    SCOPED_TRACE(made.dump());
    // Beta goes on writing meanwhile, as often as is asked.
    for (int i = 0; i < 20; ++i) {
      AskAndWait(beta, "$KV.beta.key", "more");
      const json info = AskAndWait(client.get(), "$JS.API.STREAM.INFO." + stream);
      if (info.contains("error")) continue;  // it was not even made
      EXPECT_EQ(info["state"]["messages"], 0) << info;
    }
    Forget(client.get());
  }
  Client* const admin = owners.at(Who::kAccount).get();
  for (const auto& [name, config] : std::map<std::string, const char*>{
           {"mirror", R"({"name":"mirror","mirror":{"name":"KV_beta"}})"},
           {"source", R"({"name":"source","sources":[{"name":"KV_beta"}]})"}}) {
    const json made = AskAndWait(admin, "$JS.API.STREAM.CREATE." + name, config);
    ASSERT_FALSE(made.contains("error")) << made;
    // Until it has one; it fills at its own pace.
    json info = json::object();
    for (int i = 0; i < 10'000 && info.value("/state/messages"_json_pointer, 0) == 0; ++i) {
      AskAndWait(beta, "$KV.beta.key", "more");
      info = AskAndWait(admin, "$JS.API.STREAM.INFO." + name);
    }
    EXPECT_GT(info["state"]["messages"], 0) << info;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, IsolationTest,
                         testing::Values(ServerKind::kStatic, ServerKind::kOperator),
                         [](const auto& kind) { return std::string(NameOf(kind.param)); });

}  // namespace
}  // namespace jetd::tenant
