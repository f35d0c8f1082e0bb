// SPDX-License-Identifier: Apache-2.0
//
// Tenants of a real nats-server that runs all the while, known to it in both ways.
#include "tenant/tenant_admin.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/pem_files.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nkey.h"
#include "tenant/admin_harness.h"
#include "tenant/operator_server.h"
#include "tenant/tenant_folder.h"

namespace jetd::tenant {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

mode_t ModeOf(const std::string& path) {
  struct stat file {};
  JETD_CHECK(stat(path.c_str(), &file) == 0) << path;
  return file.st_mode & 0777;
}

TEST_P(TenantAdminTest, ATenantsLifeOnARunningServer) {
  Start();
  if (admin_ == nullptr) return;
  const auto acme = admin_->Add(Wanted("acme"));
  ASSERT_TRUE(acme.ok()) << acme.status();
  const auto beta = admin_->Add(Wanted("beta"));
  ASSERT_TRUE(beta.ok()) << beta.status();
  EXPECT_TRUE(acme->changed);
  EXPECT_EQ(acme->next, "") << "the server has it already";
  ExpectToConnect(acme->credentials_file, "acme");
  const AccountUse use = UseOf(acme->tenant);
  EXPECT_EQ(use.storage_limit_bytes, 64 * kMiB);
  EXPECT_EQ(use.storage_bytes, 0);

  // The same again changes nothing; something else is refused.
  const auto again = admin_->Add(Wanted("acme"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(again->tenant, acme->tenant);
  Tenant other = Wanted("acme");
  other.bucket = "other";
  EXPECT_TRUE(absl::IsAlreadyExists(admin_->Add(other).status()));

  const auto limited = admin_->Limit("acme", {.storage_bytes = 32 * kMiB});
  ASSERT_TRUE(limited.ok()) << limited.status();
  EXPECT_EQ(limited->tenant.limits.consumers, 50) << "what was not named stays";
  ExpectToConnect(limited->credentials_file, "acme");
  EXPECT_EQ(UseOf(limited->tenant).storage_limit_bytes, 32 * kMiB);

  // A later run of jetctl.
  Open();
  EXPECT_EQ(admin_->roster().tenants.size(), 2U);
  const std::string old = Keep(limited->tenant);
  ExpectToConnect(old, "acme");
  const auto rotated = admin_->Rotate("acme");
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_NE(rotated->tenant.user, limited->tenant.user);
  ExpectToConnect(rotated->credentials_file, "acme");
  ExpectRefused(old, "acme");

  const std::string last = Keep(rotated->tenant);
  const auto removed = admin_->Remove("acme");
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_FALSE(std::filesystem::exists(removed->credentials_file));
  EXPECT_EQ(removed->next, "") << "the server was looked at";
  ExpectRefused(last, "acme");
  ExpectToConnect(beta->credentials_file, "beta");
  EXPECT_THAT(admin_->Find("acme").status().ToString(), HasSubstr("there are: beta"));
}

// Then a static server has no user, and lets everybody in, into an account of its own.
TEST_P(TenantAdminTest, TheLastTenantGoesLikeEveryOther) {
  Start();
  if (admin_ == nullptr) return;
  ASSERT_TRUE(admin_->Add(Wanted("acme")).ok());
  const auto removed = admin_->Remove("acme");
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_TRUE(removed->finished);
  EXPECT_EQ(removed->next, "");
}

TEST_P(TenantAdminTest, ARemovalThatWasInterruptedIsEnded) {
  Start();
  if (admin_ == nullptr) return;
  const auto acme = admin_->Add(Wanted("acme"));
  ASSERT_TRUE(acme.ok() && admin_->Add(Wanted("beta")).ok()) << acme.status();
  const std::string seed = folder_ + "/keys/accounts/acme.seed";
  const std::string secret = Text(seed);
  Roster begun = admin_->roster();
  begun.tenants["acme"].going = true;
  // As if killed before the server was told, and then all but at the end.
  for (const bool told : {false, true}) {
    admin_.reset();
    std::ofstream(folder_ + "/tenants.json") << TextOf(begun);
    if (!is_static()) std::ofstream(seed) << secret;  // an operator's
    Open();
    EXPECT_THAT(admin_->Add(Wanted("acme")).status().ToString(), HasSubstr("is being removed"));
    const auto removed = admin_->Remove("acme");
    ASSERT_TRUE(removed.ok()) << removed.status();
    EXPECT_EQ(removed->next.empty(), !told) << "without credentials nothing can be looked at";
    EXPECT_TRUE(absl::IsNotFound(admin_->Find("acme").status()));
    EXPECT_FALSE(std::filesystem::exists(acme->credentials_file));
    EXPECT_FALSE(std::filesystem::exists(seed));
    EXPECT_THAT(Text(folder_ + "/tenants.conf"), Not(HasSubstr("acme")));
  }
}

TEST_P(TenantAdminTest, CredentialsWorkUntilTheServerKnowsNewOnes) {
  Start();
  if (admin_ == nullptr) return;
  const auto acme = admin_->Add(Wanted("acme"));
  ASSERT_TRUE(acme.ok()) << acme.status();
  const std::string path = acme->credentials_file;
  const std::string old = Keep(acme->tenant);
  server_->Kill();
  EXPECT_FALSE(admin_->Rotate("acme").ok());
  EXPECT_EQ(Text(path), Text(old));
  const std::string next = Text(path + ".next");
  EXPECT_FALSE(admin_->Rotate("acme").ok());
  EXPECT_EQ(Text(path), Text(old));
  EXPECT_EQ(Text(path + ".next"), next) << "the same attempt";
  server_->Restart();
  ExpectToConnect(path, "acme");

  Open();
  const auto rotated = admin_->Rotate("acme");
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_EQ(Text(path), next);
  EXPECT_EQ(rotated->next, "");
  ExpectRefused(old, "acme");
  ExpectToConnect(path, "acme");
  EXPECT_FALSE(std::filesystem::exists(path + ".next"));
  EXPECT_FALSE(std::filesystem::exists(path + ".old"));
}

TEST_P(TenantAdminTest, TheLongestNameFitsALine) {
  Start();
  if (admin_ == nullptr) return;
  const auto added = admin_->Add(Wanted(std::string(kMaxNameBytes, 'n')));
  ASSERT_TRUE(added.ok()) << added.status();
  ExpectToConnect(added->credentials_file, added->tenant.bucket);
}

TEST_P(TenantAdminTest, SecretsAreForTheOwnerAlone) {
  Start();
  if (admin_ == nullptr) return;
  const auto acme = admin_->Add(Wanted("acme"));
  ASSERT_TRUE(acme.ok()) << acme.status();
  EXPECT_EQ(ModeOf(acme->credentials_file), 0600U);
  EXPECT_EQ(ModeOf(folder_ + "/creds"), 0700U);
  std::vector<std::string> secret_files = {acme->credentials_file};
  if (!is_static()) {
    EXPECT_EQ(ModeOf(folder_ + "/keys"), 0700U);
    for (const char* name :
         {"operator.seed", "system.seed", "system.creds", "accounts/acme.seed"}) {
      secret_files.push_back(Cat(folder_, "/keys/", name));
      EXPECT_EQ(ModeOf(secret_files.back()), 0600U) << name;
    }
  }
  std::vector<std::string> seeds;
  for (const std::string& path : secret_files) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      if (jetstream::NkeyPair::FromSeed(line).ok()) seeds.push_back(line);
    }
  }
  ASSERT_EQ(seeds.size(), secret_files.size());
  // What others may read holds no seed.
  const std::string open = is_static() ? "/tenants.conf" : "/operator.conf";
  EXPECT_EQ(ModeOf(folder_ + open), 0644U);
  for (const std::string& name : {open, std::string("/tenants.json")}) {
    const auto text = ReadWholeFile(folder_ + name);
    ASSERT_TRUE(text.ok()) << text.status();
    for (const std::string& seed : seeds) EXPECT_THAT(*text, Not(HasSubstr(seed))) << name;
  }
}

TEST_P(TenantAdminTest, AFolderIsBegunOnce) {
  const absl::StatusOr<std::unique_ptr<TenantAdmin>> none = TenantAdmin::Open({.folder = folder_});
  EXPECT_TRUE(absl::IsNotFound(none.status())) << none.status();
  ASSERT_TRUE(BeginFolder(New()).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(BeginFolder(New())));
  EXPECT_TRUE(TenantAdmin::Open({.folder = folder_}).ok());
}

TEST_P(TenantAdminTest, WithoutItsListAFolderIsNotBegunAnew) {
  ASSERT_TRUE(BeginFolder(New()).ok());
  const auto keys = [this] {
    return Text(folder_ + "/keys/operator.seed") + Text(folder_ + "/keys/system.seed");
  };
  const std::string before = keys();
  EXPECT_EQ(before.empty(), is_static());
  // As if killed before its last step.
  std::filesystem::remove(folder_ + "/tenants.json");
  EXPECT_TRUE(BeginFolder(New()).ok());
  EXPECT_EQ(keys(), before);
  if (!is_static()) {
    EXPECT_THAT(Text(folder_ + "/operator.conf"),
                HasSubstr(TenantAdmin::Open({.folder = folder_}).value()->roster().system_account));
  }
  // With a tenant its list is lost.
  std::ofstream(folder_ + "/creds/acme.creds") << "of acme";
  const std::string accounts = Text(folder_ + "/tenants.conf");
  std::filesystem::remove(folder_ + "/tenants.json");
  const absl::Status refused = BeginFolder(New());
  EXPECT_THAT(refused.ToString(), HasSubstr("acme.creds), but no tenants.json; bring it back"));
  EXPECT_EQ(keys(), before);
  EXPECT_EQ(Text(folder_ + "/tenants.conf"), accounts);
}

INSTANTIATE_TEST_SUITE_P(Kinds, TenantAdminTest,
                         testing::Values(ServerKind::kStatic, ServerKind::kOperator),
                         [](const auto& kind) { return std::string(NameOf(kind.param)); });

class OfOperator : public TenantAdminTest {};

TEST_P(OfOperator, CredentialsOfAClockThatWasAheadAreRevokedToo) {
  Start();
  if (admin_ == nullptr) return;
  const auto acme = admin_->Add(Wanted("acme"));
  ASSERT_TRUE(acme.ok()) << acme.status();
  const auto account = ReadKey(folder_ + "/keys/accounts/acme.seed", jetstream::NkeyKind::kAccount);
  const auto user = ReadKey(acme->credentials_file, jetstream::NkeyKind::kUser);
  ASSERT_TRUE(account.ok() && user.ok());
  std::ofstream(acme->credentials_file)
      << TenantCredentials(*account, *user, acme->tenant, NowSeconds() + 3600);
  const std::string old = Keep(acme->tenant);
  ExpectToConnect(old, "acme");
  const auto rotated = admin_->Rotate("acme");
  EXPECT_TRUE(rotated.ok()) << rotated.status();
  ExpectRefused(old, "acme");
}

// As by hand: nats-server is started, and the next command does not wait until it is there.
TEST_P(OfOperator, AServerThatIsBeingStartedIsWaitedFor) {
  Start();
  if (admin_ == nullptr) return;
  server_->Kill();
  AdminOptions options = Options();
  options.arrival_patience = std::chrono::minutes(2);
  int told = 0;
  options.tell = [&](const std::string& line) {
    EXPECT_THAT(line, HasSubstr("trying again: cannot connect to "));
    if (++told == 1) server_->Restart();
  };
  Open(options);
  const auto acme = admin_->Add(Wanted("acme"));
  ASSERT_TRUE(acme.ok()) << acme.status();
  EXPECT_EQ(told, 1);
  ExpectToConnect(acme->credentials_file, "acme");
}

INSTANTIATE_TEST_SUITE_P(Operator, OfOperator, testing::Values(ServerKind::kOperator));

}  // namespace
}  // namespace jetd::tenant
