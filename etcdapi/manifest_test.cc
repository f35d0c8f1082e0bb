// SPDX-License-Identifier: Apache-2.0
//
// The static pod that deploy/kubernetes has: jetd takes its arguments without a word, its probes
// ask where jetd answers, and its stop is given the time that the units give it.
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "etcdapi/flags.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> LinesOf(const std::string& name) {
  const char* folder = std::getenv("JETD_DEPLOY");
  std::ifstream file((folder == nullptr ? "" : folder) + name);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// What stands behind "- " and begins with two dashes, with $(NODE) as kubelet fills it in.
std::vector<std::string> ArgumentsIn(const std::vector<std::string>& lines) {
  std::vector<std::string> arguments;
  for (const std::string& line : lines) {
    const size_t dash = line.find_first_not_of(' ');
    if (dash == line.npos || line.compare(dash, 4, "- --") != 0) continue;
    std::string argument = line.substr(dash + 2);
    const size_t node = argument.find("$(NODE)");
    if (node != argument.npos) argument.replace(node, 7, "cp-1");
    arguments.push_back(argument);
  }
  return arguments;
}

size_t CountOf(const std::vector<std::string>& lines, const std::string& text) {
  size_t count = 0;
  for (const std::string& line : lines) count += line.find(text) == line.npos ? 0 : 1;
  return count;
}

TEST(ManifestTest, TheStaticPodStartsJetd) {
  const std::vector<std::string> lines = LinesOf("/kubernetes/jetd-pod.yaml");
  ASSERT_FALSE(lines.empty()) << "JETD_DEPLOY names no folder with kubernetes/jetd-pod.yaml";
  const ParsedFlags parsed = ParseFlags(ArgumentsIn(lines));
  ASSERT_TRUE(parsed.config.has_value()) << parsed.error;
  EXPECT_THAT(parsed.config->warnings, IsEmpty());
  EXPECT_EQ(parsed.config->name, "cp-1");
  EXPECT_THAT(parsed.config->nats.urls, ElementsAre(HasSubstr("tls://")));
  ASSERT_EQ(parsed.config->listen_client_urls.size(), 1U);
  EXPECT_EQ(parsed.config->listen_client_urls[0].address, "127.0.0.1:2379");
  ASSERT_EQ(parsed.config->listen_metrics_urls.size(), 1U);
  EXPECT_EQ(parsed.config->listen_metrics_urls[0].address, "127.0.0.1:2381");
  EXPECT_EQ(CountOf(lines, "httpGet: {host: 127.0.0.1, port: 2381, path: /"), 3U);
  EXPECT_EQ(CountOf(lines, "terminationGracePeriodSeconds: 90"), 1U);
  EXPECT_EQ(CountOf(lines, "readOnlyRootFilesystem: true"), 1U);
  EXPECT_EQ(CountOf(lines, "runAsUser: 10001"), 1U);
}

TEST(ManifestTest, StopsAreGivenTheSameTimeEverywhere) {
  EXPECT_EQ(
      CountOf(LinesOf("/kubernetes/etcd+strategic.yaml"), "terminationGracePeriodSeconds: 90"), 1U);
  for (const char* unit : {"/systemd/jetd.service", "/systemd/jetd@.service"}) {
    EXPECT_EQ(CountOf(LinesOf(unit), "TimeoutStopSec=90"), 1U) << unit;
  }
}

}  // namespace
}  // namespace jetd::etcdapi
