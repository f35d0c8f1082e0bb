// SPDX-License-Identifier: Apache-2.0
//
// `jetctl usage` of a jetd that runs: what it says is what was asked of it.
#include "cli/usage_command.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
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
#include "base/testing/free_port.h"
#include "base/testing/scratch_folder.h"
#include "base/usage_record.h"
#include "cli/command_harness.h"
#include "etcdclient/client.h"
#include "etcdclient/testing/server_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_server.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

namespace pb = etcdclient::pb;
using etcdclient::ServerKind;
using etcdclient::ServerProcess;
using nlohmann::json;
using ::testing::HasSubstr;

Ran Usage(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "usage");
  return Jetctl(arguments);
}

TEST(UsageCommandTest, Mistakes) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "whose? Give --metrics-url, where each jetd serves /metrics\n"},
      {{"--metrics-url=127.0.0.1:1"},
       "--metrics-url: \"127.0.0.1:1\" is neither http://host:port nor https://host:port\n"},
      {{"--metrics-url=http://a:1", "--json", "--csv"}, "--json and --csv: give one of them\n"},
      {{"--metrics-url=https://a:1", "--cert=x"}, "--cert and --key go together\n"},
      {{"--metrics-url=http://a:1", "--nats-cpu-seconds=1"},
       "--nats-monitor-url and --nats-cpu-seconds go together\n"},
      {{"--metrics-url=http://a:1", "--since=monday.json"},
       "--since: \"monday.json\" is no file that is there, and no time such as "
       "2026-11-20T15:10:00Z or 24h\n"},
      {{"--metrics-url=http://a:1", "--since=1h", "--nats-cpu-seconds=1",
        "--nats-monitor-url=http://a:2"},
       "--nats-monitor-url: nats-server keeps no record; give --since an earlier --json\n"},
  };
  for (const auto& [arguments, line] : cases) {
    const Ran ran = Usage(arguments);
    EXPECT_EQ(ran.exit_code, kExitUsage) << line;
    EXPECT_EQ(ran.messages, "jetctl usage: " + line);
  }
  const Ran nobody = Usage({"--metrics-url=http://127.0.0.1:1"});
  EXPECT_EQ(nobody.exit_code, kExitFailed);
  EXPECT_EQ(nobody.messages, "jetctl usage: --metrics-url: http://127.0.0.1:1 does not answer\n");
  const Ran empty = Usage({"--data-dir=/nowhere"});
  EXPECT_EQ(empty.exit_code, kExitFailed);
  EXPECT_EQ(empty.messages,
            "jetctl usage: --data-dir: there is no record of usage in /nowhere/usage\n");
}

// The one tenant that an answer is of.
json TenantOf(const Ran& ran) {
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.messages;
  const json whole = json::parse(ran.results, nullptr, false);
  JETD_CHECK(whole.is_object() && whole["tenants"].size() == 1) << ran.results;
  return whole["tenants"][0];
}

