// SPDX-License-Identifier: Apache-2.0
//
// What is apart in a static configuration: the signal, a server that does not take it, a reload by
// hand.
#include "tenant/static_server.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/pem_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tenant/admin_harness.h"
#include "tenant/tenant_folder.h"

namespace jetd::tenant {
namespace {

using ::testing::HasSubstr;

class OfStaticServer : public TenantAdminTest {
 protected:
  // A server that does not take its configuration any more, for a mistake elsewhere in it.
  void StartWithAMistake() {
    Start();
    if (admin_ == nullptr) return;
    for (const char* name : {"acme", "beta"}) {
      const auto added = admin_->Add(Wanted(name));
      ASSERT_TRUE(added.ok()) << added.status();
    }
    server_->Reload(config_ + "accounts { broken");
    OpenImpatiently();
  }
  void OpenImpatiently() {
    AdminOptions options = Options();
    options.arrival_patience = std::chrono::milliseconds(1);
    Open(options);
  }
};

TEST_P(OfStaticServer, ATenantIsRemovedWhenTheServerRefusesIt) {
  StartWithAMistake();
  if (admin_ == nullptr) return;
  const Tenant acme = *admin_->Find("acme");
  const std::string kept = Keep(acme);
  ExpectToSay([this] { return admin_->Remove("acme").status(); },
              "lets their user in all the same");
  EXPECT_TRUE(std::filesystem::exists(admin_->CredentialsFile(acme)));
  server_->Reload(config_);
  Open();
  const auto removed = admin_->Remove("acme");
  ASSERT_TRUE(removed.ok()) << removed.status();
  ExpectRefused(kept, "acme");
  EXPECT_TRUE(absl::IsNotFound(admin_->Remove("acme").status()));
}

TEST_P(OfStaticServer, ARemovalOfWhichTheServerWasNotToldIsEnded) {
  Start();
  if (admin_ == nullptr) return;
  const auto acme = admin_->Add(Wanted("acme"));
  ASSERT_TRUE(acme.ok() && admin_->Add(Wanted("beta")).ok()) << acme.status();
  const std::string kept = Keep(acme->tenant);
  AdminOptions options = Options();
  options.pid_file = folder_ + "/stale.pid";
  std::ofstream(options.pid_file) << getpid();
  Open(options);
  EXPECT_THAT(admin_->Remove("acme").status().ToString(), HasSubstr("is no nats-server"));
  Open();
  const auto removed = admin_->Remove("acme");
  ASSERT_TRUE(removed.ok()) << removed.status();
  ExpectRefused(kept, "acme");
}

TEST_P(OfStaticServer, EveryLimitIsLookedAt) {
  StartWithAMistake();
  if (admin_ == nullptr) return;
  ExpectToSay([this] { return admin_->Limit("acme", {.streams = 3}).status(); },
              "does not serve it so: its limits are 67108864 bytes of storage, 1 streams and 50 "
              "consumers");
  EXPECT_FALSE(admin_->Limit("acme", {.streams = 1, .consumers = 7}).ok());
  EXPECT_TRUE(WaitUntil([this] { return admin_->Limit("acme", {.consumers = 50}).ok(); }));
}

// Without a pid file each step waits for who reloads, and both credentials count in between.
TEST_P(OfStaticServer, ByHandNobodyIsLockedOut) {
  Start();
  if (admin_ == nullptr) return;
  const auto acme = admin_->Add(Wanted("acme"));
  ASSERT_TRUE(acme.ok()) << acme.status();
  const std::string path = acme->credentials_file;
  const std::string old = Keep(acme->tenant);
  AdminOptions options = Options();
  options.pid_file.clear();
  Open(options);
  const auto begun = admin_->Rotate("acme");
  ASSERT_TRUE(begun.ok()) << begun.status();
  EXPECT_FALSE(begun->finished);
  EXPECT_THAT(begun->next, HasSubstr("--signal reload=PID"));
  EXPECT_EQ(Text(path), Text(old));
  server_->Reload(config_);

  const auto placed = admin_->Rotate("acme");
  ASSERT_TRUE(placed.ok()) << placed.status();
  EXPECT_FALSE(placed->finished);
  EXPECT_NE(Text(path), Text(old));
  for (const std::string& file : {path, old}) ExpectToConnect(file, "acme");
  options.arrival_patience = std::chrono::milliseconds(1);
  Open(options);
  ExpectToSay([this] { return admin_->Rotate("acme").status(); },
              "lets their user in all the same");
  server_->Reload(config_);

  options.arrival_patience = std::chrono::seconds(60);
  Open(options);
  const auto ended = admin_->Rotate("acme");
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_TRUE(ended->finished);
  ExpectRefused(old, "acme");
  ExpectToConnect(path, "acme");
  EXPECT_FALSE(std::filesystem::exists(path + ".old"));

  const auto removal = admin_->Remove("acme");
  ASSERT_TRUE(removal.ok()) << removal.status();
  EXPECT_FALSE(removal->finished);
  EXPECT_TRUE(std::filesystem::exists(path));
  server_->Reload(config_);
  const auto removed = admin_->Remove("acme");
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_TRUE(removed->finished);
  EXPECT_FALSE(std::filesystem::exists(path));
}

INSTANTIATE_TEST_SUITE_P(Static, OfStaticServer, testing::Values(ServerKind::kStatic));

class WithoutServer : public TenantAdminTest {};

TEST_P(WithoutServer, AChangeSaysWhatIsLeftToDo) {
  ASSERT_TRUE(BeginFolder(New()).ok());
  auto admin = TenantAdmin::Open({.folder = folder_});
  ASSERT_TRUE(admin.ok()) << admin.status();
  const auto acme = (*admin)->Add(Wanted("acme"));
  ASSERT_TRUE(acme.ok()) << acme.status();
  EXPECT_THAT(acme->next, HasSubstr("nats-server --signal reload"));
  std::filesystem::remove(acme->credentials_file);
  const auto again = (*admin)->Add(Wanted("acme"));
  EXPECT_THAT(again.status().ToString(), HasSubstr("`jetctl tenant rotate acme` makes new"));
  EXPECT_TRUE((*admin)->Rotate("acme").ok());
}

TEST_P(WithoutServer, AWrongProcessIdIsNotSignalled) {
  ASSERT_TRUE(BeginFolder(New()).ok());
  const std::string pid_file = folder_ + "/pid";
  auto admin = TenantAdmin::Open({.folder = folder_, .pid_file = pid_file});
  ASSERT_TRUE(admin.ok()) << admin.status();
  EXPECT_THAT((*admin)->Add(Wanted("acme")).status().ToString(), HasSubstr(pid_file));
  std::ofstream(pid_file) << getpid() << "\n";
  EXPECT_THAT((*admin)->Add(Wanted("acme")).status().ToString(),
              HasSubstr("is no nats-server but static_server_t"));
  std::ofstream(pid_file) << "x";
  EXPECT_THAT((*admin)->Add(Wanted("acme")).status().ToString(), HasSubstr("no process id"));
}

TEST_P(WithoutServer, WhatNatsServerDoesNotTakeIsNotWritten) {
  ASSERT_TRUE(BeginFolder(New()).ok());
  auto admin = TenantAdmin::Open({.folder = folder_, .nats_server = "/bin/false"});
  ASSERT_TRUE(admin.ok()) << admin.status();
  const auto before = ReadWholeFile(folder_ + "/tenants.conf");
  EXPECT_THAT((*admin)->Add(Wanted("acme")).status().ToString(), HasSubstr("nothing was changed"));
  EXPECT_TRUE((*admin)->roster().tenants.empty());
  EXPECT_EQ(*ReadWholeFile(folder_ + "/tenants.conf"), *before);
}

TEST_P(WithoutServer, ACheckThatDoesNotEndIsEnded) {
  ASSERT_TRUE(BeginFolder(New()).ok());
  const std::string program = folder_ + "/endless";
  std::ofstream(program) << "#!/bin/sh\nexec sleep 1000000\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  auto admin = TenantAdmin::Open(
      {.folder = folder_, .nats_server = program, .check_patience = std::chrono::milliseconds(1)});
  ASSERT_TRUE(admin.ok()) << admin.status();
  EXPECT_THAT((*admin)->Add(Wanted("acme")).status().ToString(),
              HasSubstr("nothing was changed: " + program + " was not through after 1 ms"));
}

TEST_P(WithoutServer, AnotherJetctlIsWaitedForAndNamed) {
  ASSERT_TRUE(BeginFolder(New()).ok());
  std::vector<std::string> told;
  AdminOptions options{.folder = folder_, .lock_patience = std::chrono::milliseconds(1)};
  options.tell = [&told](const std::string& line) { told.push_back(line); };
  auto first = TenantAdmin::Open(options);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(told.empty());
  const auto second = TenantAdmin::Open(options);
  EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
  EXPECT_THAT(told, testing::ElementsAre("waiting for another jetctl, which works in " + folder_));
  first->reset();
  EXPECT_TRUE(TenantAdmin::Open(options).ok());
}

TEST_P(WithoutServer, NamesOfTheServersOwnAccountsAreRefused) {
  ASSERT_TRUE(BeginFolder(New()).ok());
  const std::string config = folder_ + "/nats.conf";
  std::ofstream(config) << "accounts {\n  include tenants.conf\n  hub: {}\n}\n";
  auto admin = TenantAdmin::Open({.folder = folder_, .nats_config = config});
  ASSERT_TRUE(admin.ok()) << admin.status();
  const absl::Status hub = (*admin)->Add(Wanted("hub")).status();
  EXPECT_TRUE(absl::IsInvalidArgument(hub));
  EXPECT_THAT(hub.ToString(), HasSubstr("\"hub\" stands in " + config + ":3"));
  EXPECT_TRUE(absl::IsInvalidArgument((*admin)->Add(Wanted("SYS")).status()));
  EXPECT_TRUE((*admin)->roster().tenants.empty());
  for (int i = 0; i < 2; ++i) EXPECT_TRUE((*admin)->Add(Wanted("acme")).ok());
}

INSTANTIATE_TEST_SUITE_P(Static, WithoutServer, testing::Values(ServerKind::kStatic));

}  // namespace
}  // namespace jetd::tenant
