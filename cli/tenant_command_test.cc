// SPDX-License-Identifier: Apache-2.0
//
// `jetctl tenant` as it is typed, and what it makes in use: two jetd of one tenant on a nats-server
// that lets their user do no more than they need.
#include "cli/tenant_command.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "base/testing/wait_until.h"
#include "cli/command_harness.h"
#include "etcdclient/client.h"
#include "etcdclient/testing/server_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/bucket_access.h"
#include "jetstream/nats_ask.h"
#include "jetstream/nats_test_server.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

namespace pb = etcdclient::pb;
using etcdclient::Client;
using etcdclient::ServerKind;
using etcdclient::ServerProcess;
using jetstream::NatsTestServer;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::chrono::seconds kFarTooLong{60};
constexpr etcdclient::CallOptions kPatient{.timeout = kFarTooLong};

TEST(TenantCommandTest, Mistakes) {
  for (const char* variable : {"JETD_STATE_DIR", "JETD_NATS_URL"}) unsetenv(variable);
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{},
       ": name what to do: init, add, list, show, limit, rotate or remove; see jetctl tenant "
       "--help\n"},
      {{"rotat"}, ": unknown command \"rotat\"; did you mean jetctl tenant rotate?\n"},
      {{"frobnicate"}, ": unknown command \"frobnicate\"; see jetctl tenant --help\n"},
      {{"add"}, " add: name the tenant: jetctl tenant add NAME\n"},
      {{"add", "a", "b"}, " add: \"b\" is one name too many, see jetctl tenant add --help\n"},
      {{"list", "a"},
       " list: \"a\" is not a flag, and tenant list takes flags only, see jetctl tenant list "
       "--help\n"},
      {{"add", "a", "--storgae=1"}, " add: unknown flag --storgae; did you mean --storage?\n"},
      {{"add", "a.b"},
       " add: \"a.b\" is no name of a tenant; it takes up to 64 letters, digits, - and _, and "
       "begins with a letter or digit\n"},
      {{"add", "a", "--storage=8GB"},
       " add: --storage: \"8GB\" is no size; give bytes, or a number with KiB, MiB, GiB or TiB, as "
       "8GiB\n"},
      {{"add", "a", "--streams=0"}, " add: --streams: \"0\" is no number from 1 to 1000000\n"},
      {{"add", "a", "--bucket=a.b"},
       " add: --bucket: \"a.b\" is no name of a tenant's bucket; it takes up to 64 letters, "
       "digits, "
       "- and _\n"},
      {{"add", "a"},
       " add: where are the tenants kept? Give --state-dir, a folder for the tenants of one "
       "nats-server\n"},
      {{"show", "a", "--state-dir=x", "--output=xml"},
       " show: --output: \"xml\" is neither table nor json\n"},
      {{"limit", "a", "--state-dir=x"},
       " limit: name a limit: --storage, --streams or --consumers\n"},
      {{"list", "--state-dir=x", "--nats-url=http://b"},
       " list: --nats-url: every URL must start with nats:// or tls://\n"},
      {{"remove", "a", "--state-dir=x"},
       " remove: this ends the jetd of tenant a and removes its credentials (its records stay, out "
       "of reach); if that is meant, add --yes\n"},
      {{"init", "--state-dir=x", "--kind=dynamic"},
       " init: --kind: \"dynamic\" is neither static nor operator\n"},
      {{"init", "--state-dir=x", "--resolver-dir=y"},
       " init: --operator-name, --operator-seed, --system-creds and --resolver-dir are for --kind "
       "operator; give it\n"},
      {{"init", "--state-dir=x", "--kind=operator", "--operator-seed=y"},
       " init: --operator-seed and --system-creds go together\n"},
  };
  for (const auto& [arguments, line] : cases) {
    std::vector<std::string> all = {"tenant"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Ran ran = Jetctl(all);
    EXPECT_EQ(ran.exit_code, kExitUsage) << line;
    EXPECT_EQ(ran.messages, "jetctl tenant" + line);
    EXPECT_EQ(ran.results, "");
  }
  const Ran none = Jetctl({"tenant", "list", "--state-dir=/nowhere/at/all"});
  EXPECT_EQ(none.exit_code, kExitFailed);
  EXPECT_THAT(none.messages, HasSubstr("begin with `jetctl tenant init`"));
  const Ran help = Jetctl({"tenant", "add", "--help"});
  EXPECT_EQ(help.exit_code, kExitOk);
  for (const char* word : {"NAME", "--storage", "8GiB", "--bucket", "--pid-file"}) {
    EXPECT_THAT(help.results, HasSubstr(word));
  }
}

