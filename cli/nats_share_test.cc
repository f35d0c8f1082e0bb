// SPDX-License-Identifier: Apache-2.0
#include "cli/nats_share.h"

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

TEST(NatsShareTest, HalfByMessagesHalfByBytes) {
  const NatsWork work{.start = "a",
                      .cpu_seconds = 10,
                      .accounts = {{"many", {.messages = 900, .bytes = 1'000}},
                                   {"large", {.messages = 100, .bytes = 3'000}},
                                   {"$SYS", {}}}};
  const auto parts = DivideCpu(work);
  EXPECT_DOUBLE_EQ(parts.at("many"), 10 * (0.9 + 0.25) / 2);
  EXPECT_DOUBLE_EQ(parts.at("large"), 10 * (0.1 + 0.75) / 2);
  EXPECT_DOUBLE_EQ(parts.at("$SYS"), 0);
  double sum = 0;
  for (const auto& [name, part] : parts) sum += part;
  EXPECT_DOUBLE_EQ(sum, 10);
  EXPECT_TRUE(DivideCpu({.start = "a", .cpu_seconds = 10, .accounts = {{"idle", {}}}}).empty());
}

TEST(NatsShareTest, WhatCameAfter) {
  const NatsWork earlier{
      .start = "a",
      .cpu_seconds = 4,
      .accounts = {{"t", {.messages = 10, .bytes = 100}}, {"anew", {.messages = 50, .bytes = 60}}}};
  const NatsWork now{.start = "a",
                     .cpu_seconds = 9,
                     .accounts = {{"t", {.messages = 30, .bytes = 150}},
                                  {"anew", {.messages = 5, .bytes = 6}},
                                  {"new", {.messages = 1, .bytes = 2}}}};
  // What a file has kept is the same.
  const NatsWork passed = Since(now, NatsWorkOf(ToJson(earlier)));
  EXPECT_EQ(passed.cpu_seconds, 5);
  EXPECT_EQ(passed.accounts.at("t").messages, 20);
  EXPECT_EQ(passed.accounts.at("t").bytes, 50);
  EXPECT_EQ(passed.accounts.at("anew").messages, 5);
  EXPECT_EQ(passed.accounts.at("new").bytes, 2);
  NatsWork again = now;
  again.start = "b";
  EXPECT_EQ(Since(again, earlier).cpu_seconds, 9);
  EXPECT_EQ(Since(again, earlier).accounts.at("t").messages, 30);
  EXPECT_EQ(NatsWorkOf(nlohmann::json::array()).cpu_seconds, 0);
}

}  // namespace
}  // namespace jetd::cli
