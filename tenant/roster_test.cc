// SPDX-License-Identifier: Apache-2.0
#include "tenant/roster.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tenant/static_server.h"

namespace jetd::tenant {
namespace {

using testing::HasSubstr;
using testing::Not;

Roster Example() {
  Roster roster{.kind = ServerKind::kOperator,
                .operator_name = "fleet",
                .system_account = "ASYS",
                .nats_url = "nats://n1:4222",
                .issued = 1'790'000'000};
  roster.tenants["acme"] = {.name = "acme",
                            .bucket = "acme",
                            .limits = {.storage_bytes = 1 << 30, .streams = 1, .consumers = 100},
                            .user = "UACME",
                            .account = "AACME",
                            .revoked = {{"UOLD", 1'789'000'000}},
                            .next_user = "UNEXT"};
  roster.tenants["beta"] = {.name = "beta", .bucket = "beta", .user = "UBETA", .going = true};
  return roster;
}

TEST(Roster, IsReadBack) {
  const Roster roster = Example();
  const auto read = ParseRoster(TextOf(roster));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, roster);
  Roster empty;
  EXPECT_EQ(*ParseRoster(TextOf(empty)), empty);
}

TEST(Roster, WhatIsNoneIsRefused) {
  const auto error_of = [](const char* text) { return ParseRoster(text).status().ToString(); };
  EXPECT_THAT(error_of(""), HasSubstr("not JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("not JSON"));
  EXPECT_THAT(error_of(R"({"version":2,"kind":"static","tenants":{}})"), HasSubstr("later"));
  EXPECT_THAT(error_of(R"({"version":1,"kind":"other","tenants":{}})"), HasSubstr("kind"));
  EXPECT_THAT(error_of(R"({"version":1,"kind":"static"})"), HasSubstr("names none"));
  EXPECT_THAT(error_of(R"({"version":1,"kind":"static","tenants":{"a b":{"bucket":"x"}}})"),
              HasSubstr("a tenant that is none"));
  EXPECT_THAT(error_of(R"({"version":1,"kind":"static","tenants":{"a":{"bucket":"x.y"}}})"),
              HasSubstr("without a bucket"));
}

TEST(Roster, Names) {
  for (const char* name : {"a", "acme", "Tenant-7_x", "0"}) EXPECT_TRUE(IsTenantName(name)) << name;
  for (const std::string& name :
       {std::string(), std::string("-a"), std::string("_a"), std::string("a.b"), std::string("a b"),
        std::string("$SYS"), std::string("a\"b"), std::string("../a"), std::string(65, 'a')}) {
    EXPECT_FALSE(IsTenantName(name)) << name;
  }
}

TEST(AccountsText, NamesLimitsAndTheSubjectsOfOneBucket) {
  Roster roster = Example();
  roster.kind = ServerKind::kStatic;
  const std::string text = AccountsText(roster);
  EXPECT_THAT(text, HasSubstr("\"acme\": {\n  jetstream: { max_memory: 0, max_file: 1073741824, "
                              "max_streams: 1, max_consumers: 100 }\n"));
  EXPECT_THAT(text, HasSubstr("    nkey: UACME\n"));
  EXPECT_THAT(text, HasSubstr("    nkey: UNEXT\n")) << "both are let in for a while";
  EXPECT_THAT(text, Not(HasSubstr("beta"))) << "it is being removed";
  EXPECT_THAT(text, HasSubstr("        \"$KV.acme.>\"\n"));
  EXPECT_THAT(text, HasSubstr("        \"_jetd.acme.inbox.>\"\n"));
  EXPECT_THAT(text, Not(HasSubstr("_INBOX")));
  EXPECT_EQ(text, AccountsText(roster)) << "the same again";
}

}  // namespace
}  // namespace jetd::tenant
