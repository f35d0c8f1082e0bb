// SPDX-License-Identifier: Apache-2.0
//
// jetctl as it is typed: what it says of mistakes, its exit codes, and checks of a real jetd.
#include "cli/jetctl.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "cli/command_harness.h"
#include "etcdclient/client.h"
#include "etcdclient/testing/server_process.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;

// What is typed wrongly gets one line: what, and what to type instead.
TEST(JetctlTest, Mistakes) {
  unsetenv("JETD_DATA_DIR");
  unsetenv("JETD_NATS_URL");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "jetctl: name a command, see jetctl --help\n"},
      {{"chek"}, "jetctl: unknown command \"chek\"; did you mean jetctl check?\n"},
      {{"frobnicate"}, "jetctl: unknown command \"frobnicate\"; see jetctl --help\n"},
      {{"--bucket", "b"},
       "jetctl: unknown flag --bucket; name a command first, see jetctl --help\n"},
      {{"check", "--bukcet=b"}, "jetctl check: unknown flag --bukcet; did you mean --bucket?\n"},
      {{"check", "--xyzzy"}, "jetctl check: unknown flag --xyzzy; see jetctl check --help\n"},
      {{"check", "/var/lib/jetd"},
       "jetctl check: \"/var/lib/jetd\" is not a flag, and check takes flags only, see jetctl "
       "check --help\n"},
      {{"check", "--data-dir"},
       "jetctl check: --data-dir needs a value: --data-dir=VALUE; see jetctl check --help\n"},
      {{"check"},
       "jetctl check: where is the bucket? Give --data-dir, the folder of a jetd with a "
       "nats-server of its own, or --nats-url\n"},
      {{"check", "--data-dir=/a", "--nats-url=nats://b"},
       "jetctl check: --data-dir and --nats-url are two places; give one of them\n"},
      {{"check", "--nats-url=http://b"},
       "jetctl check: --nats-url: every URL must start with nats:// or tls://\n"},
      {{"check", "--nats-url=nats://b", "--bucket=a.b"},
       "jetctl check: --bucket: \"a.b\" is no name of a bucket; it takes letters, digits, - and "
       "_\n"},
      {{"check", "--nats-url=nats://b", "--nats-cert-file=c"},
       "jetctl check: --nats-cert-file and --nats-key-file go together\n"},
      {{"check", "--nats-url=nats://127.0.0.1:1", "--cacert=c"},
       "jetctl check: --cacert, --cert and --key are for --endpoint; give it\n"},
      {{"check", "--nats-url=nats://b", "--stream=a.b"},
       "jetctl check: --stream: \"a.b\" is no name of a stream; it takes letters, digits, - and "
       "_\n"},
      {{"get", "--data-dir=/a", "/k"},
       "jetctl get: --at says when: a revision, a time (2026-11-20T15:10:00Z), how long ago (10m), "
       "before:KEY, or now\n"},
      {{"get", "--data-dir=/a", "--at=7"},
       "jetctl get: name one key, or a --prefix (--prefix= for all keys)\n"},
      {{"get", "--data-dir=/a", "--at=7", "/k", "--prefix=/"},
       "jetctl get: name one key, or a --prefix (--prefix= for all keys)\n"},
      {{"get", "--data-dir=/a", "--at=yesterday", "/k"},
       "jetctl get: --at: \"yesterday\" is no point; give a revision (17), a time "
       "(2026-11-20T15:10:00Z), how long ago (10m, 1h30m), before:KEY for what was before that "
       "key's last change, "
       "before-deletion:KEY for what was before Kubernetes began to delete it, or now\n"},
      {{"get", "--data-dir=/a", "--at=7", "/k", "--print-value-only", "--output=json"},
       "jetctl get: --print-value-only and --output json exclude each other\n"},
      {{"get", "--data-dir=/a", "--at=7", "/k", "/l"},
       "jetctl get: \"/l\" is one name too many, see jetctl get --help\n"},
      {{"history", "--data-dir=/a"},
       "jetctl history: name one key, or a --prefix (--prefix= for all keys)\n"},
      {{"history", "--data-dir=/a", "/k", "--from=before:/k"},
       "jetctl history: --from takes a revision or a time\n"},
      {{"diff", "--data-dir=/a"},
       "jetctl diff: --from says from when: a revision, a time (2026-11-20T15:10:00Z), how long "
       "ago (10m), before:KEY, or now\n"},
      {{"points", "--data-dir=/a", "--mirror=hub"},
       "jetctl points: --mirror is for a bucket of --nats-url\n"},
      {{"points", "--nats-url=nats://b", "--mirror=hub/a.b"},
       "jetctl points: --mirror: \"hub/a.b\" is not DOMAIN, DOMAIN/STREAM or /STREAM\n"},
      {{"points"},
       "jetctl points: where is the bucket? Give --data-dir, the folder of a jetd with a "
       "nats-server of its own, or --nats-url\n"},
      {{"mirror"},
       "jetctl mirror: name what to do: add, list, status, verify, trim, remove or attend; see "
       "jetctl mirror --help\n"},
      {{"mirror", "verfy"},
       "jetctl mirror: unknown command \"verfy\"; did you mean jetctl mirror verify?\n"},
      {{"mirror", "list", "--domain=dr"},
       "jetctl mirror list: unknown flag --domain; see jetctl mirror list --help\n"},
      {{"mirror", "add", "--nats-url=nats://b"},
       "jetctl mirror add: which domain? Give --domain\n"},
      {{"mirror", "list", "--data-dir=/a"},
       "jetctl mirror list: mirrors are of buckets on a nats-server of others; give --nats-url\n"},
      {{"mirror", "attend", "--data-dir=/a"},
       "jetctl mirror attend: it stands beside the mirror's nats-server: give that one's URL by "
       "--nats-url, and no --nats-domain\n"},
      {{"mirror", "attend", "--nats-url=nats://b", "--nats-domain=dr"},
       "jetctl mirror attend: it stands beside the mirror's nats-server: give that one's URL by "
       "--nats-url, and no --nats-domain\n"},
      {{"mirror", "remove", "--nats-url=nats://b"},
       "jetctl mirror remove: this deletes records of the mirror for good; give --yes\n"},
      {{"mirror", "trim", "--nats-url=nats://b", "--horizon=soon", "--yes"},
       "jetctl mirror trim: --horizon takes a revision or a time like 2026-11-20T15:10:00Z, not "
       "\"soon\"\n"},
      {{"mirror", "add", "--nats-url=nats://b", "--domain=dr", "--cap", "many"},
       "jetctl mirror add: --cap: \"many\" is no whole number from 1 on; see jetctl mirror add "
       "--help\n"},
      {{"mirror", "add", "--nats-url=nats://b", "--domain=dr", "--replicas=7"},
       "jetctl mirror add: --replicas: \"7\" is no whole number from 1 to 5; see jetctl mirror "
       "add --help\n"},
      {{"mirror", "attend", "--nats-url=nats://b", "--json"},
       "jetctl mirror attend: unknown flag --json; see jetctl mirror attend --help\n"},
      {{"restore", "--data-dir=/a", "--to-revision", "-3", "--to-data-dir=/b"},
       "jetctl restore: --to-revision: \"-3\" is no whole number from 1 on; see jetctl restore "
       "--help\n"},
      {{"restore", "--data-dir=/a", "--to-revision=1x", "--to-data-dir=/b"},
       "jetctl restore: --to-revision: \"1x\" is no whole number from 1 on; see jetctl restore "
       "--help\n"},
      {{"import", "--from-snapshot=/a", "--to-bucket=b", "--to-replicas=0"},
       "jetctl import: --to-replicas: \"0\" is no whole number from 1 to 5; see jetctl import "
       "--help\n"},
      {{"promote", "--nats-url=nats://b", "--bump=99999999999999999999"},
       "jetctl promote: --bump: \"99999999999999999999\" is no whole number from 1 on; see jetctl "
       "promote --help\n"},
      {{"usage", "--metrics-url=http://a", "--nats-cpu-seconds=much"},
       "jetctl usage: --nats-cpu-seconds: \"much\" is no number of seconds, such as 17.5; see "
       "jetctl usage --help\n"},
      {{"help", "chek"}, "jetctl help: unknown command \"chek\"; did you mean jetctl check?\n"},
      {{"help", "mirror", "xyzzy"},
       "jetctl help: unknown command \"xyzzy\"; see jetctl mirror --help\n"},
      {{"mirror", "trim", "--nats-url=nats://b", "--horizon=5"},
       "jetctl mirror trim: this deletes records of the mirror for good; give --yes, or --dry-run "
       "to see what it would\n"},
      {{"check", "--data-dir=/a", "--output=xml"},
       "jetctl check: --output: \"xml\" is neither table nor json\n"},
      {{"check", "--data-dir=/a", "--output=table", "--json"},
       "jetctl check: --json and --output table: give one of them\n"},
      {{"get", "--data-dir=/a", "--at=7", "/k", "-o", "xml"},
       "jetctl get: --output: \"xml\" is neither table nor json\n"},
      {{"usage", "--metrics-url=http://a", "-o", "xml"},
       "jetctl usage: --output: \"xml\" is none of table, json and csv\n"},
      {{"usage", "--metrics-url=http://a", "--json", "--csv"},
       "jetctl usage: --json and --csv: give one of them\n"},
      {{"tenant", "list", "--state-dir=/a", "--output=csv"},
       "jetctl tenant list: --output: \"csv\" is neither table nor json\n"},
      {{"promote", "--data-dir=/a"},
       "jetctl promote: mirrors are on a nats-server of others; give --nats-url, of a server in "
       "the mirror's domain or one that reaches it\n"},
  };
  for (const auto& [arguments, line] : cases) {
    const Ran ran = Jetctl(arguments);
    EXPECT_EQ(ran.exit_code, kExitUsage) << line;
    EXPECT_EQ(ran.messages, line);
    EXPECT_EQ(ran.results, "");
  }
}

