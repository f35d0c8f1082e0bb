// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_PROMOTE_COMMAND_H_
#define JETD_CLI_PROMOTE_COMMAND_H_

#include <cstdint>
#include <string>

#include "cli/command.h"
#include "cli/output_flag.h"
#include "cli/source_flags.h"
#include "replication/promotion.h"

namespace jetd::cli {

// `jetctl promote`: replication/promotion.h.
class PromoteCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "promote"; }
  [[nodiscard]] std::string summary() const override {
    return "Makes a mirror the primary, when its origin's domain is lost or to be left";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  SourceFlags source_;
  int64_t bump_ = replication::PromotionOptions::kDefaultBump;
  OutputFlag output_;
  bool yes_ = false, despite_ = false;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_PROMOTE_COMMAND_H_
