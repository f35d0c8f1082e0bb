// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_place.h"

#include <string>

#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

std::string UrlText(const std::string& url) {
  return std::string(MessageOf(CheckNatsUrl("--u", url)));
}

TEST(NatsPlaceTest, Urls) {
  for (const char* url : {"nats://n1", "nats://n1:4222", "tls://n1:1/", "nats://me:se@cret@n1:4222",
                          "nats://[::1]", "nats://[::1]:4333", "nats://token@10.0.0.1:65535"}) {
    EXPECT_EQ(UrlText(url), "") << url;
  }
  EXPECT_EQ(UrlText("http://n1"), "--u: every URL must start with nats:// or tls://");
  EXPECT_EQ(UrlText("nats://"), "--u: a URL names no host; write nats://host:4222");
  EXPECT_EQ(UrlText("nats://:4222"), "--u: a URL names no host; write nats://host:4222");
  for (const char* port : {"x", "0", "65536", "-1", "42 22"}) {
    EXPECT_EQ(UrlText(Cat("nats://me:secret@n1:", port)),
              Cat("--u: \"n1:", port, "\" has no port from 1 to 65535; write nats://host:4222"));
  }
}

TEST(NatsPlaceTest, Domains) {
  for (const char* domain : {"", "hub", "a-b_C1"}) EXPECT_TRUE(CheckDomain("--d", domain).ok());
  for (const char* domain : {"a b", "a.b", "*", ">", "a\n"}) {
    EXPECT_EQ(MessageOf(CheckDomain("--d", domain)),
              Cat("--d: \"", domain,
                  "\" is no name of a JetStream domain; it takes no blanks, dots, * and >"));
  }
}

}  // namespace
}  // namespace jetd::jetstream
