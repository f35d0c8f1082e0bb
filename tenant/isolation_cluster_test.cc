// SPDX-License-Identifier: Apache-2.0
//
// What isolation_test.cc shows, of what only a cluster of nats-servers does.
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "base/testing/free_port.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"
#include "tenant/isolation_harness.h"
#include "tenant/tenant_admin.h"

namespace jetd::tenant {
namespace {

using jetstream::NatsTestServer;
using nlohmann::json;

// Three replicas, and one server that has none.
constexpr int kServers = 4;

class IsolationClusterTest : public testing::Test, protected IsolatedTenants {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    const absl::Status made = BeginFolder({.folder = folder_});
    ASSERT_TRUE(made.ok()) << made;
    AddTenants({"acme", "beta"});
    StartServers();
    if (!IsSkipped()) ConnectTo(servers_[0]->url());
  }

  void StartServers() {
    std::vector<int> ports;
    std::string routes;
    for (int i = 0; i < kServers; ++i) {
      ports.push_back(FreePort());
      CatTo(routes, routes.empty() ? "" : ", ", "\"nats://127.0.0.1:", ports.back(), "\"");
    }
    for (int i = 0; i < kServers; ++i) {
      servers_.push_back(NatsTestServer::StartFrom(
          "JETD_NATS_SERVER",
          Cat(StaticAccounts(folder_), "server_name: n", i,
              "\ncluster {\n  name: c\n  listen: \"127.0.0.1:", ports[static_cast<size_t>(i)],
              "\"\n  routes: [", routes, "]\n}\n")));
      if (servers_.back() == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    }
  }
  // The answer, or nothing: servers of a cluster that elect, or move what is theirs, say nothing.
  json AskOnce(Client* client, const std::string& subject, const std::string& payload = "") {
    const std::string number = client->Ask(subject, payload);
    bool over = false;
    const TimerId timer = loop_.RunAfter(std::chrono::seconds(5), [&over] { over = true; });
    (void)RunUntil([&] { return over || client->Answered(number); });
    loop_.Cancel(timer);
    return client->Answered(number) ? client->Answer(number) : json::object();
  }
  // Again until it is done, which a cluster in motion refuses now and then. Why not, if not.
  std::string DoInTime(Client* account, Client* system, const Attempt& call) {
    const bool cancels = call.subject.find("CANCEL_MOVE") != std::string::npos;
    bool may_be_done = false;
    std::string why;
    for (int i = 0; i < 100; ++i) {
      if (i > 0) RunFor(std::chrono::milliseconds(300));  // they have a pace of their own
      const Words words = TheWords(account);
      const Attempt now = Filled({call}, words).front();
      if (cancels) {
        // What could be cancelled.
        system->Tell(Fill("$JS.API.ACCOUNT.STREAM.MOVE.@A.@S", words),
                     Fill(R"({"server":"@P"})", words));
      }
      const json answer =
          AskOnce(now.who == Who::kSystem ? system : account, now.subject, now.payload);
      const std::string text = answer.dump();
      if (jetstream::ApiErrorOf(answer).code == 0 && !answer.empty() &&
          text.find(now.wanted) != std::string::npos) {
        return "";
      }
      if (may_be_done && !now.wanted_again.empty() &&
          text.find(now.wanted_again) != std::string::npos) {
        return "";
      }
      may_be_done |= answer.empty();
      why = Cat("answered ", text);
    }
    return why;
  }
  Words TheWords(Client* account) {
    const json stream = AskOnce(account, "$JS.API.STREAM.INFO.KV_beta");
    const json consumer = AskOnce(account, "$JS.API.CONSUMER.INFO.KV_beta.d");
    return {{"@A", "beta"},
            {"@C", consumer.value("/cluster/leader"_json_pointer, "x")},
            {"@L", "n3"},
            {"@P", stream.value("/cluster/replicas/0/name"_json_pointer, "x")},
            {"@S", "KV_beta"}};
  }

  std::vector<std::unique_ptr<NatsTestServer>> servers_;
};

TEST_F(IsolationClusterTest, WhatIsRefusedIsAllowedForItsOwner) {
  const auto acme = Connect("acme");
  const auto beta = Connect("beta");
  const auto account = Connect(Who::kAccount);
  const auto system = Connect(Who::kSystem);
  json config = jetstream::NewStreamConfig({.bucket = "beta"});
  config["num_replicas"] = 3;
  ASSERT_EQ(DoInTime(account.get(), system.get(),
                     {"$JS.API.STREAM.CREATE.KV_beta", config.dump(), Who::kAccount, "KV_beta"}),
            "");
  ASSERT_EQ(DoInTime(account.get(), system.get(),
                     {"$JS.API.CONSUMER.DURABLE.CREATE.KV_beta.d",
                      R"({"stream_name":"KV_beta","config":{"durable_name":"d",)"
                      R"("ack_policy":"explicit","num_replicas":1}})",
                      Who::kAccount, R"("name":"d")"}),
            "");
  Pairs pairs;
  const std::vector<Attempt> all = ClusterRequests();
  const std::vector<Attempt> now = Filled(all, TheWords(account.get()));
  TryInVain(acme.get(), "another", now, servers_[0]->log_path(), &pairs);
  TryInVain(beta.get(), "the tenant", now, servers_[0]->log_path(), &pairs);
  std::vector<std::pair<std::string, Who>> expected;
  for (size_t i = 0; i < all.size(); ++i) {
    // The last: for what is left of a cluster.
    if (now[i].subject == "$JS.API.META.RESCUE") {
      for (size_t other = 1; other < servers_.size(); ++other) servers_[other]->Kill();
    }
    pairs.Allowed(now[i].subject, all[i].who, DoInTime(account.get(), system.get(), all[i]));
    expected.emplace_back(now[i].subject, all[i].who);
  }
  pairs.ExpectAll(expected);
}

}  // namespace
}  // namespace jetd::tenant
