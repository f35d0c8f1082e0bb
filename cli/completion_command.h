// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_COMPLETION_COMMAND_H_
#define JETD_CLI_COMPLETION_COMMAND_H_

#include <string>

#include "cli/command.h"

namespace jetd::cli {

// Prints what makes a shell complete jetctl's commands and flags. It is written from the parser's
// own tables, so it knows what this jetctl knows.
class CompletionCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "completion"; }
  [[nodiscard]] std::string summary() const override {
    return "Prints the completion of commands and flags for bash or zsh";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  std::string shell_;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_COMPLETION_COMMAND_H_
