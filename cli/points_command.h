// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_POINTS_COMMAND_H_
#define JETD_CLI_POINTS_COMMAND_H_

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/view_flags.h"

namespace jetd::cli {

// `jetctl points`: what of a bucket's past can be restored, and from where.
class PointsCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "points"; }
  [[nodiscard]] std::string summary() const override {
    return "Shows which moments of the past can be restored";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  struct Place {
    std::string name;
    replication::StreamSource source;
  };
  [[nodiscard]] absl::StatusOr<std::vector<Place>> Places(Output* output) const;

  ViewFlags view_;
  std::vector<std::string> mirrors_;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_POINTS_COMMAND_H_
