// SPDX-License-Identifier: Apache-2.0
//
// For tests: what a tenant might try on another's account, and beside it who may do the same.
#ifndef JETD_TENANT_ISOLATION_HARNESS_H_
#define JETD_TENANT_ISOLATION_HARNESS_H_

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/loop_runner.h"
#include "base/pem_files.h"
#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "gtest/gtest.h"
#include "jetstream/bucket_access.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "nlohmann/json.hpp"
#include "tenant/tenant_admin.h"

namespace jetd::tenant {

// Who may make a call: the tenant that owns the account; whoever looks after the account, a user of
// it without bounds; whoever looks after the server, a user of its system account.
enum class Who { kTenant, kAccount, kSystem };
inline const char* NameOf(Who who) {
  constexpr const char* kNames[] = {"the tenant", "the account's admin", "the system's admin"};
  return kNames[static_cast<int>(who)];
}

// How it shows that a call was allowed: it is answered and done; it gets a record; it arrives at
// who listens.
enum class Shown { kAnswer, kRecord, kHeard };

// A subject and what is sent to it. In both, @B is the bucket, @S its stream, @A its account, @X a
// subject for answers, and what a test adds to these.
struct Attempt {
  std::string subject;
  std::string payload = "";
  Who who = Who::kTenant;
  std::string wanted = "";  // in the answer, or the record
  Shown shown = Shown::kAnswer;
  // In the answer to who asks again for what is done, since the first answer was lost. Empty: that
  // is the same.
  std::string wanted_again = "";
};

using Words = std::map<std::string, std::string>;
inline std::string Fill(std::string text, const Words& words) {
  for (const auto& [word, by] : words) {
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += by.size()) {
      text.replace(at, word.size(), by);
    }
  }
  return text;
}

