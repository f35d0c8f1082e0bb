// SPDX-License-Identifier: Apache-2.0
//
// `jetctl usage` of a jetd that runs: what it says is what was asked of it.
#include "cli/usage_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
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
      {{}, "whose? Give --metrics-url, a --listen-metrics-urls of each jetd\n"},
      {{"--metrics-url=127.0.0.1:1"},
       "--metrics-url: \"127.0.0.1:1\" is neither http://host:port nor https://host:port\n"},
      {{"--metrics-url=http://a:1", "--json", "--csv"}, "--json and --csv: give one of them\n"},
      {{"--metrics-url=https://a:1", "--cert=x"}, "--cert and --key go together\n"},
      {{"--metrics-url=http://a:1", "--nats-cpu-seconds=1"},
       "--nats-monitor-url and --nats-cpu-seconds go together\n"},
  };
  for (const auto& [arguments, line] : cases) {
    const Ran ran = Usage(arguments);
    EXPECT_EQ(ran.exit_code, kExitUsage) << line;
    EXPECT_EQ(ran.messages, "jetctl usage: " + line);
  }
  const Ran nobody = Usage({"--metrics-url=http://127.0.0.1:1"});
  EXPECT_EQ(nobody.exit_code, kExitFailed);
  EXPECT_EQ(nobody.messages, "jetctl usage: --metrics-url: http://127.0.0.1:1 does not answer\n");
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

  auto client = (*server)->Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  for (int i = 0; i < 200; ++i) {
    pb::PutRequest put;
    put.set_key(Cat("k", i));
    put.set_value(std::string(1000, 'v'));
    ASSERT_TRUE((*client)->Call(put).ok());
  }
  const auto watch = (*client)->OpenWatch();
  pb::WatchRequest create;
  create.mutable_create_request()->set_key("k1");
  watch->Send(create);
  ASSERT_TRUE(watch->Next(std::chrono::seconds(60)).ok());

  const double cpu_before = CpuSeconds((*server)->pid());
  const Ran all = Usage({"--metrics-url", url, "--json"});
  const double cpu_after = CpuSeconds((*server)->pid());
  ASSERT_EQ(all.exit_code, kExitOk) << all.messages;
  const json whole = json::parse(all.results)["tenants"]["acme"];
  // The page counts in finer steps than /proc's.
  EXPECT_GE(whole["cpu_seconds"].get<double>(), cpu_before - 0.03) << whole;
  EXPECT_LE(whole["cpu_seconds"].get<double>(), cpu_after + 0.03) << whole;

  const Ran since = Usage({"--metrics-url", url, "--since", earlier, "--json"});
  ASSERT_EQ(since.exit_code, kExitOk) << since.messages;
  const json use = json::parse(since.results)["tenants"]["acme"];
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
  EXPECT_THAT(csv.results, HasSubstr("tenant,requests,bytes_in,"));
  EXPECT_THAT(csv.results, HasSubstr("\nacme,"));

  // Another process counts from its own start.
  ASSERT_TRUE((*server)->Restart().ok());
  ASSERT_TRUE((*server)->WaitReady(std::chrono::seconds(60)).ok()) << (*server)->LogTail();
  const Ran anew = Usage({"--metrics-url", url, "--since", earlier, "--json"});
  ASSERT_EQ(anew.exit_code, kExitOk) << anew.messages;
  EXPECT_FALSE(json::parse(anew.results)["tenants"]["acme"]["requests"].contains("Put"));
  const Ran bad = Usage({"--metrics-url", url, "--since", (*server)->log_path()});
  EXPECT_EQ(bad.exit_code, kExitFailed);
  EXPECT_THAT(bad.messages, HasSubstr("is no output of jetctl usage --json"));
}

}  // namespace
}  // namespace jetd::cli
