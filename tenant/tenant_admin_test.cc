// SPDX-License-Identifier: Apache-2.0
//
// Tenants of a real nats-server that runs all the while, known to it in both ways.
#include "tenant/tenant_admin.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/pem_files.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/bucket_access.h"
#include "jetstream/nats_ask.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/nkey.h"

namespace jetd::tenant {
namespace {

using jetstream::NatsTestServer;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kMiB = 1 << 20;

Tenant Wanted(const std::string& name) {
  return {.name = name,
          .bucket = name,
          .limits = {.storage_bytes = 64 * kMiB, .streams = 1, .consumers = 50}};
}

mode_t ModeOf(const std::string& path) {
  struct stat file {};
  JETD_CHECK(stat(path.c_str(), &file) == 0) << path;
  return file.st_mode & 0777;
}

class TenantAdminTest : public testing::TestWithParam<ServerKind> {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    std::string name = std::filesystem::temp_directory_path() / "jetd_tenant_XXXXXX";
    JETD_CHECK(mkdtemp(name.data()) != nullptr) << name;
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] bool is_static() const { return GetParam() == ServerKind::kStatic; }
  [[nodiscard]] NewFolder New() const {
    return {.folder = folder_, .kind = GetParam(), .resolver_dir = folder_ + "/jwt"};
  }
  // The folder, and a server whose configuration includes what it holds.
  void Start() {
    const absl::Status made = TenantAdmin::Init(New());
    ASSERT_TRUE(made.ok()) << made;
    const std::string here = "../" + std::string(std::filesystem::path(folder_).filename());
    const std::string config =
        is_static() ? Cat("pid_file: \"", folder_, "/nats.pid\"\naccounts {\n  include \"", here,
                          "/tenants.conf\"\n}\n")
                    : Cat("include \"", here, "/operator.conf\"\n");
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER", config);
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    Open();
  }
  void Open() {
    AdminOptions options{.folder = folder_, .server = {.url = server_->url()}};
    if (is_static()) {
      options.nats_server = std::getenv("JETD_NATS_SERVER");
      options.pid_file = folder_ + "/nats.pid";
    }
    admin_.reset();
    auto opened = TenantAdmin::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    admin_ = *std::move(opened);
  }
  // A copy of a tenant's credentials as they are now.
  std::string Keep(const Tenant& tenant) {
    const std::string path = folder_ + "/kept";
    std::filesystem::copy_file(admin_->CredentialsFile(tenant), path,
                               std::filesystem::copy_options::overwrite_existing);
    return path;
  }
  absl::Status Connect(const std::string& credentials, const std::string& bucket) {
    jetstream::NatsEndpoint endpoint{.url = server_->url()};
    auto& field =
        is_static() ? endpoint.credentials.nkey_seed_file : endpoint.credentials.creds_file;
    field = credentials;
    const std::string inbox = jetstream::InboxPrefix(bucket);
    return jetstream::AskNats(endpoint, {.subject = "$JS.API.INFO", .inbox_prefix = inbox},
                              std::chrono::seconds(10))
        .status();
  }

  // Soon: a server that has read its configuration goes over its connections a moment later.
  void ExpectToConnect(const std::string& credentials, const std::string& bucket) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    absl::Status status = Connect(credentials, bucket);
    while (!status.ok() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // poll of another process
      status = Connect(credentials, bucket);
    }
    EXPECT_TRUE(status.ok()) << status;
  }

  std::string folder_;
  std::unique_ptr<NatsTestServer> server_;
  std::unique_ptr<TenantAdmin> admin_;
};

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
  auto use = admin_->Ask(acme->tenant);
  ASSERT_TRUE(use.ok()) << use.status();
  EXPECT_EQ(use->storage_limit_bytes, 64 * kMiB);
  EXPECT_EQ(use->storage_bytes, 0);

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
  use = admin_->Ask(limited->tenant);
  ASSERT_TRUE(use.ok()) << use.status();
  EXPECT_EQ(use->storage_limit_bytes, 32 * kMiB);

  // A later run of jetctl.
  Open();
  EXPECT_EQ(admin_->roster().tenants.size(), 2U);
  const std::string old = Keep(limited->tenant);
  ExpectToConnect(old, "acme");
  const auto rotated = admin_->Rotate("acme");
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_NE(rotated->tenant.user, limited->tenant.user);
  ExpectToConnect(rotated->credentials_file, "acme");
  EXPECT_TRUE(absl::IsUnauthenticated(Connect(old, "acme"))) << Connect(old, "acme");

  const std::string last = Keep(rotated->tenant);
  const auto removed = admin_->Remove("acme");
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_FALSE(std::filesystem::exists(removed->credentials_file));
  // A reload comes soon after the signal.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (Connect(last, "acme").ok() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // poll of another process
  }
  EXPECT_FALSE(Connect(last, "acme").ok());
  ExpectToConnect(beta->credentials_file, "beta");
  EXPECT_THAT(admin_->Find("acme").status().ToString(), HasSubstr("there are: beta"));
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
  ASSERT_TRUE(TenantAdmin::Init(New()).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(TenantAdmin::Init(New())));
  EXPECT_TRUE(TenantAdmin::Open({.folder = folder_}).ok());
}

INSTANTIATE_TEST_SUITE_P(Kinds, TenantAdminTest,
                         testing::Values(ServerKind::kStatic, ServerKind::kOperator),
                         [](const auto& kind) { return std::string(NameOf(kind.param)); });

class WithoutServer : public TenantAdminTest {};

TEST_P(WithoutServer, AChangeSaysWhatIsLeftToDo) {
  ASSERT_TRUE(TenantAdmin::Init(New()).ok());
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
  ASSERT_TRUE(TenantAdmin::Init(New()).ok());
  const std::string pid_file = folder_ + "/pid";
  auto admin = TenantAdmin::Open({.folder = folder_, .pid_file = pid_file});
  ASSERT_TRUE(admin.ok()) << admin.status();
  EXPECT_THAT((*admin)->Add(Wanted("acme")).status().ToString(), HasSubstr(pid_file));
  std::ofstream(pid_file) << getpid() << "\n";
  EXPECT_THAT((*admin)->Add(Wanted("acme")).status().ToString(),
              HasSubstr("is no nats-server but tenant_admin_te"));
  std::ofstream(pid_file) << "x";
  EXPECT_THAT((*admin)->Add(Wanted("acme")).status().ToString(), HasSubstr("no process id"));
}

TEST_P(WithoutServer, WhatNatsServerDoesNotTakeIsNotWritten) {
  ASSERT_TRUE(TenantAdmin::Init(New()).ok());
  auto admin = TenantAdmin::Open({.folder = folder_, .nats_server = "/bin/false"});
  ASSERT_TRUE(admin.ok()) << admin.status();
  const auto before = ReadWholeFile(folder_ + "/tenants.conf");
  EXPECT_THAT((*admin)->Add(Wanted("acme")).status().ToString(), HasSubstr("nothing was changed"));
  EXPECT_TRUE((*admin)->roster().tenants.empty());
  EXPECT_EQ(*ReadWholeFile(folder_ + "/tenants.conf"), *before);
}

INSTANTIATE_TEST_SUITE_P(Static, WithoutServer, testing::Values(ServerKind::kStatic));

}  // namespace
}  // namespace jetd::tenant