// A connection: what it asked, and what was answered.
class Client {
 public:
  // `ping`: what it may ask at any time, to know that all that it sent before has arrived.
  Client(Loop* loop, const jetstream::NatsEndpoint& endpoint, std::string_view inbox_prefix,
         std::string ping)
      : ping_(std::move(ping)) {
    auto made =
        jetstream::NatsConnection::Connect(loop, endpoint, "probe", std::chrono::seconds(10),
                                           {.inbox_prefix = std::string(inbox_prefix)});
    JETD_CHECK(made.ok()) << made.status();
    connection_ = *std::move(made);
    connection_->Start([](const absl::Status& why) { ADD_FAILURE() << why; });
    const std::string prefix = connection_->inbox() + ".p.";
    connection_->Subscribe(
        prefix + "*",
        [this, prefix](const jetstream::NatsMessage& message) {
          if (message.subject().starts_with(prefix)) {
            answers_[std::string(message.subject().substr(prefix.size()))] = message.payload();
          } else {
            records_.emplace_back(message.payload());
          }
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
  std::string Ping() { return Ask(ping_); }
  void Tell(const std::string& subject, const std::string& payload) {
    connection_->Publish(subject, "", payload);
  }
  void Listen(const std::string& pattern) {
    connection_->Subscribe(pattern,
                           [this, pattern](const jetstream::NatsMessage&) { ++heard_[pattern]; });
  }
  void Flush() { connection_->Flush(); }
  [[nodiscard]] bool Answered(const std::string& number) const { return answers_.contains(number); }
  [[nodiscard]] std::string Text(const std::string& number) const { return answers_.at(number); }
  [[nodiscard]] nlohmann::json Answer(const std::string& number) const {
    return jetstream::ParseAnswer(answers_.at(number));
  }
  [[nodiscard]] size_t answers() const { return answers_.size(); }
  // What nobody listened to.
  [[nodiscard]] int unserved() const { return unserved_; }
  [[nodiscard]] const std::vector<std::string>& records() const { return records_; }
  // How many messages came of a pattern that was listened to.
  [[nodiscard]] const std::map<std::string, int>& heard() const { return heard_; }

 private:
  const std::string ping_;
  std::unique_ptr<jetstream::NatsConnection> connection_;
  int asked_ = 0;
  int unserved_ = 0;
  std::map<std::string, std::string> answers_;
  std::vector<std::string> records_;
  std::map<std::string, int> heard_;
};

// Every attempt with its two sides, and a table of them. A side that is not there is a failure.
class Pairs {
 public:
  void Refused(const std::string& subject, const std::string& whom) {
    std::string& text = rows_[subject].refused;
    CatTo(text, text.empty() ? "" : ", ", whom);
  }
  // `wrong`: why it was not; empty if it was.
  void Allowed(const std::string& subject, Who who, const std::string& wrong) {
    Row& row = rows_[subject];
    row.allowed = wrong.empty() ? NameOf(who) : "";
    row.wrong = wrong;
  }
  [[nodiscard]] bool IsRefused(const std::string& subject, const std::string& whom) const {
    const auto found = rows_.find(subject);
    return found != rows_.end() && found->second.refused.find(whom) != std::string::npos;
  }
  // What is the owner's account's is refused to others; what the owner may not do, to it as well.
  void ExpectAll(const std::vector<std::pair<std::string, Who>>& attempts) {
    constexpr const char* kNobody = "NOBODY";
    size_t width = 0;
    for (const auto& [subject, who] : attempts) width = std::max(width, subject.size());
    for (const auto& [subject, who] : attempts) {
      const Row& row = rows_[subject];
      std::printf("%-*s  refused to %-19s  allowed for %s\n", static_cast<int>(width),
                  subject.c_str(), row.refused.empty() ? kNobody : row.refused.c_str(),
                  row.allowed.empty() ? kNobody : row.allowed.c_str());
      EXPECT_EQ(row.refused, who == Who::kTenant ? "another" : "another, the tenant") << subject;
      EXPECT_EQ(row.allowed, NameOf(who)) << subject << ": " << row.wrong;
    }
    std::printf("%zu pairs\n", attempts.size());
    EXPECT_EQ(rows_.size(), attempts.size()) << "a subject that is there twice";
  }

 private:
  struct Row {
    std::string refused, allowed, wrong;
  };
  std::map<std::string, Row> rows_;
};

// What only a cluster of nats-servers does. @P is a server that has a replica of the stream, @C one
// that has the consumer, @L one that may leave.
inline std::vector<Attempt> ClusterRequests() {
  constexpr char kDone[] = R"("success":true)";
  return {
      {"$JS.API.STREAM.LEADER.STEPDOWN.@S", "", Who::kAccount, kDone},
      {"$JS.API.CONSUMER.LEADER.STEPDOWN.@S.d", "", Who::kAccount, kDone},
      {"$JS.API.CONSUMER.PEER.REMOVE.@S.d", R"({"peer":"@C"})", Who::kAccount, kDone},
      {"$JS.API.CONSUMER.PEER.EVACUATE.@S.d", R"({"peer":"@C"})", Who::kAccount, kDone},
      {"$JS.API.STREAM.PEER.REMOVE.@S", R"({"peer":"@P"})", Who::kAccount, kDone},
      {"$JS.API.STREAM.PEER.EVACUATE.@S", R"({"peer":"@P"})", Who::kAccount, kDone},
      {"$JS.API.ACCOUNT.STREAM.MOVE.@A.@S", R"({"server":"@P"})", Who::kSystem, "KV_beta"},
      {"$JS.API.STREAM.CANCEL_MOVE.@S", "", Who::kAccount, "stream_cancel_move"},
      {"$JS.API.ACCOUNT.STREAM.CANCEL_MOVE.@A.@S", "", Who::kSystem, "stream_cancel_move"},
      {"$JS.API.META.LEADER.STEPDOWN", "", Who::kSystem, kDone},
      {"$JS.API.SERVER.EVACUATE", R"({"peer":"@L"})", Who::kSystem, kDone},
      {"$JS.API.SERVER.REMOVE", R"({"peer":"@L"})", Who::kSystem, kDone, Shown::kAnswer,
       "server is not a member of the cluster"},
      {"$JS.API.META.RESCUE", R"({"quorum_needed":1})", Who::kSystem, "new_quorum"},
  };
}

inline std::vector<Attempt> Filled(std::vector<Attempt> all, const Words& words) {
  for (Attempt& one : all) {
    for (std::string* text : {&one.subject, &one.payload, &one.wanted}) *text = Fill(*text, words);
  }
  return all;
}

// What an operator does who wants a user of its own in the account of a static server's tenant: the
// file that jetctl writes gets one that may do everything there.
inline jetstream::NatsCredentials AddAccountAdmin(const std::string& folder,
                                                  const std::string& tenant) {
  const std::string path = folder + "/tenants.conf";
  std::string text = ReadWholeFile(path).value_or("");
  const std::string users = "users: [ ";
  const size_t at = text.find(users, text.find(Cat("\"", tenant, "\": {")));
  JETD_CHECK(at != std::string::npos) << text;
  text.insert(at + users.size(), "{user: account, password: account}, ");
  std::ofstream(path) << text;
  return {.user = "account", .password = "account"};
}
// The accounts of a static server with the tenants of `folder`, beside which its own folder lies.
inline std::string StaticAccounts(const std::string& folder) {
  return Cat("accounts {\n  include \"../", std::string(std::filesystem::path(folder).filename()),
             "/tenants.conf\"\n  SYS: { users: [{user: system, password: system}] }\n}\n",
             "system_account: SYS\n");
}

// Asks and hears, on one loop.
class Clients : protected LoopRunner {
 protected:
  Clients() {
    loop_.AddRoundHook([this] {
      for (Client* client : clients_) client->Flush();
    });
  }
  // The caller's; Forget comes before its end, unless that is the test's too.
  std::unique_ptr<Client> ConnectAs(const jetstream::NatsEndpoint& endpoint,
                                    std::string_view inbox_prefix,
                                    const std::string& ping = "$JS.API.INFO") {
    auto client = std::make_unique<Client>(&loop_, endpoint, inbox_prefix, ping);
    clients_.push_back(client.get());
    return client;
  }
  void Forget(const Client* client) { std::erase(clients_, client); }

  nlohmann::json AskAndWait(Client* client, const std::string& subject,
                            const std::string& payload = "") {
    const std::string number = client->Ask(subject, payload);
    JETD_CHECK(RunUntil([&] { return client->Answered(number); })) << "no answer on " << subject;
    return client->Answer(number);
  }

  // Whether a listener gets what another says; nobody hears itself. What was wrong, if it does not.
  std::string Hear(Client* listener, const std::string& pattern, Client* speaker,
                   const std::string& subject, const std::string& payload = "") {
    listener->Listen(pattern);
    // The server has taken the subscription once it has answered what was asked behind it.
    const std::string ping = listener->Ping();
    if (!RunUntil([&] { return listener->Answered(ping); })) return "no answer";
    const int before = Count(*listener, pattern);
    speaker->Tell(subject, payload);
    const bool came = RunUntil([&] { return Count(*listener, pattern) > before; });
    return came ? "" : "it was not heard";
  }
  // Whether a call by one who may make it is done; `ear` is a connection that may listen to it.
  // What was wrong, if it is not.
  std::string Try(Client* client, Client* ear, const Attempt& call) {
    if (call.shown == Shown::kHeard) {
      return Hear(ear, call.subject, client, call.subject, call.payload);
    }
    if (call.shown == Shown::kRecord) {
      const size_t before = client->records().size();
      client->Ask(call.subject, call.payload);
      const bool came = RunUntil([&] { return client->records().size() > before; });
      return came && client->records().back() == call.wanted ? "" : "no record came";
    }
    const std::string number = client->Ask(call.subject, call.payload);
    if (!RunUntil([&] { return client->Answered(number); })) return "no answer";
    const std::string text = client->Text(number);
    const bool done = jetstream::ApiErrorOf(client->Answer(number)).code == 0 &&
                      text.find(call.wanted) != std::string::npos;
    return done ? "" : Cat("answered ", text);
  }

  // Publishes all, of which none is answered, and notes what the server has logged as refused.
  void TryInVain(Client* client, const std::string& whom, const std::vector<Attempt>& all,
                 const std::string& log_path, Pairs* pairs) {
    const size_t before = client->answers();
    const size_t logged = std::filesystem::file_size(log_path);
    for (const Attempt& one : all) client->Ask(one.subject, one.payload);
    // Behind all of them, in the order of one connection.
    const std::string last = client->Ping();
    EXPECT_TRUE(RunUntil([&] { return client->Answered(last); }));
    EXPECT_EQ(client->answers(), before + 1);
    EXPECT_EQ(client->unserved(), 0) << "what is refused is not looked for";
    for (const Attempt& one : all) {
      if (Logged(log_path, logged, "Publish Violation", one.subject)) {
        pairs->Refused(one.subject, whom);
      }
    }
  }
  // Whether the server has logged, from that byte on, that it refused the subject.
  static bool Logged(const std::string& log_path, size_t from, const std::string& violation,
                     const std::string& subject) {
    const std::string quoted = Cat("Subject \"", subject, "\"");
    std::ifstream file(log_path);
    file.seekg(static_cast<std::streamoff>(from));
    for (std::string line; std::getline(file, line);) {
      if (line.find(violation) != std::string::npos && line.find(quoted) != std::string::npos) {
        return true;
      }
    }
    return false;
  }

 private:
  static int Count(const Client& client, const std::string& pattern) {
    const auto found = client.heard().find(pattern);
    return found == client.heard().end() ? 0 : found->second;
  }

  std::vector<Client*> clients_;
};

// Tenants in a new folder, those who look after beta's account and its server, and clients of all.
class IsolatedTenants : protected Clients {
 protected:
  // Of a static server; one in operator mode learns of them at `url`.
  void AddTenants(const std::vector<std::string>& names, const std::string& url = "") {
    auto admin = TenantAdmin::Open({.folder = folder_, .server = {.url = url}});
    ASSERT_TRUE(admin.ok()) << admin.status();
    for (const std::string& name : names) {
      const auto added = (*admin)->Add(
          {.name = name,
           .bucket = name,
           .limits = {
               .storage_bytes = 64 << 20, .streams = name == "beta" ? 4 : 1, .consumers = 50}});
      ASSERT_TRUE(added.ok()) << added.status();
      auto& credentials = endpoints_[name].credentials;
      (url.empty() ? credentials.nkey_seed_file : credentials.creds_file) = added->credentials_file;
      tenants_[name] = added->tenant;
    }
    if (!url.empty()) return;
    endpoints_[NameOf(Who::kAccount)].credentials = AddAccountAdmin(folder_, "beta");
    endpoints_[NameOf(Who::kSystem)].credentials = {.user = "system", .password = "system"};
  }
  void ConnectTo(const std::string& url) {
    for (auto& [name, endpoint] : endpoints_) endpoint.url = url;
  }
  std::unique_ptr<Client> Connect(const std::string& tenant) {
    return ConnectAs(endpoints_.at(tenant), jetstream::InboxPrefix(tenant));
  }
  std::unique_ptr<Client> Connect(Who admin) {
    return ConnectAs(endpoints_.at(NameOf(admin)), jetstream::NatsConnectOptions::kAnyInbox,
                     admin == Who::kSystem ? "$SYS.REQ.SERVER.PING" : "$JS.API.INFO");
  }

  const ScratchFolder scratch_{ScratchFolder::kOnDisk};
  const std::string& folder_ = scratch_.path();
  std::map<std::string, jetstream::NatsEndpoint> endpoints_;
  std::map<std::string, Tenant> tenants_;
};

}  // namespace jetd::tenant

#endif  // JETD_TENANT_ISOLATION_HARNESS_H_
