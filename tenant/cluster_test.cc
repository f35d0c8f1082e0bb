// SPDX-License-Identifier: Apache-2.0
//
// Tenants of two nats-servers with one list of accounts: what one of them was not told of is not
// done, whoever has named it.
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/strings.h"
#include "base/testing/free_port.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nats_probe.h"
#include "tenant/account_probe.h"
#include "tenant/admin_harness.h"
#include "tenant/tenant_folder.h"

namespace jetd::tenant {
namespace {

using jetstream::NatsTestServer;
using ::testing::HasSubstr;

class TwoServers : public TenantAdminTest {
 protected:
  // jetctl can tell the first to read its configuration; the second is told by hand.
  void StartBoth(const std::string& first, const std::string& second) {
    const absl::Status made = BeginFolder(New());
    ASSERT_TRUE(made.ok()) << made;
    const std::string accounts =
        Cat("accounts {\n  include \"../", std::string(std::filesystem::path(folder_).filename()),
            "/tenants.conf\"\n}\n");
    config_ = Cat("pid_file: \"", folder_, "/nats.pid\"\n", first, accounts);
    second_config_ = Cat(second, accounts);
    // In a cluster one server answers for JetStream, and has to know them.
    Open({.folder = folder_});
    for (const char* name : {"acme", "beta"}) {
      const auto added = admin_->Add(Wanted(name));
      ASSERT_TRUE(added.ok()) << added.status();
    }
    admin_.reset();
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER", config_);
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    second_ = NatsTestServer::StartFrom("JETD_NATS_SERVER", second_config_);
    OpenPatiently();
  }
  void TellSecond() { second_->Reload(second_config_); }
  void OpenPatiently() { OpenWith(std::chrono::seconds(60)); }
  void OpenWith(std::chrono::milliseconds patience) {
    AdminOptions options = Options();
    options.other_servers = named_;
    options.arrival_patience = patience;
    Open(options);
  }
  // Once the first does as told, which takes a moment, the second one alone keeps the command from
  // its end.
  void ExpectToWaitForSecond(const std::function<absl::Status()>& command, const std::string& why) {
    OpenWith(std::chrono::milliseconds(1));
    const std::string wanted = Cat("the server at ", second_->url(), " ", why);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    absl::Status status = command();
    while (status.ToString().find(wanted) == std::string::npos &&
           std::chrono::steady_clock::now() < deadline) {
      ASSERT_FALSE(status.ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // poll of another process
      status = command();
    }
    EXPECT_THAT(status.ToString(), HasSubstr(wanted));
    last_ = status.ToString();
  }

  std::unique_ptr<NatsTestServer> second_;
  std::string second_config_, last_;
  std::vector<std::string> named_;
};

TEST_P(TwoServers, WhatTheSecondWasNotToldOfIsNotDone) {
  StartBoth("", "");
  if (second_ == nullptr) return;
  named_ = {second_->url()};
  OpenPatiently();
  const Tenant acme = *admin_->Find("acme");
  const std::string path = admin_->CredentialsFile(acme);
  const std::string old = Keep(acme);
  const auto rotate = [this] { return admin_->Rotate("acme").status(); };
  ExpectToWaitForSecond(rotate, "does not serve it so");
  EXPECT_EQ(Text(path), Text(old)) << "a jetd on the second could not connect anew";
  TellSecond();
  ExpectToWaitForSecond(rotate, "lets their user in all the same");
  EXPECT_TRUE(std::filesystem::exists(path + ".old"));
  TellSecond();
  OpenPatiently();
  const auto rotated = admin_->Rotate("acme");
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_FALSE(std::filesystem::exists(path + ".old"));

  const auto remove = [this] { return admin_->Remove("acme").status(); };
  ExpectToWaitForSecond(remove, "lets their user in all the same");
  EXPECT_THAT(last_, HasSubstr("its credentials are kept to look again"));
  EXPECT_TRUE(std::filesystem::exists(path));
  // That it cannot be reached is no answer.
  second_->Kill();
  ExpectToWaitForSecond(remove, "does not say that their user is refused");
  EXPECT_TRUE(std::filesystem::exists(path));
  second_->Restart();
  OpenPatiently();
  const auto removed = admin_->Remove("acme");
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_P(TwoServers, TheFirstNamesTheOthersOfItsCluster) {
  const int ports[] = {FreePort(), FreePort()};
  const auto member = [&ports](int self) {
    return Cat("server_name: n", self,
               "\ncluster {\n  name: c\n  listen: \"127.0.0.1:", ports[self],
               "\"\n  routes: [\"nats://127.0.0.1:", ports[1 - self], "\"]\n}\n");
  };
  StartBoth(member(0), member(1));
  if (second_ == nullptr) return;
  const std::string path = admin_->CredentialsFile(*admin_->Find("acme"));
  // Which of them answers for JetStream, and so whether it does, is theirs to choose.
  ExpectToWaitForSecond([this] { return admin_->Remove("acme").status(); }, "");
  EXPECT_THAT(last_, HasSubstr(Cat("(it is named by ", server_->url())));
  EXPECT_TRUE(std::filesystem::exists(path));
  TellSecond();
  OpenPatiently();
  const auto removed = admin_->Remove("acme");
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_FALSE(std::filesystem::exists(path));
}

INSTANTIATE_TEST_SUITE_P(Static, TwoServers, testing::Values(ServerKind::kStatic));

TEST(NatsAddressTest, HasAPort) {
  EXPECT_EQ(jetstream::AddressOf("nats://n1:4333"), "n1:4333");
  EXPECT_EQ(jetstream::AddressOf("tls://me:secret@n1/"), "n1:4222");
  EXPECT_EQ(jetstream::AddressOf("nats://[::1]"), "[::1]:4222");
  EXPECT_EQ(jetstream::AddressOf("nats://[::1]:4333"), "[::1]:4333");
}

}  // namespace
}  // namespace jetd::tenant