TEST(TenantCommandTest, WhatIsBegunIsSaid) {
  for (const char* variable : {"JETD_STATE_DIR", "JETD_NATS_URL", "JETD_PID_FILE"}) {
    unsetenv(variable);
  }
  const ScratchFolder folder;
  const auto tenant = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "tenant");
    arguments.push_back("--state-dir=" + folder.path());
    return Jetctl(arguments);
  };
  ASSERT_EQ(tenant({"init"}).exit_code, kExitOk);
  const Ran own = tenant({"add", "SYS"});
  EXPECT_EQ(own.exit_code, kExitUsage);
  EXPECT_THAT(own.messages, HasSubstr("\"SYS\" is the name of an account of nats-server's own"));
  ASSERT_EQ(tenant({"add", "acme"}).exit_code, kExitOk);
  const Ran rotated = tenant({"rotate", "acme"});
  EXPECT_EQ(rotated.exit_code, kExitOk) << rotated.messages;
  EXPECT_THAT(rotated.results, HasSubstr("tenant acme: new credentials, begun\n"));
  EXPECT_THAT(rotated.results, HasSubstr("then give this command again"));
  EXPECT_THAT(tenant({"show", "acme"}).results,
              HasSubstr("begun            new credentials: `jetctl tenant rotate acme` ends"));
  EXPECT_THAT(tenant({"rotate", "acme"}).results, HasSubstr("tenant acme: new credentials\n"));
  const Ran removed = tenant({"remove", "acme", "--yes"});
  EXPECT_EQ(removed.exit_code, kExitOk) << removed.messages;
  EXPECT_THAT(removed.results, HasSubstr("tenant acme: removed\nto do: tell nats-server"));
}

enum class Kind { kStatic, kOperator };

class TenantServerTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    const auto program = ServerProcess::Find(ServerKind::kJetd);
    if (!program.ok()) GTEST_SKIP() << "JETD_BIN names no jetd";
    jetd_ = *program;
    std::vector<std::string> init = {"tenant", "init", "--state-dir=" + folder_};
    if (!is_static()) {
      init.insert(init.end(), {"--kind=operator", "--resolver-dir=" + folder_ + "/jwt"});
    }
    const Ran begun = Jetctl(init);
    ASSERT_EQ(begun.exit_code, kExitOk) << begun.messages;
    const std::string here = "../" + std::string(std::filesystem::path(folder_).filename());
    server_ = NatsTestServer::StartFrom(
        "JETD_NATS_SERVER",
        is_static() ? Cat("pid_file: \"", folder_, "/nats.pid\"\naccounts {\n  include \"", here,
                          "/tenants.conf\"\n}\n")
                    : Cat("include \"", here, "/operator.conf\"\n"));
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  }

  [[nodiscard]] bool is_static() const { return GetParam() == Kind::kStatic; }
  Ran Tenant(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "tenant");
    arguments.insert(arguments.end(), {"--state-dir", folder_, "--nats-url", server_->url()});
    if (is_static()) arguments.insert(arguments.end(), {"--pid-file", folder_ + "/nats.pid"});
    return Jetctl(arguments);
  }
  [[nodiscard]] std::string CredentialsFlag(const std::string& tenant) const {
    return is_static() ? Cat("--nats-nkey=", folder_, "/creds/", tenant, ".nkey")
                       : Cat("--nats-creds=", folder_, "/creds/", tenant, ".creds");
  }
  std::unique_ptr<ServerProcess> StartMember(const std::string& name) {
    auto member =
        ServerProcess::Start({.program = jetd_,
                              .flags = {"--nats-url=" + server_->url(), CredentialsFlag("acme"),
                                        "--bucket=acme", "--name=" + name}});
    JETD_CHECK(member.ok()) << member.status();
    const absl::Status ready = (*member)->WaitReady(kFarTooLong);
    EXPECT_TRUE(ready.ok()) << ready;
    return *std::move(member);
  }
  [[nodiscard]] std::string ServerLog() const {
    std::ifstream file(server_->log_path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Asks as the tenant's user.
  json Ask(const std::string& subject) {
    jetstream::NatsEndpoint endpoint{.url = server_->url()};
    const std::string flag = CredentialsFlag("acme");
    (is_static() ? endpoint.credentials.nkey_seed_file : endpoint.credentials.creds_file) =
        flag.substr(flag.find('=') + 1);
    const std::string inbox = jetstream::InboxPrefix("acme");
    absl::StatusOr<std::string> answer;
    // A server that reads its configuration goes over its connections a moment later.
    EXPECT_TRUE(WaitUntil([&] {
      answer = jetstream::AskNats(endpoint, {.subject = subject, .inbox_prefix = inbox},
                                  std::chrono::seconds(10));
      return answer.ok();
    })) << answer.status();
    return json::parse(answer.value_or("{}"), nullptr, false);
  }
  static bool Put(Client* client, const std::string& key) {
    pb::PutRequest put;
    put.set_key(key);
    put.set_value("value");
    return client->Call(put).ok();
  }

  const ScratchFolder scratch_{ScratchFolder::kOnDisk};
  const std::string& folder_ = scratch_.path();
  std::string jetd_;
  std::unique_ptr<NatsTestServer> server_;
};

// Everything that a client asks for through a follower and its leader.
void Exercise(Client* leader, Client* follower) {
  const auto watch = follower->OpenWatch();
  pb::WatchRequest create;
  create.mutable_create_request()->set_key("/w");
  watch->Send(create);
  ASSERT_TRUE(watch->Next(kFarTooLong).ok());
  pb::LeaseGrantRequest grant;
  grant.set_ttl(60);
  const auto lease = follower->Call(grant, kPatient);
  ASSERT_TRUE(lease.ok()) << lease.status();
  pb::PutRequest put;
  put.set_key("/w");
  put.set_value("of a follower");
  put.set_lease(lease->id());
  ASSERT_TRUE(follower->Call(put, kPatient).ok());
  const auto event = watch->Next(kFarTooLong);
  ASSERT_TRUE(event.ok()) << event.status();
  ASSERT_EQ(event->events_size(), 1);
  const auto keep = follower->OpenKeepAlive();
  pb::LeaseKeepAliveRequest beat;
  beat.set_id(lease->id());
  keep->Send(beat);
  ASSERT_TRUE(keep->Next(kFarTooLong).ok());
  pb::RangeRequest range;
  range.set_key("/w");
  for (Client* client : {leader, follower}) {
    const auto got = client->Call(range, kPatient);
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_EQ(got->kvs_size(), 1);
  }
  pb::LeaseRevokeRequest revoke;
  revoke.set_id(lease->id());
  ASSERT_TRUE(follower->Call(revoke, kPatient).ok());
  int64_t revision = 0;
  for (int i = 0; i < 100; ++i) {
    put.set_key("/history");
    put.set_lease(0);
    const auto done = leader->Call(put, kPatient);
    ASSERT_TRUE(done.ok()) << done.status();
    revision = done->header().revision();
  }
  pb::CompactionRequest compact;
  compact.set_revision(revision);
  const auto compacted = follower->Call(compact, kPatient);
  ASSERT_TRUE(compacted.ok()) << compacted.status();
}

TEST_P(TenantServerTest, AJetdNeedsNoMoreThanItsTenantMay) {
  for (const char* name : {"acme", "beta"}) {
    const Ran added = Tenant({"add", name, "--storage", "64MiB"});
    ASSERT_EQ(added.exit_code, kExitOk) << added.messages;
    EXPECT_THAT(added.results, HasSubstr(Cat("tenant ", name, ": added")));
    EXPECT_THAT(added.results, Not(HasSubstr("to do")));
  }
  auto leader = StartMember("one");
  auto follower = StartMember("two");
  auto to_leader = leader->Connect();
  auto to_follower = follower->Connect();
  ASSERT_TRUE(to_leader.ok() && to_follower.ok());
  Exercise(to_leader->get(), to_follower->get());
  if (HasFatalFailure()) return;
  // Removal of what was compacted.
  EXPECT_TRUE(WaitUntil([this] {
    const json info = Ask("$JS.API.STREAM.INFO.KV_acme");
    return info.contains("state") && info["state"].value("messages", 1000) < 60;
  }));
  const Ran check =
      Jetctl({"check", "--nats-url=" + server_->url(), CredentialsFlag("acme"), "--bucket=acme"});
  EXPECT_EQ(check.exit_code, kExitOk) << check.results << check.messages;
  const Ran shown = Tenant({"show", "acme", "--output=json"});
  ASSERT_EQ(shown.exit_code, kExitOk) << shown.messages;
  const json tenant = json::parse(shown.results, nullptr, false);
  EXPECT_EQ(tenant.value("storage_limit_bytes", 0), 64 << 20) << tenant;
  EXPECT_GT(tenant.value("storage_bytes", 0), 0) << tenant;
  EXPECT_EQ(tenant.value("streams", 0), 1) << tenant;

  // The lead goes to the other one.
  leader->Kill(ServerProcess::Scope::kTree);
  EXPECT_TRUE(WaitUntil([&] { return Put(to_follower->get(), "/after"); }));
  EXPECT_THAT(ServerLog(), Not(HasSubstr("Violation")));

  const Ran list = Tenant({"list"});
  EXPECT_EQ(list.exit_code, kExitOk) << list.messages;
  EXPECT_THAT(list.results, HasSubstr("acme    acme    64MiB    1        100        "));
  EXPECT_THAT(list.results, HasSubstr("beta"));
  // A server that is slow to answer has its uses left out.
  Ran uses;
  EXPECT_TRUE(WaitUntil([&] {
    uses = Tenant({"list", "--use", "--output=json"});
    const json tenants = json::parse(uses.results, nullptr, false);
    return tenants.size() == 2 && tenants[0].value("storage_bytes", 0) > 0 &&
           tenants[1].value("storage_bytes", -1) == 0;
  })) << uses.results
      << uses.messages;
}

TEST_P(TenantServerTest, LimitsAndCredentialsChangeUnderARunningJetd) {
  ASSERT_EQ(Tenant({"add", "acme", "--storage", "64MiB"}).exit_code, kExitOk);
  const auto jetd = StartMember("one");
  auto client = jetd->Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE(Put(client->get(), "/a"));
  const Ran limited = Tenant({"limit", "acme", "--storage", "32MiB"});
  ASSERT_EQ(limited.exit_code, kExitOk) << limited.messages;
  EXPECT_THAT(limited.results, HasSubstr("32MiB"));
  EXPECT_EQ(Ask("$JS.API.INFO")["limits"].value("max_storage", 0), 32 << 20);
  EXPECT_TRUE(WaitUntil([&] { return Put(client->get(), "/b"); })) << jetd->LogTail();

  // It reads its credentials again.
  const Ran rotated = Tenant({"rotate", "acme"});
  ASSERT_EQ(rotated.exit_code, kExitOk) << rotated.messages;
  EXPECT_TRUE(WaitUntil([&] { return Put(client->get(), "/c"); })) << jetd->LogTail();
  EXPECT_TRUE(jetd->running());

  const Ran removed = Tenant({"remove", "acme", "--yes"});
  ASSERT_EQ(removed.exit_code, kExitOk) << removed.messages;
  EXPECT_TRUE(WaitUntil([&] { return !Put(client->get(), "/d"); }));
  EXPECT_EQ(Tenant({"show", "acme"}).exit_code, kExitFailed);
}

TEST_P(TenantServerTest, TheAccountsLimitIsTheTenantsQuota) {
  ASSERT_EQ(Tenant({"add", "acme", "--storage", "16MiB"}).exit_code, kExitOk);
  const auto jetd = StartMember("one");
  auto client = jetd->Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  pb::PutRequest put;
  put.set_key("/large");
  put.set_value(std::string(512 << 10, 'v'));
  absl::Status refused;
  for (int i = 0; i < 100 && refused.ok(); ++i) refused = (*client)->Call(put, kPatient).status();
  EXPECT_THAT(refused.ToString(), HasSubstr("etcdserver: mvcc: database space exceeded"));
  ASSERT_EQ(Tenant({"limit", "acme", "--storage", "64MiB"}).exit_code, kExitOk);
  EXPECT_TRUE(WaitUntil([&] {
    const auto alarms = (*client)->Call(pb::AlarmRequest());
    if (!alarms.ok()) return false;
    for (const auto& raised : alarms->alarms()) {
      pb::AlarmRequest disarm;
      disarm.set_action(pb::AlarmRequest::DEACTIVATE);
      disarm.set_alarm(raised.alarm());
      disarm.set_memberid(raised.memberid());
      (void)(*client)->Call(disarm);
    }
    return Put(client->get(), "/after");
  })) << jetd->LogTail();
}

INSTANTIATE_TEST_SUITE_P(Kinds, TenantServerTest, ::testing::Values(Kind::kStatic, Kind::kOperator),
                         [](const auto& kind) {
                           return kind.param == Kind::kStatic ? "static" : "operator";
                         });

}  // namespace
}  // namespace jetd::cli
