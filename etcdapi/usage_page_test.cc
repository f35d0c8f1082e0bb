// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/usage_page.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/check.h"
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
  EXPECT_EQ(usage["kept"], false);
  EXPECT_FALSE(usage.contains("since"));
  f.stream.reset();
  EXPECT_FALSE(json::parse(UsagePage(f)).contains("stream_bytes"));
}

// Of a process before this one there is a record, with one sample at noon and one an hour later.
TEST(UsagePageTest, CountsWhatEarlierProcessesDidToo) {
  constexpr int64_t kNoon = 1'700'000'000'000;
  constexpr int64_t kHour = 3'600'000;
  std::string root = std::filesystem::temp_directory_path() / "jetd_usage_XXXXXX";
  JETD_CHECK(mkdtemp(root.data()) != nullptr) << root;
  const auto record = UsageRecord::Open(root, {"acme", "c", "m"}, kNoon - kHour);
  ASSERT_TRUE(record.ok()) << record.status();
  const UsageCounters first{.requests = {{"Put", 10}}, .bytes_in = 100, .cpu_seconds = 1};
  UsageCounters second = first;
  AddTo({.requests = {{"Put", 5}, {"Txn", 2}}, .bytes_in = 50, .cpu_seconds = 2}, &second);
  ASSERT_TRUE((*record)->Append(kNoon, first).ok());
  ASSERT_TRUE((*record)->Append(kNoon + kHour, second).ok());

  Figures f;
  f.process.cpu_seconds = 0.5;
  f.rpcs = {{.service = "etcdserverpb.KV", .method = "Put", .type = "unary", .started = 3}};
  f.usage = {.cluster_id = "c",
             .before = (*record)->newest(),
             .folder = (*record)->folder(),
             .now_ms = kNoon + 2 * kHour};
  const json all = json::parse(UsagePage(f));
  EXPECT_EQ(all["requests"], json({{"Put", 18}, {"Txn", 2}}));
  EXPECT_EQ(all["bytes_in"], 150);
  EXPECT_EQ(all["cpu_seconds"], 3.5);
  EXPECT_EQ(all["record"], (*record)->newest().record);
  EXPECT_EQ(all["cluster_id"], "c");
  EXPECT_EQ(all["began_seconds"], (kNoon - kHour) / 1'000);
  EXPECT_EQ(all["kept"], true);

  const json since = json::parse(UsagePage(f, kNoon))["since"];
  EXPECT_EQ(since["from_seconds"], kNoon / 1'000);
  EXPECT_EQ(since["requests"], json({{"Put", 8}, {"Txn", 2}}));
  EXPECT_EQ(since["bytes_in"], 50);
  EXPECT_EQ(since["cpu_seconds"], 2.5);
  EXPECT_EQ(json::parse(UsagePage(f, kNoon + kHour))["since"]["requests"], json({{"Put", 3}}));
  EXPECT_EQ(json::parse(UsagePage(f, 0))["since"]["from_seconds"], (kNoon - kHour) / 1'000);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace jetd::etcdapi
