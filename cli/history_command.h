// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_HISTORY_COMMAND_H_
#define JETD_CLI_HISTORY_COMMAND_H_

#include <string>

#include "cli/command.h"
#include "cli/view_flags.h"
#include "replication/version_history.h"

namespace jetd::cli {

// `jetctl history`: replication/version_history.h.
class HistoryCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "history"; }
  [[nodiscard]] std::string summary() const override {
    return "Shows the versions of a key that the stream still holds";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  [[nodiscard]] absl::StatusOr<replication::HistoryOptions> Options() const;
  void PrintTable(const replication::KeyHistories& histories, Output* output) const;
  void PrintJson(const replication::KeyHistories& histories, Output* output) const;

  ViewFlags view_;
  std::string key_, prefix_, from_, to_;
  const CLI::Option* prefix_option_ = nullptr;
  bool values_ = false;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_HISTORY_COMMAND_H_
