// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_TENANT_COMMAND_H_
#define JETD_CLI_TENANT_COMMAND_H_

#include <cstdint>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/output_flag.h"
#include "tenant/tenant_admin.h"

namespace jetd::cli {

// `jetctl tenant init|add|list|show|limit|rotate|remove`: tenant/tenant_admin.h.
class TenantCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "tenant"; }
  [[nodiscard]] std::string summary() const override {
    return "Keeps the tenants of a nats-server: for each an account, a bucket, a user";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  struct Verb {
    const char* name;
    const char* summary;
    absl::StatusOr<int> (TenantCommand::*run)(Output* output);
  };
  static const Verb kVerbs[];

  void AddServerFlags(CLI::App* verb);
  void AddLimitFlags(CLI::App* verb, const char* storage_default);
  [[nodiscard]] absl::StatusOr<std::string> StateDir() const;
  [[nodiscard]] absl::StatusOr<std::unique_ptr<tenant::TenantAdmin>> Open(Output* output) const;
  [[nodiscard]] absl::Status CheckName() const;
  void Show(const tenant::TenantAdmin& admin, const tenant::Change& change, const char* done,
            Output* output) const;

  absl::StatusOr<int> Init(Output* output);
  absl::StatusOr<int> Add(Output* output);
  absl::StatusOr<int> List(Output* output);
  absl::StatusOr<int> ShowOne(Output* output);
  absl::StatusOr<int> Limit(Output* output);
  absl::StatusOr<int> Rotate(Output* output);
  absl::StatusOr<int> Remove(Output* output);

  CLI::App* app_ = nullptr;  // of this command; lives as long as it is run
  OutputFlag output_;
  std::string state_dir_, name_, bucket_, storage_, streams_, consumers_;
  std::string nats_url_, ca_file_, cert_file_, key_file_, nats_server_, pid_file_, nats_config_;
  std::string kind_, operator_name_, operator_seed_, system_creds_, resolver_dir_;
  bool yes_ = false, use_ = false, json_ = false;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_TENANT_COMMAND_H_
