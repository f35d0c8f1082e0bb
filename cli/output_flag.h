// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_OUTPUT_FLAG_H_
#define JETD_CLI_OUTPUT_FLAG_H_

#include <string>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"

namespace jetd::cli {

// For people, or for programs.
enum class OutputForm { kTable, kJson, kCsv };

// How a command shows its results, spelt alike in all of them: `--output table|json`, and `--json`
// for short; with kCsvToo csv, and `--csv`, as well.
class OutputFlag {
 public:
  enum class Forms { kTableAndJson, kCsvToo };
  explicit OutputFlag(Forms forms = Forms::kTableAndJson) : csv_too_(forms == Forms::kCsvToo) {}

  // `json` says what that is, for the help.
  void AddTo(CLI::App* app, const std::string& json = "one JSON object");
  // InvalidArgument: what was typed is none, or two.
  [[nodiscard]] absl::StatusOr<OutputForm> Read() const;

 private:
  const bool csv_too_;
  std::string form_;
  bool json_ = false, csv_ = false;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_OUTPUT_FLAG_H_