TEST(JetctlTest, WhatCannotBeDone) {
  const Ran folder = Jetctl({"check", "--data-dir=/nowhere/at/all"});
  EXPECT_EQ(folder.exit_code, kExitFailed);
  EXPECT_EQ(folder.messages,
            "jetctl check: /nowhere/at/all is no data folder of jetd: it holds no folder "
            "\"nats\"\n");
  const Ran creds = Jetctl({"check", "--nats-url=nats://127.0.0.1:1", "--nats-creds=/no/creds"});
  EXPECT_EQ(creds.exit_code, kExitFailed);
  EXPECT_NE(creds.messages.find("--nats-creds: "), std::string::npos) << creds.messages;
  const Ran token =
      Jetctl({"check", "--nats-url=nats://127.0.0.1:1", "--nats-token-file=/no/token"});
  EXPECT_EQ(token.exit_code, kExitFailed);
  EXPECT_NE(token.messages.find("--nats-token-file: "), std::string::npos) << token.messages;
}

// It ends, with one line and no log before it, and shows no empty table.
TEST(JetctlTest, NobodyAtTheUrl) {
  for (const char* command : {"check", "points"}) {
    testing::internal::CaptureStderr();
    const Ran ran = Jetctl({command, "--nats-url=nats://127.0.0.1:1"});
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
    EXPECT_EQ(ran.exit_code, kExitFailed);
    EXPECT_EQ(ran.messages,
              Cat("jetctl ", command, ": ", command == std::string("points") ? "origin: " : "",
                  "no connection to NATS within 10 s: cannot connect to nats://127.0.0.1:1: No "
                  "server available for connection\n"));
    EXPECT_EQ(ran.results, "");
  }
}

