// SPDX-License-Identifier: Apache-2.0
//
// For tests: tenants of a real nats-server, known to it in both ways, in a new folder that is gone
// afterwards.
#ifndef JETD_TENANT_ADMIN_HARNESS_H_
#define JETD_TENANT_ADMIN_HARNESS_H_

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/pem_files.h"
#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "base/testing/wait_until.h"
#include "gtest/gtest.h"
#include "jetstream/bucket_access.h"
#include "jetstream/nats_ask.h"
#include "jetstream/nats_test_server.h"
#include "tenant/tenant_admin.h"

namespace jetd::tenant {

inline constexpr int64_t kMiB = 1 << 20;

inline Tenant Wanted(const std::string& name) {
  return {.name = name,
          .bucket = name,
          .limits = {.storage_bytes = 64 * kMiB, .streams = 1, .consumers = 50}};
}

class TenantAdminTest : public testing::TestWithParam<ServerKind> {
 protected:
  void SetUp() override { log::Init({.level = log::Level::kError}); }

  [[nodiscard]] bool is_static() const { return GetParam() == ServerKind::kStatic; }
  [[nodiscard]] NewFolder New() const {
    return {.folder = folder_, .kind = GetParam(), .resolver_dir = folder_ + "/jwt"};
  }
  // The folder, and a server whose configuration includes what it holds.
  void Start() {
    const absl::Status made = BeginFolder(New());
    ASSERT_TRUE(made.ok()) << made;
    const std::string here = "../" + std::string(std::filesystem::path(folder_).filename());
    config_ = is_static() ? Cat("pid_file: \"", folder_, "/nats.pid\"\naccounts {\n  include \"",
                                here, "/tenants.conf\"\n}\n")
                          : Cat("include \"", here, "/operator.conf\"\n");
    server_ = jetstream::NatsTestServer::StartFrom("JETD_NATS_SERVER", config_);
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    Open();
  }
  [[nodiscard]] AdminOptions Options() const {
    AdminOptions options{.folder = folder_, .server = {.url = server_->url()}};
    if (is_static()) {
      options.nats_server = std::getenv("JETD_NATS_SERVER");
      options.pid_file = folder_ + "/nats.pid";
    }
    return options;
  }
  void Open() { Open(Options()); }
  void Open(const AdminOptions& options) {
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
    absl::Status status;
    EXPECT_TRUE(WaitUntil([&] {
      status = Connect(credentials, bucket);
      return status.ok();
    })) << status;
  }
  // At once, but that it does not answer in time says nothing.
  void ExpectRefused(const std::string& credentials, const std::string& bucket) {
    absl::Status status;
    (void)WaitUntil([&] {
      status = Connect(credentials, bucket);
      return status.ok() || absl::IsUnauthenticated(status);
    });
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
  }
  // The same of a command that asks the server and is impatient.
  static void ExpectToSay(const std::function<absl::Status()>& command, const std::string& wanted) {
    absl::Status status;
    EXPECT_TRUE(WaitUntil([&] {
      status = command();
      return status.ToString().find(wanted) != std::string::npos;
    })) << status;
  }
  AccountUse UseOf(const Tenant& tenant) {
    absl::StatusOr<AccountUse> use;
    EXPECT_TRUE(WaitUntil([&] {
      use = admin_->Ask(tenant);
      return use.ok();
    })) << use.status();
    return use.value_or(AccountUse{});
  }

  [[nodiscard]] std::string Text(const std::string& path) const {
    return ReadWholeFile(path).value_or("");
  }

  const ScratchFolder scratch_{ScratchFolder::kOnDisk};
  const std::string& folder_ = scratch_.path();
  std::string config_;
  std::unique_ptr<jetstream::NatsTestServer> server_;
  std::unique_ptr<TenantAdmin> admin_;
};

}  // namespace jetd::tenant

#endif  // JETD_TENANT_ADMIN_HARNESS_H_
