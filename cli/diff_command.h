// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_DIFF_COMMAND_H_
#define JETD_CLI_DIFF_COMMAND_H_

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/view_flags.h"

namespace jetd::cli {

// `jetctl diff`: replication/state_diff.h, by what keys stand for (replication/kube_object.h).
class DiffCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "diff"; }
  [[nodiscard]] std::string summary() const override {
    return "Shows what was added, changed and deleted between two moments";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  ViewFlags view_;
  std::string from_, to_ = "now", prefix_;
  bool values_ = false;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_DIFF_COMMAND_H_