TEST(JetctlTest, OneSecretForNats) {
  const Ran two = Jetctl({"check", "--nats-url=nats://127.0.0.1:1", "--nats-creds=/no/creds",
                          "--nats-token-file=/no/token"});
  EXPECT_EQ(two.exit_code, kExitUsage);
  EXPECT_EQ(two.messages, "jetctl check: --nats-token-file and --nats-creds exclude each other\n");
  // A variable that was set for a jetd gives way to what is typed.
  setenv("JETD_NATS_NKEY", "/no/nkey", 1);
  const Ran typed = Jetctl({"check", "--nats-url=nats://127.0.0.1:1", "--nats-creds=/no/creds"});
  const Ran variable = Jetctl({"check", "--nats-url=nats://127.0.0.1:1"});
  unsetenv("JETD_NATS_NKEY");
  EXPECT_EQ(typed.exit_code, kExitFailed);
  EXPECT_NE(typed.messages.find("--nats-creds: "), std::string::npos) << typed.messages;
  EXPECT_NE(variable.messages.find("--nats-nkey: "), std::string::npos) << variable.messages;
  const Ran target =
      Jetctl({"import", "--from-snapshot=a", "--to-bucket=b", "--to-nats-url=nats://127.0.0.1:1",
              "--to-nats-nkey=/no/nkey", "--to-nats-token-file=/no/token"});
  EXPECT_EQ(target.exit_code, kExitUsage);
  EXPECT_EQ(target.messages,
            "jetctl import: --to-nats-token-file and --to-nats-nkey exclude each other\n");
}

