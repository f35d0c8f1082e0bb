// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/first_steps.h"

#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

std::string CommandFor(const std::vector<std::string>& urls, const std::string& etcdctl) {
  Config config;
  for (const std::string& url : urls) config.listen_client_urls.push_back(*ParseListenUrl(url));
  return FirstCommand(config, etcdctl);
}

TEST(FirstCommandTest, CanBePasted) {
  EXPECT_EQ(CommandFor({"http://127.0.0.1:2379"}, ""),
            "etcdctl --endpoints=http://127.0.0.1:2379 put greeting hello");
  EXPECT_EQ(CommandFor({"http://127.0.0.1:2379"}, "/a folder/etcdctl"),
            "'/a folder/etcdctl' --endpoints=http://127.0.0.1:2379 put greeting hello");
  EXPECT_EQ(CommandFor({"http://[::1]:1"}, "/it's/etcdctl"),
            "'/it'\\''s/etcdctl' --endpoints='http://[::1]:1' put greeting hello");
  EXPECT_EQ(CommandFor({"unix:///run/jetd.sock"}, ""),
            "etcdctl --endpoints=unix:///run/jetd.sock put greeting hello");
}

TEST(FirstCommandTest, WantsNoCertificate) {
  EXPECT_EQ(CommandFor({"https://127.0.0.1:1", "http://127.0.0.1:2"}, "c"),
            "c --endpoints=http://127.0.0.1:2 put greeting hello");
  EXPECT_EQ(CommandFor({"https://127.0.0.1:1"}, "c"), "");
}

}  // namespace
}  // namespace jetd::etcdapi