// Data folders of jetds that do not run, with nothing in them but their records.
class UsageFoldersTest : public ::testing::Test {
 protected:
  // A member's sample: `puts` since its record began.
  void Append(const std::string& folder, const std::string& member, uint64_t puts,
              int64_t began_ms = 1'000) const {
    const auto record =
        UsageRecord::Open(Cat(root_, "/", folder, "/usage"), {"acme", "c", member}, began_ms);
    ASSERT_TRUE(record.ok()) << record.status();
    const UsageCounters all{.requests = {{"Put", puts}}, .cpu_seconds = static_cast<double>(puts)};
    ASSERT_TRUE((*record)->Append(2'000, all).ok());
  }
  [[nodiscard]] std::string Of(const std::vector<std::string>& folders) const {
    std::string flag = "--data-dir=";
    for (const std::string& folder : folders) {
      CatTo(flag, flag.back() == '=' ? "" : ",", root_, "/", folder);
    }
    return flag;
  }
  [[nodiscard]] std::string Write(const std::string& name, const std::string& text) const {
    std::string path = Cat(root_, "/", name);
    std::ofstream(path) << text;
    return path;
  }

  const ScratchFolder scratch_;
  const std::string& root_ = scratch_.path();
};

TEST_F(UsageFoldersTest, ARecordIsCountedOnce) {
  Append("a", "m", 10);
  std::filesystem::copy(root_ + "/a", root_ + "/copy", std::filesystem::copy_options::recursive);
  Append("a", "m", 15);
  Append("b", "n", 100);
  const Ran once = Usage({Of({"a", "b"}), "--json"});
  EXPECT_EQ(TenantOf(once)["requests"]["Put"], 115);
  EXPECT_EQ(once.messages, "");
  const Ran twice = Usage({Of({"a", "a/", "b"}), "--json"});
  EXPECT_EQ(TenantOf(twice)["requests"]["Put"], 115);
  EXPECT_THAT(twice.messages, HasSubstr("are one member: counted once\n"));
  // Of a copy the one that went on, whatever comes first.
  EXPECT_EQ(TenantOf(Usage({Of({"copy", "a"}), "--json"}))["requests"]["Put"], 15);
  EXPECT_EQ(TenantOf(Usage({Of({"a", "copy"}), "--json"}))["requests"]["Put"], 15);
}

TEST_F(UsageFoldersTest, SaysWhatAnEarlierFileDoesNotKnow) {
  Append("a", "m", 10);
  const Ran monday = Usage({Of({"a"}), "--json"});
  const std::string file = Write("monday.json", monday.results);
  Append("a", "m", 15);
  Append("forgotten", "n", 100);
  // One that began later is new, and nothing is missing of it.
  Append("new", "o", 1'000, 4'000'000'000'000);
  const Ran known = Usage({Of({"a", "new"}), "--json", "--since", file});
  EXPECT_EQ(TenantOf(known)["requests"]["Put"], 1'005);
  EXPECT_EQ(known.messages, "");
  const Ran ran = Usage({Of({"a", "forgotten", "new"}), "--json", "--since", file});
  EXPECT_EQ(TenantOf(ran)["requests"]["Put"], 1'105);
  EXPECT_EQ(ran.messages, Cat("jetctl usage: tenant acme, ", root_, "/forgotten/usage/c-n: not in ",
                              file, ", so counted from its beginning, 1970-01-01T00:00:01Z\n"));
  // Of an older jetctl, which kept no time.
  json older = json::parse(monday.results);
  older.erase("asked_seconds");
  const Ran unknown = Usage({Of({"new"}), "--since", Write("older.json", older.dump())});
  EXPECT_THAT(unknown.messages, HasSubstr("so counted from its beginning"));
  // Of one older still, which knew no records: what would be counted twice.
  older["members"].begin().value().erase("record");
  const Ran refused = Usage({Of({"a"}), "--since", Write("oldest.json", older.dump())});
  EXPECT_EQ(refused.exit_code, kExitFailed);
  EXPECT_THAT(refused.messages, HasSubstr("names no record there: it is of an older jetctl"));
}

void PutKeys(ServerProcess* server, int count) {
  auto client = server->Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  for (int i = 0; i < count; ++i) {
    pb::PutRequest put;
    put.set_key(Cat("k", i));
    put.set_value(std::string(1000, 'v'));
    ASSERT_TRUE((*client)->Call(put, {.timeout = std::chrono::seconds(60)}).ok());
  }
}

// User and system time of a process, in seconds.
double CpuSeconds(pid_t pid) {
  std::ifstream file(Cat("/proc/", pid, "/stat"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  unsigned long user = 0;
  unsigned long system = 0;
  JETD_CHECK(std::sscanf(text.c_str() + text.rfind(')'),
                         ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                         &system) == 2);
  return static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

TEST(UsageCommandTest, SaysWhatWasAskedOfAJetd) {
  log::Init({.level = log::Level::kError});
  const auto program = ServerProcess::Find(ServerKind::kJetd);
  if (!program.ok()) GTEST_SKIP() << "JETD_BIN names no jetd";
  const std::string url = Cat("http://127.0.0.1:", FreePort());
  auto server = ServerProcess::Start(
      {.program = *program, .flags = {"--bucket=acme", "--listen-metrics-urls=" + url}});
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_TRUE((*server)->WaitReady(std::chrono::seconds(60)).ok()) << (*server)->LogTail();
  const Ran first = Usage({"--metrics-url", url, "--json"});
  ASSERT_EQ(first.exit_code, kExitOk) << first.messages;
  const std::string earlier = (*server)->data_dir() + "/earlier.json";
  std::ofstream(earlier) << first.results;

  PutKeys(server->get(), 200);
  auto client = (*server)->Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  const auto watch = (*client)->OpenWatch();
  pb::WatchRequest create;
  create.mutable_create_request()->set_key("k1");
  watch->Send(create);
  ASSERT_TRUE(watch->Next(std::chrono::seconds(60)).ok());

  const double cpu_before = CpuSeconds((*server)->pid());
  const Ran all = Usage({"--metrics-url", url, "--json"});
  const double cpu_after = CpuSeconds((*server)->pid());
  ASSERT_EQ(all.exit_code, kExitOk) << all.messages;
  const json whole = TenantOf(all);
  EXPECT_EQ(whole["tenant"], "acme");
  // The page counts in finer steps than /proc's.
  EXPECT_GE(whole["cpu_seconds"].get<double>(), cpu_before - 0.03) << whole;
  EXPECT_LE(whole["cpu_seconds"].get<double>(), cpu_after + 0.03) << whole;

  const Ran since = Usage({"--metrics-url", url, "--since", earlier, "--json"});
  const json use = TenantOf(since);
  EXPECT_EQ(use["requests"]["Put"], 200) << use;
  EXPECT_EQ(use["requests"]["Watch"], 1) << use;
  EXPECT_GT(use["bytes_in"].get<double>(), 200 * 1000) << use;
  EXPECT_LT(use["bytes_in"].get<double>(), 200 * 1100) << use;
  EXPECT_GT(use["stored_bytes"].get<double>(), 200 * 1000) << use;
  EXPECT_GT(use["watch_hours"].get<double>(), 0) << use;
  EXPECT_LT(use["cpu_seconds"].get<double>(), whole["cpu_seconds"].get<double>()) << use;

  const Ran text = Usage({"--metrics-url", url, "--since", earlier});
  EXPECT_THAT(text.results, HasSubstr("tenant acme: "));
  EXPECT_THAT(text.results, HasSubstr("200 Put"));
  const Ran csv = Usage({"--metrics-url", url, "--csv"});
  EXPECT_THAT(csv.results, HasSubstr("tenant,cluster_id,requests,bytes_in,"));
  EXPECT_THAT(csv.results, HasSubstr("\nacme,"));

  const Ran bad = Usage({"--metrics-url", url, "--since", (*server)->log_path()});
  EXPECT_EQ(bad.exit_code, kExitFailed);
  EXPECT_THAT(bad.messages, HasSubstr("is no output of jetctl usage --json"));
}

// Processes that end in every way, asked while one runs and after the last.
TEST(UsageCommandTest, CountsWhatProcessesUsedThatAreGone) {
  log::Init({.level = log::Level::kError});
  const auto program = ServerProcess::Find(ServerKind::kJetd);
  if (!program.ok()) GTEST_SKIP() << "JETD_BIN names no jetd";
  const std::string url = Cat("http://127.0.0.1:", FreePort());
  auto started = ServerProcess::Start(
      {.program = *program, .flags = {"--bucket=acme", "--listen-metrics-urls=" + url}});
  ASSERT_TRUE(started.ok()) << started.status();
  ServerProcess* const server = started->get();
  const auto ready = [&] {
    ASSERT_TRUE(server->WaitReady(std::chrono::seconds(60)).ok()) << server->LogTail();
  };
  ready();
  PutKeys(server, 30);
  const Ran first = Usage({"--metrics-url", url, "--json"});
  EXPECT_EQ(TenantOf(first)["requests"]["Put"], 30);
  const std::string earlier = server->data_dir() + "/earlier.json";
  std::ofstream(earlier) << first.results;
  PutKeys(server, 20);
  // A clean stop keeps all of it.
  ASSERT_TRUE(server->Stop(std::chrono::seconds(60)).ok()) << server->LogTail();
  ASSERT_TRUE(server->Restart().ok());
  ready();
  PutKeys(server, 5);
  EXPECT_EQ(TenantOf(Usage({"--metrics-url", url, "--json"}))["requests"]["Put"], 55);
  EXPECT_EQ(
      TenantOf(Usage({"--metrics-url", url, "--json", "--since", earlier}))["requests"]["Put"], 25);
  const json hour = TenantOf(Usage({"--metrics-url", url, "--json", "--since=1h"}));
  EXPECT_EQ(hour["requests"]["Put"], 55);
  EXPECT_GT(hour["cpu_seconds"].get<double>(), 0);
  const Ran ahead = Usage({"--metrics-url", url, "--json", "--since=2100-01-01T00:00:00Z"});
  EXPECT_FALSE(TenantOf(ahead)["requests"].contains("Put"));
  // It says where its knowledge begins.
  EXPECT_THAT(Usage({"--metrics-url", url, "--since=24h"}).messages,
              HasSubstr(Cat("tenant acme, ", url, ": counted from ")));
  // What a kill loses is at most what a minute held, and never what was kept before.
  server->Kill(ServerProcess::Scope::kProcess);
  ASSERT_TRUE(server->Restart().ok());
  ready();
  const int kept = TenantOf(Usage({"--metrics-url", url, "--json"}))["requests"]["Put"].get<int>();
  EXPECT_GE(kept, 50);
  EXPECT_LE(kept, 55);
  // Of one that does not run, with and without one that does.
  const std::vector<std::string> both = {"--metrics-url", url, "--data-dir", server->data_dir(),
                                         "--json"};
  EXPECT_EQ(TenantOf(Usage(both))["requests"]["Put"], kept) << "its record is one and the same";
  ASSERT_TRUE(server->Stop(std::chrono::seconds(60)).ok()) << server->LogTail();
  const json gone = TenantOf(Usage({"--data-dir", server->data_dir(), "--json", "--since=1h"}));
  EXPECT_EQ(gone["tenant"], "acme");
  EXPECT_EQ(gone["requests"]["Put"], kept);
}

// What was in the way at the start is gone by the end: nothing is lost.
TEST(UsageCommandTest, SaysWhatIsNotKept) {
  log::Init({.level = log::Level::kError});
  const auto program = ServerProcess::Find(ServerKind::kJetd);
  if (!program.ok()) GTEST_SKIP() << "JETD_BIN names no jetd";
  const ScratchFolder scratch(ScratchFolder::kOnDisk);
  const std::string& folder = scratch.path();
  const std::string in_the_way = folder + "/usage";
  std::ofstream(in_the_way) << "a file";
  const std::string url = Cat("http://127.0.0.1:", FreePort());
  {
    const auto server =
        ServerProcess::Start({.program = *program,
                              .flags = {"--bucket=acme", "--listen-metrics-urls=" + url},
                              .data_dir = folder});
    ASSERT_TRUE(server.ok()) << server.status();
    ASSERT_TRUE((*server)->WaitReady(std::chrono::seconds(60)).ok()) << (*server)->LogTail();
    PutKeys(server->get(), 7);
    const Ran ran = Usage({"--metrics-url", url, "--json"});
    EXPECT_EQ(TenantOf(ran)["requests"]["Put"], 7);
    EXPECT_EQ(ran.messages, Cat("jetctl usage: tenant acme, ", url,
                                ": keeps no record, what it used is lost when it ends\n"));
    std::filesystem::remove(in_the_way);
    ASSERT_TRUE((*server)->Stop(std::chrono::seconds(60)).ok()) << (*server)->LogTail();
  }
  const Ran gone = Usage({"--data-dir", folder, "--json"});
  EXPECT_EQ(TenantOf(gone)["requests"]["Put"], 7);
}

}  // namespace
}  // namespace jetd::cli
