// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_USAGE_COMMAND_H_
#define JETD_CLI_USAGE_COMMAND_H_

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/nats_share.h"
#include "cli/web_page.h"

namespace jetd::cli {

// `jetctl usage`: asks each jetd for /usage and adds up what its tenant's members say; and divides
// what their nats-server took among them (nats_share.h).
class UsageCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "usage"; }
  [[nodiscard]] std::string summary() const override {
    return "Adds up what tenants used: requests, bytes, storage, CPU, watches";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  std::vector<std::string> urls_;
  std::string since_, monitor_url_;
  double nats_cpu_seconds_ = -1;  // not given
  bool json_ = false, csv_ = false;
  WebTls tls_;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_USAGE_COMMAND_H_
