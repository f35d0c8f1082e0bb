// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/usage_page.h"

#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace jetd::etcdapi {
namespace {

using nlohmann::json;

TEST(UsagePageTest, CountsWhatATenantAskedFor) {
  Figures f;
  f.log.bucket = "acme";
  f.process.cpu_seconds = 1.5;
  f.watches.watch_seconds = 7'200;
  f.stream.emplace();
  f.stream->bytes = 4096;
  f.rpcs = {{.service = "etcdserverpb.KV", .method = "Put", .type = "unary", .started = 3},
            {.service = "etcdserverpb.KV", .method = "Txn", .type = "unary"},
            {.service = "etcdserverpb.Watch",
             .method = "Watch",
             .type = "bidi_stream",
             .started = 1,
             .received = 5},
            {.service = "grpc.health.v1.Health", .method = "Check", .type = "unary", .started = 9}};
  f.rpcs[0].bytes_received = 100;
  f.rpcs[3].bytes_received = 1;
  f.rpcs[2].bytes_sent = 50;
  const json usage = json::parse(UsagePage(f));
  EXPECT_EQ(usage["bucket"], "acme");
  EXPECT_EQ(usage["requests"], json({{"Put", 3}, {"Watch", 5}}));
  EXPECT_EQ(usage["bytes_in"], 101) << "all that /metrics counts";
  EXPECT_EQ(usage["bytes_out"], 50);
  EXPECT_EQ(usage["cpu_seconds"], 1.5);
  EXPECT_EQ(usage["watch_seconds"], 7'200);
  EXPECT_EQ(usage["stream_bytes"], 4096);
  f.stream.reset();
  EXPECT_FALSE(json::parse(UsagePage(f)).contains("stream_bytes"));
}

}  // namespace
}  // namespace jetd::etcdapi