// One way to ask for what programs read.
TEST(JetctlTest, EveryCommandHasTheSameOutputFlags) {
  for (const char* command :
       {"check",         "transactions", "points",        "get",           "history",
        "diff",          "restore",      "import",        "promote",       "usage",
        "mirror add",    "mirror list",  "mirror status", "mirror verify", "mirror trim",
        "mirror remove", "tenant add",   "tenant list",   "tenant show",   "tenant limit",
        "tenant rotate", "tenant remove"}) {
    std::vector<std::string> words = {command, "--help"};
    if (const size_t blank = words[0].find(' '); blank != std::string::npos) {
      words = {words[0].substr(0, blank), words[0].substr(blank + 1), "--help"};
    }
    const Ran ran = Jetctl(words);
    EXPECT_NE(ran.results.find("-o,--output"), std::string::npos) << command;
    EXPECT_NE(ran.results.find("--json"), std::string::npos) << command;
  }
}

// What no server need be asked about is said at once.
TEST(JetctlTest, WrongValues) {
  const std::string url = "--nats-url=nats://127.0.0.1:1";
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"check", "--nats-url=nats://"},
       "check: --nats-url: a URL names no host; write nats://host:4222"},
      {{"check", "--nats-url=nats://me:secret@h:x"},
       "check: --nats-url: \"h:x\" has no port from 1 to 65535; write nats://host:4222"},
      {{"check", url, "--nats-domain=a b"},
       "check: --nats-domain: \"a b\" is no name of a JetStream domain; it takes no blanks, dots, "
       "* and >"},
      {{"check", url, "--nats-api-prefix=a b"},
       "check: --nats-api-prefix: \"a b.\" is no beginning of subjects, such as $JS.hub.API"},
      {{"check", url, "--in-place"}, "check: --in-place is for --data-dir"},
      {{"check", url, "--endpoint=foo"},
       "check: --endpoint: endpoint foo is none of http://host:port, https://host:port, "
       "unix://path"},
      {{"points", url, "--mirror="},
       "points: --mirror: \"\" is not DOMAIN, DOMAIN/STREAM or /STREAM"},
      {{"points", url, "--mirror=a b"},
       "points: --mirror: \"a b\" is not DOMAIN, DOMAIN/STREAM or /STREAM"},
      {{"history", url, "/k", "--from=9", "--to=3"}, "history: --from 9 lies behind --to 3"},
      {{"restore", url, "--to-time=soon", "--to-bucket=b"},
       "restore: --to-time: \"soon\" is no time; give one (2026-11-20T15:10:00Z), or how long ago "
       "(10m, 1h30m)"},
      {{"restore", url, "--to-revision=3", "--in-place", "--endpoints=foo"},
       "restore: --endpoints: endpoint foo is none of http://host:port, https://host:port, "
       "unix://path"},
      {{"restore", url, "--to-revision=3", "--in-place", "--endpoints=,"},
       "restore: --in-place goes through the jetd that serves the store; give its --endpoints"},
      {{"restore", url, "--to-revision=3", "--to-bucket=b", "--cacert=/no"},
       "restore: --cacert, --cert and --key are for --in-place"},
      {{"mirror", "add", url, "--domain=a.b"},
       "mirror add: --domain: \"a.b\" is no name of a JetStream domain; it takes no blanks, dots, "
       "* and >"},
      {{"mirror", "add", url, "--domain=dr", "--name=a.b"},
       "mirror add: --name: \"a.b\" is no name of a mirror; it takes letters, digits, - and _"},
      {{"tenant", "init", "--state-dir=/no/dir", "--nats-url=foo"},
       "tenant init: --nats-url: every URL must start with nats:// or tls://"},
  };
  for (const auto& [arguments, line] : cases) {
    const Ran ran = Jetctl(arguments);
    EXPECT_EQ(ran.exit_code, kExitUsage) << line;
    EXPECT_EQ(ran.messages, Cat("jetctl ", line, "\n"));
  }
  // A key and a tenant may have the names of commands.
  EXPECT_EQ(Jetctl({"get", "check", "--at=0x", "--data-dir=/a"}).messages.substr(0, 25),
            "jetctl get: --at: \"0x\" is");
  EXPECT_EQ(Jetctl({"tenant", "show", "list", "--state-dir=/no"}).messages,
            "jetctl tenant show: no tenants are kept in /no: begin with `jetctl tenant init`\n");
  const Ran file = Jetctl({"usage", "--metrics-url=https://127.0.0.1:1", "--cacert=/no/ca"});
  EXPECT_EQ(file.exit_code, kExitFailed);
  EXPECT_EQ(file.messages,
            "jetctl usage: --cacert: cannot read /no/ca: No such file or directory\n");
}

