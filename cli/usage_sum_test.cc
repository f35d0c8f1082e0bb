// SPDX-License-Identifier: Apache-2.0
#include "cli/usage_sum.h"

#include <cstdint>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using nlohmann::json;

json Member(const std::string& bucket, const std::string& cluster_id, int puts, int stored) {
  return {{"bucket", bucket},      {"cluster_id", cluster_id},  {"requests", {{"Put", puts}}},
          {"bytes_in", 10 * puts}, {"cpu_seconds", 0.5 * puts}, {"watch_seconds", 3600},
          {"stream_bytes", stored}};
}

TEST(UsageSumTest, BucketsOfOneNameAreNotOneTenant) {
  UsageSum sum;
  sum.Add(Member("etcd", "aa", 3, 405), nullptr);
  sum.Add(Member("etcd", "bb", 4, 405), nullptr);
  // Another member of the first: added up, and its storage is the same.
  sum.Add(Member("etcd", "aa", 10, 404), nullptr);
  sum.Add(Member("acme", "cc", 1, 7), nullptr);
  EXPECT_EQ(sum.ToCsv(),
            "tenant,cluster_id,requests,bytes_in,bytes_out,stored_bytes,cpu_seconds,watch_hours\n"
            "acme,cc,1,10,0,7,0.500,1.000\n"
            "etcd,aa,13,130,0,405,6.500,2.000\n"
            "etcd,bb,4,40,0,405,2.000,1.000\n");
  EXPECT_EQ(sum.ToText(),
            "tenant acme: 1 requests (1 Put), 10 bytes in, 0 bytes out, 7 bytes stored, 0.500 s of "
            "CPU, 1.000 watch hours\n"
            "tenant etcd (cluster aa): 13 requests (13 Put), 130 bytes in, 0 bytes out, 405 bytes "
            "stored, 6.500 s of CPU, 2.000 watch hours\n"
            "tenant etcd (cluster bb): 4 requests (4 Put), 40 bytes in, 0 bytes out, 405 bytes "
            "stored, 2.000 s of CPU, 1.000 watch hours\n");
  const json all = sum.ToJson();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1]["tenant"], "etcd");
  EXPECT_EQ(all[1]["cluster_id"], "aa");
  EXPECT_EQ(all[1]["requests"], json({{"Put", 13}}));
  EXPECT_EQ(all[1]["watch_hours"], 2);

  // An account's name tells one tenant alone.
  sum.AddNats({{"acme", 1.5}, {"etcd", 8}, {"SYS", 0.25}});
  EXPECT_EQ(sum.ToJson()[0]["nats_cpu_seconds"], 1.5);
  EXPECT_EQ(sum.ToJson()[1]["nats_cpu_seconds"], 0);
  EXPECT_EQ(sum.others_nats_cpu_seconds(), 8.25);
  EXPECT_NE(sum.ToCsv().find("watch_hours,nats_cpu_seconds\n"), std::string::npos);
  EXPECT_NE(sum.ToCsv().find("acme,cc,1,10,0,7,0.500,1.000,1.500\n"), std::string::npos);
}

TEST(UsageSumTest, CountsFromWhatWasSaidBefore) {
  UsageSum sum;
  const json before = Member("a", "1", 3, 5);
  sum.Add(Member("a", "1", 10, 6), &before);
  EXPECT_EQ(sum.ToJson()[0]["requests"], json({{"Put", 7}}));
  EXPECT_EQ(sum.ToJson()[0]["stored_bytes"], 6) << "what is there now";
  EXPECT_FALSE(sum.AddSince(before)) << "an older jetd";
  json now = Member("b", "2", 10, 6);
  now["since"] = Member("b", "2", 4, 0);
  EXPECT_TRUE(sum.AddSince(now));
  EXPECT_EQ(sum.ToJson()[1]["requests"], json({{"Put", 4}}));
  EXPECT_EQ(sum.ToJson()[1]["stored_bytes"], 6);
}

// Nobody checked what came over the network.
TEST(UsageSumTest, WhatIsNoNumberCountsAsNothing) {
  UsageSum sum;
  const json odd = {{"bucket", 7},
                    {"cluster_id", nullptr},
                    {"bytes_in", "many"},
                    {"requests", {{"Put", -3}, {"Txn", "x"}}},
                    {"cpu_seconds", {}}};
  sum.Add(odd, nullptr);
  const json none = {{"requests", "none"}};
  sum.Add(none, &odd);
  EXPECT_EQ(sum.ToJson()[0]["bytes_in"], 0);
  EXPECT_EQ(sum.ToJson()[0]["requests"], json::object());
}

TEST(UsageSumTest, WhatIsTooMuchIsTheMostThatFits) {
  UsageSum sum;
  const json odd = {{"bucket", "a"},
                    {"cluster_id", "1"},
                    {"bytes_in", 1e300},
                    {"bytes_out", -1e300},
                    {"stream_bytes", 18'446'744'073'709'551'616.0},
                    {"requests", {{"Put", 1e20}, {"Txn", 0.5}}}};
  sum.Add(odd, nullptr);
  const json used = sum.ToJson()[0];
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(used["bytes_in"], kMost);
  EXPECT_EQ(used["bytes_out"], 0);
  EXPECT_EQ(used["stored_bytes"], kMost);
  EXPECT_EQ(used["requests"]["Put"], kMost);
}

TEST(UsageSumTest, ARecordSpeaksAsAJetdDoes) {
  const UsageSample first{.owner = {"acme", "c", "m"},
                          .record = "r",
                          .began_ms = 1'000,
                          .number = 1,
                          .time_ms = 60'000,
                          .all = {.requests = {{"Put", 10}}, .bytes_in = 7}};
  UsageSample second = first;
  second.number = 2;
  second.time_ms = 120'000;
  second.all.requests["Put"] = 15;
  const json member = MemberOf(second, {first, second}, 60'000);
  EXPECT_EQ(member["record"], "r");
  EXPECT_EQ(member["requests"], json({{"Put", 15}}));
  EXPECT_EQ(member["since"]["requests"], json({{"Put", 5}}));
  EXPECT_EQ(member["since"]["from_seconds"], 60);
  EXPECT_FALSE(MemberOf(second, {first, second}, std::nullopt).contains("since"));
  UsageSum sum;
  EXPECT_TRUE(sum.AddSince(member));
  EXPECT_EQ(sum.ToCsv().find("tenant,"), 0U);
  EXPECT_NE(sum.ToCsv().find("\nacme,c,5,0,0,0,"), std::string::npos) << sum.ToCsv();
}

}  // namespace
}  // namespace jetd::cli
