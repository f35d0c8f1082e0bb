// SPDX-License-Identifier: Apache-2.0
//
// What one tenant can do to another with its credentials: nothing. Each attempt is refused by the
// nats-server, which logs it; the owner of what was tried does the same where a jetd needs it.
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/bucket_access.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"
#include "tenant/tenant_admin.h"

namespace jetd::tenant {
namespace {

using jetstream::NatsConnection;
using jetstream::NatsMessage;
using jetstream::NatsTestServer;
using nlohmann::json;

struct Call {
  const char* subject;  // behind "$JS.API."; S is the stream, K a subject of its bucket
  const char* payload = "";
};
// What a jetd asks JetStream for, with a payload that gets an answer.
constexpr Call kNeeded[] = {
    {"INFO"},
    {"STREAM.INFO.S"},
    {"STREAM.MSG.GET.S", R"({"seq":1})"},
    {"STREAM.MSG.DELETE.S", R"({"seq":7})"},
    {"DIRECT.GET.S", R"({"seq":1})"},
    {"CONSUMER.CREATE.S.c",
     R"({"stream_name":"S","config":{"name":"c","ack_policy":"none","deliver_policy":"new",)"
     R"("mem_storage":true}})"},
    {"CONSUMER.MSG.NEXT.S.c", R"({"batch":1,"no_wait":true})"},
    {"CONSUMER.DELETE.S.c"},
};
// All that nats-server 2.15 serves beside those.
constexpr Call kOthers[] = {
    {"STREAM.NAMES"},
    {"STREAM.LIST"},
    {"STREAM.UPDATE.S"},
    {"STREAM.DELETE.S"},
    {"STREAM.PURGE.S"},
    {"STREAM.SNAPSHOT.S"},
    {"STREAM.RESTORE.S"},
    {"STREAM.PEER.REMOVE.S"},
    {"STREAM.PEER.EVACUATE.S"},
    {"STREAM.LEADER.STEPDOWN.S"},
    {"STREAM.TEMPLATE.CREATE.t"},
    {"STREAM.TEMPLATE.NAMES"},
    {"DIRECT.GET.S.K"},
    {"CONSUMER.CREATE.S"},
    {"CONSUMER.CREATE.S.c.K"},
    {"CONSUMER.DURABLE.CREATE.S.c"},
    {"CONSUMER.NAMES.S"},
    {"CONSUMER.LIST.S"},
    {"CONSUMER.INFO.S.c"},
    {"CONSUMER.PAUSE.S.c"},
    {"CONSUMER.UNPIN.S.c"},
    {"CONSUMER.RESET.S.c"},
    {"CONSUMER.LEADER.STEPDOWN.S.c"},
    {"CONSUMER.PEER.REMOVE.S.c"},
    {"CONSUMER.PEER.EVACUATE.S.c"},
    {"META.LEADER.STEPDOWN"},
    {"META.RESCUE"},
    {"SERVER.REMOVE"},
    {"SERVER.EVACUATE"},
    {"ACCOUNT.PURGE.beta"},
    {"ACCOUNT.STREAM.MOVE.beta.S"},
    {"ACCOUNT.STREAM.CANCEL_MOVE.beta.S"},
};

std::string Replace(std::string text, const std::string& token, const std::string& by) {
  for (size_t at = 0; (at = text.find(token, at)) != std::string::npos; at += by.size()) {
    text.replace(at, token.size(), by);
  }
  return text;
}

// A connection of a tenant's user: what it asked, and what was answered.
class Client {
 public:
  Client(Loop* loop, const jetstream::NatsEndpoint& endpoint, const std::string& bucket) {
    auto made = NatsConnection::Connect(loop, endpoint, "probe", std::chrono::seconds(10),
                                        jetstream::InboxPrefix(bucket));
    JETD_CHECK(made.ok()) << made.status();
    connection_ = *std::move(made);
    connection_->Start([](const absl::Status& why) { ADD_FAILURE() << why; });
    const std::string prefix = connection_->inbox() + ".p.";
    connection_->Subscribe(
        prefix + "*",
        [this, prefix](const NatsMessage& message) {
          if (!message.subject().starts_with(prefix)) return;  // a record
          answers_[std::string(message.subject().substr(prefix.size()))] = message.payload();
        },
        [this] { ++unserved_; });
  }
  ~Client() { connection_->Stop(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Returns what the answer will be found by.
  std::string Ask(const std::string& subject, const std::string& payload = "") {
    const std::string number = Cat(++asked_);
    connection_->Publish(subject, Cat(connection_->inbox(), ".p.", number), payload);
    return number;
  }
  void Listen(const std::string& subject) {
    connection_->Subscribe(subject, [this](const NatsMessage& message) {
      overheard_.emplace_back(message.subject());
    });
  }
  void Flush() { connection_->Flush(); }
  [[nodiscard]] bool Answered(const std::string& number) const { return answers_.contains(number); }
  [[nodiscard]] json Answer(const std::string& number) const {
    return jetstream::ParseAnswer(answers_.at(number));
  }
  [[nodiscard]] size_t answers() const { return answers_.size(); }
  [[nodiscard]] int unserved() const { return unserved_; }
  [[nodiscard]] const std::vector<std::string>& overheard() const { return overheard_; }

 private:
  std::unique_ptr<NatsConnection> connection_;
  int asked_ = 0;
  int unserved_ = 0;
  std::map<std::string, std::string> answers_;
  std::vector<std::string> overheard_;
};

class IsolationTest : public testing::TestWithParam<ServerKind>, protected LoopRunner {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    std::string name = std::filesystem::temp_directory_path() / "jetd_tenant_XXXXXX";
    JETD_CHECK(mkdtemp(name.data()) != nullptr) << name;
    folder_ = name;
    const bool is_static = GetParam() == ServerKind::kStatic;
    const absl::Status made =
        BeginFolder({.folder = folder_, .kind = GetParam(), .resolver_dir = folder_ + "/jwt"});
    ASSERT_TRUE(made.ok()) << made;
    // A static server finds its tenants when it starts, the other learns of them.
    if (is_static) AddTenants("");
    const std::string here = "../" + std::string(std::filesystem::path(folder_).filename());
    server_ = NatsTestServer::StartFrom(
        "JETD_NATS_SERVER", is_static
                                ? Cat("accounts {\n  include \"", here, "/tenants.conf\"\n}\n")
                                : Cat("include \"", here, "/operator.conf\"\n"));
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    if (!is_static) AddTenants(server_->url());
    for (auto& [bucket, endpoint] : endpoints_) endpoint.url = server_->url();
    loop_.AddRoundHook([this] {
      for (Client* client : clients_) client->Flush();
    });
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void AddTenants(const std::string& url) {
    auto admin = TenantAdmin::Open({.folder = folder_, .server = {.url = url}});
    ASSERT_TRUE(admin.ok()) << admin.status();
    for (const std::string bucket : {"acme", "beta", "eve", "mallory"}) {
      const auto added =
          (*admin)->Add({.name = bucket,
                         .bucket = bucket,
                         .limits = {.storage_bytes = 64 << 20, .streams = 1, .consumers = 50}});
      ASSERT_TRUE(added.ok()) << added.status();
      auto& credentials = endpoints_[bucket].credentials;
      (GetParam() == ServerKind::kStatic ? credentials.nkey_seed_file : credentials.creds_file) =
          added->credentials_file;
    }
  }

  std::unique_ptr<Client> Connect(const std::string& bucket) {
    auto client = std::make_unique<Client>(&loop_, endpoints_.at(bucket), bucket);
    clients_.push_back(client.get());
    return client;
  }
  json AskAndWait(Client* client, const std::string& subject, const std::string& payload = "") {
    const std::string number = client->Ask(subject, payload);
    JETD_CHECK(RunUntil([&] { return client->Answered(number); })) << "no answer on " << subject;
    return client->Answer(number);
  }
  // A stream as jetd makes it, with one record.
  void MakeBucket(Client* client, const std::string& bucket) {
    const json made = AskAndWait(client, "$JS.API.STREAM.CREATE.KV_" + bucket,
                                 jetstream::NewStreamConfig({.bucket = bucket}).dump());
    ASSERT_FALSE(made.contains("error")) << made;
    const json ack = AskAndWait(client, Cat("$KV.", bucket, ".key"), "value");
    ASSERT_EQ(ack.value("seq", 0), 1) << ack;
  }
  [[nodiscard]] bool Logged(const std::string& violation, const std::string& subject) const {
    const std::string quoted = Cat("Subject \"", subject, "\"");
    std::ifstream file(server_->log_path());
    for (std::string line; std::getline(file, line);) {
      if (line.find(violation) != std::string::npos && line.find(quoted) != std::string::npos) {
        return true;
      }
    }
    return false;
  }
  // Publishes all, and expects that each was refused and logged, and none answered.
  void ExpectRefused(Client* client, const std::vector<std::pair<std::string, std::string>>& all) {
    const size_t before = client->answers();
    for (const auto& [subject, payload] : all) client->Ask(subject, payload);
    // Behind all of them, in the order of one connection.
    AskAndWait(client, "$JS.API.INFO");
    EXPECT_EQ(client->answers(), before + 1);
    EXPECT_EQ(client->unserved(), 0) << "what is refused is not looked for";
    for (const auto& [subject, payload] : all) {
      EXPECT_TRUE(Logged("Publish Violation", subject)) << subject;
    }
  }

  std::string folder_;
  std::unique_ptr<NatsTestServer> server_;
  std::map<std::string, jetstream::NatsEndpoint> endpoints_;
  std::vector<Client*> clients_;
};

std::string Subject(const Call& call, const std::string& bucket) {
  // No other part of these subjects holds ".S" or ".K" as a token of its own.
  std::string subject = Cat("$JS.API.", call.subject, ".");
  subject = Replace(subject, ".S.", Cat(".KV_", bucket, "."));
  subject = Replace(subject, ".K.", Cat(".$KV.", bucket, ".key."));
  subject.pop_back();
  return subject;
}
std::string Payload(const Call& call, const std::string& bucket) {
  return Replace(call.payload, "\"S\"", Cat("\"KV_", bucket, "\""));
}

TEST_P(IsolationTest, NoRequestReachesAnothersStream) {
  const auto acme = Connect("acme");
  const auto beta = Connect("beta");
  MakeBucket(acme.get(), "acme");
  MakeBucket(beta.get(), "beta");
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto* calls : {std::data(kNeeded), std::data(kOthers)}) {
    const size_t count = calls == std::data(kNeeded) ? std::size(kNeeded) : std::size(kOthers);
    for (size_t i = 0; i < count; ++i) {
      const std::string subject = Subject(calls[i], "beta");
      if (subject != "$JS.API.INFO") all.emplace_back(subject, Payload(calls[i], "beta"));
    }
  }
  all.emplace_back("$JS.API.STREAM.CREATE.KV_beta", "{}");
  all.emplace_back("$JS.API.STREAM.CREATE.KV_copy",
                   R"({"name":"KV_copy","mirror":{"name":"KV_beta"}})");
  all.emplace_back("$JS.API.STREAM.CREATE.other", R"({"name":"other","subjects":["other"]})");
  for (const char* subject :
       {"$KV.beta.key", "$KV.beta._jetd.term", "_jetd.beta.inbox.x", "_jetd.beta.lead.1",
        "_jetd.beta.news", "$JS.beta.API.STREAM.INFO.KV_beta", "$JS.ACK.KV_beta.c.1.1.1.1.0",
        "$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.INFO", "$SYS.REQ.ACCOUNT.PING.CONNZ",
        "$SYS.REQ.ACCOUNT.beta.INFO", "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.CLAIMS.LIST",
        "$SYS.REQ.CLAIMS.DELETE", "_INBOX.x", "any.subject"}) {
    all.emplace_back(subject, "");
  }
  ExpectRefused(acme.get(), all);

  // The owner, where a jetd needs it.
  for (const Call& call : kNeeded) {
    const std::string number = beta->Ask(Subject(call, "beta"), Payload(call, "beta"));
    EXPECT_TRUE(RunUntil([&] { return beta->Answered(number); })) << call.subject;
  }
  const json info = AskAndWait(beta.get(), "$JS.API.STREAM.INFO.KV_beta");
  EXPECT_EQ(info["state"]["messages"], 1) << info;
  EXPECT_EQ(info["state"]["last_seq"], 1) << info;
}

TEST_P(IsolationTest, OfItsOwnStreamAUserHasWhatJetdNeeds) {
  const auto acme = Connect("acme");
  MakeBucket(acme.get(), "acme");
  std::vector<std::pair<std::string, std::string>> all;
  for (const Call& call : kOthers) all.emplace_back(Subject(call, "acme"), "");
  ExpectRefused(acme.get(), all);
  const json info = AskAndWait(acme.get(), "$JS.API.STREAM.INFO.KV_acme");
  EXPECT_EQ(info["state"]["messages"], 1) << info;
}

TEST_P(IsolationTest, NothingOfOthersIsOverheard) {
  const auto acme = Connect("acme");
  const auto beta = Connect("beta");
  const std::vector<std::string> subjects = {">",
                                             "*.*.*",
                                             "$KV.>",
                                             "$KV.beta.>",
                                             "_INBOX.>",
                                             "_jetd.>",
                                             "_jetd.beta.>",
                                             "_jetd.beta.inbox.>",
                                             "_jetd.beta.lead.*",
                                             "$SYS.>",
                                             "$SYS.ACCOUNT.>",
                                             "$JS.>",
                                             "$JS.API.>",
                                             "$JS.API.STREAM.PURGE.KV_beta",
                                             "$JS.ACK.>",
                                             "$JS.EVENT.>",
                                             "$JS.EVENT.ADVISORY.STREAM.UPDATED.KV_beta"};
  for (const std::string& subject : subjects) acme->Listen(subject);
  AskAndWait(acme.get(), "$JS.API.INFO");
  for (const std::string& subject : subjects) {
    EXPECT_TRUE(Logged("Subscription Violation", subject)) << subject;
  }
  MakeBucket(beta.get(), "beta");
  AskAndWait(beta.get(), "$JS.API.STREAM.INFO.KV_beta");
  AskAndWait(acme.get(), "$JS.API.INFO");
  EXPECT_THAT(acme->overheard(), testing::IsEmpty());
}

// What a user may make is a stream of its bucket's name; it may be made as a mirror of another's,
// or with another's as a source. Its account knows no such stream.
TEST_P(IsolationTest, AMirrorOfAnothersStreamStaysEmpty) {
  const auto beta = Connect("beta");
  MakeBucket(beta.get(), "beta");
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
      AskAndWait(beta.get(), "$KV.beta.key", "more");
      const json info = AskAndWait(client.get(), "$JS.API.STREAM.INFO." + stream);
      if (info.contains("error")) continue;  // it was not even made
      EXPECT_EQ(info["state"]["messages"], 0) << info;
    }
    clients_.pop_back();
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, IsolationTest,
                         testing::Values(ServerKind::kStatic, ServerKind::kOperator),
                         [](const auto& kind) { return std::string(NameOf(kind.param)); });

}  // namespace
}  // namespace jetd::tenant