// A script that takes its results for whole must not get a 0.
TEST(JetctlTest, ResultsThatCannotBeWritten) {
  std::FILE* const results = std::fopen("/dev/full", "w");
  std::FILE* const messages = std::tmpfile();
  JETD_CHECK(results != nullptr && messages != nullptr) << "no file";
  {
    Output output(results, messages);
    EXPECT_EQ(RunJetctl({"--help"}, &output), kExitFailed);
    EXPECT_TRUE(output.interrupted()->load()) << "nothing more need be read";
  }
  EXPECT_EQ(ReadAll(messages), "jetctl: cannot write the results: No space left on device\n");
  std::fclose(results);
  std::fclose(messages);
}

TEST(JetctlTest, Help) {
  const Ran help = Jetctl({"--help"});
  EXPECT_EQ(help.exit_code, kExitOk);
  for (const char* word : {"check", "mirror", "promote", "transactions", "points", "get", "history",
                           "diff", "Exit codes", "JETD_DATA_DIR"}) {
    EXPECT_NE(help.results.find(word), std::string::npos) << word;
  }
  const Ran check = Jetctl({"check", "--help"});
  EXPECT_EQ(check.exit_code, kExitOk);
  for (const char* word : {"--data-dir", "--endpoint", "Examples:", "--in-place"}) {
    EXPECT_NE(check.results.find(word), std::string::npos) << word;
  }
  EXPECT_EQ(Jetctl({"help"}).results, help.results);
  EXPECT_EQ(Jetctl({"help", "check"}).results, check.results);
  EXPECT_EQ(Jetctl({"help", "mirror", "trim"}).results,
            Jetctl({"mirror", "trim", "--help"}).results);
  EXPECT_EQ(Jetctl({"--version"}).results.substr(0, 7), "jetctl ");
}

class JetctlServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    const auto program = ServerProcess::Find(ServerKind::kJetd);
    if (!program.ok()) GTEST_SKIP() << "JETD_BIN names no jetd";
    // Most values in files, so that a clean stop leaves a checkpoint that refers to them.
    auto server = ServerProcess::Start({.program = *program, .flags = {"--value-cache-bytes=0"}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    ASSERT_TRUE(server_->WaitReady(std::chrono::seconds(60)).ok()) << server_->LogTail();
  }
  void Write(int first, int count) const {
    auto client = server_->Connect();
    ASSERT_TRUE(client.ok()) << client.status();
    for (int i = first; i < first + count; ++i) {
      etcdclient::pb::PutRequest put;
      put.set_key(Cat("/key/", i % 7));
      put.set_value(std::string(300, static_cast<char>('a' + i % 26)));
      ASSERT_TRUE((*client)->Call(put, {.timeout = std::chrono::seconds(60)}).ok());
    }
  }
  [[nodiscard]] std::string DataDir() const { return Cat("--data-dir=", server_->data_dir()); }

  std::unique_ptr<ServerProcess> server_;
};

TEST_F(JetctlServerTest, ChecksAJetdThatRuns) {
  Write(0, 60);
  {
    auto client = server_->Connect();
    etcdclient::pb::CompactionRequest compact;
    compact.set_revision(30);
    ASSERT_TRUE((*client)->Call(compact, {.timeout = std::chrono::seconds(60)}).ok());
  }
  const Ran ran = Jetctl({"check", DataDir(), Cat("--endpoint=", server_->endpoint())});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.results << ran.messages;
  EXPECT_NE(ran.results.find("the same: HashKV of http://"), std::string::npos) << ran.results;
  EXPECT_NE(ran.results.find("no damage\n"), std::string::npos) << ran.results;
  EXPECT_EQ(ran.messages, "");
  const Ran json = Jetctl({"check", DataDir(), "--json"});
  const auto report = nlohmann::json::parse(json.results, nullptr, false);
  ASSERT_TRUE(report.is_object()) << json.results;
  EXPECT_EQ(report["damages"], 0);
  EXPECT_EQ(report["keys"], 7);
  const Ran list = Jetctl({"transactions", DataDir(), "--keys-only"});
  EXPECT_EQ(list.exit_code, kExitOk) << list.messages;
  EXPECT_NE(list.results.find("put /key/3 "), std::string::npos);
}

TEST_F(JetctlServerTest, ChecksWhatKillsAndACleanStopLeave) {
  for (int round = 0; round < 3; ++round) {
    Write(round * 40, 40);
    server_->Kill(ServerProcess::Scope::kTree);
    const Ran ran = Jetctl({"check", DataDir()});
    EXPECT_EQ(ran.exit_code, kExitOk) << ran.results << ran.messages;
    EXPECT_NE(ran.results.find("a copy of "), std::string::npos) << ran.results;
    ASSERT_TRUE(server_->Restart().ok());
    ASSERT_TRUE(server_->WaitReady(std::chrono::seconds(60)).ok()) << server_->LogTail();
  }
  ASSERT_TRUE(server_->Stop(std::chrono::seconds(60)).ok());
  const Ran ran = Jetctl({"check", DataDir()});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.results << ran.messages;
  EXPECT_NE(ran.results.find("the same: the checkpoint in values/"), std::string::npos)
      << ran.results;
  ASSERT_TRUE(server_->Restart().ok());
  ASSERT_TRUE(server_->WaitReady(std::chrono::seconds(60)).ok()) << server_->LogTail();
  // The checkpoint was the copy's.
  EXPECT_NE(server_->LogTail(20'000).find("began at the checkpoint"), std::string::npos);
}

}  // namespace
}  // namespace jetd::cli
