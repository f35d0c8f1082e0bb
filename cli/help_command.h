// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_HELP_COMMAND_H_
#define JETD_CLI_HELP_COMMAND_H_

#include <string>
#include <vector>

#include "cli/command.h"

namespace jetd::cli {

// `jetctl help [COMMAND [VERB]]`: what `jetctl COMMAND VERB --help` says.
class HelpCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "help"; }
  [[nodiscard]] std::string summary() const override {
    return "Says more of a command: jetctl help check";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  CLI::App* app_ = nullptr;  // of this command; lives as long as it is run
  std::vector<std::string> words_;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_HELP_COMMAND_H_
