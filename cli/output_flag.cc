// SPDX-License-Identifier: Apache-2.0
#include "cli/output_flag.h"

#include <utility>

#include "base/strings.h"
#include "cli/flags.h"

namespace jetd::cli {

void OutputFlag::AddTo(CLI::App* app, const std::string& json) {
  app->add_option("-o,--output", form_,
                  csv_too_ ? "table, csv, or json for programs [table]"
                           : "table, or json for programs [table]")
      ->take_last();
  app->add_flag("--json", json_, Cat("The same as --output json: ", json));
  if (csv_too_) app->add_flag("--csv", csv_, "The same as --output csv: a line a tenant");
}

absl::StatusOr<OutputForm> OutputFlag::Read() const {
  if (json_ && csv_) return Invalid("--json and --csv: give one of them");
  for (const auto& [given, name] : {std::pair(json_, "json"), std::pair(csv_, "csv")}) {
    if (given && !form_.empty() && form_ != name) {
      return Invalid("--", name, " and --output ", form_, ": give one of them");
    }
  }
  if (json_ || form_ == "json") return OutputForm::kJson;
  if (csv_ || (csv_too_ && form_ == "csv")) return OutputForm::kCsv;
  if (form_.empty() || form_ == "table") return OutputForm::kTable;
  return Invalid("--output: \"", form_, "\" is ",
                 csv_too_ ? "none of table, json and csv" : "neither table nor json");
}

}  // namespace jetd::cli
