// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_GET_COMMAND_H_
#define JETD_CLI_GET_COMMAND_H_

#include <string>

#include "cli/command.h"
#include "cli/view_flags.h"

namespace jetd::cli {

// `jetctl get --at`: replication/state_at.h.
class GetCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "get"; }
  [[nodiscard]] std::string summary() const override {
    return "Shows keys as they were at a moment of the past";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  [[nodiscard]] absl::Status CheckFlags() const;
  void PrintTable(const replication::State& state, Output* output) const;
  void PrintJson(const replication::State& state, Output* output) const;

  ViewFlags view_;
  std::string at_, key_, prefix_;
  const CLI::Option* prefix_option_ = nullptr;
  bool keys_only_ = false, value_only_ = false;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_GET_COMMAND_H_
