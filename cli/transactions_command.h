// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_TRANSACTIONS_COMMAND_H_
#define JETD_CLI_TRANSACTIONS_COMMAND_H_

#include <string>

#include "cli/command.h"
#include "cli/output_flag.h"
#include "cli/source_flags.h"

namespace jetd::cli {

// `jetctl transactions`: replication/stream_dump.h, one line a transaction.
class TransactionsCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "transactions"; }
  [[nodiscard]] std::string summary() const override {
    return "Prints a bucket's stream as the ordered list of its transactions";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  SourceFlags source_;
  OutputFlag output_;
  bool values_ = false, keys_only_ = false, void_ = false;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_TRANSACTIONS_COMMAND_H_
