// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_USAGE_COMMAND_H_
#define JETD_CLI_USAGE_COMMAND_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/nats_share.h"
#include "cli/output_flag.h"
#include "cli/web_page.h"
#include "nlohmann/json_fwd.hpp"

namespace jetd::cli {

// `jetctl usage`: asks each jetd for /usage, or reads the record of one that does not run, and adds
// up what its tenant's members say (usage_sum.h); and divides what their nats-server took among
// them (nats_share.h).
class UsageCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "usage"; }
  [[nodiscard]] std::string summary() const override {
    return "Adds up what tenants used: requests, bytes, storage, CPU, watches";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  // What --since says.
  struct Start {
    bool is_file = false;
    std::map<std::string, nlohmann::json> earlier;  // what the file says, by record
    int64_t asked_ms = 0;                           // when that was; 0: it does not say
    NatsWork nats;
    std::optional<int64_t> time_ms;  // a time, in the place of a file
  };
  using Members = std::map<std::string, nlohmann::json>;  // what was said, by where

  [[nodiscard]] absl::Status CheckFlags() const;
  [[nodiscard]] absl::StatusOr<Start> ReadSince() const;
  [[nodiscard]] absl::Status AskJetds(Output* output, const Start& start, Members* members) const;
  [[nodiscard]] absl::Status ReadFolders(const Start& start, Members* members) const;
  // All that is named, each record once.
  [[nodiscard]] absl::StatusOr<Members> Learn(Output* output, const Start& start) const;
  void DropTwins(Output* output, Members* members) const;
  // What somebody who pays should know of a member that is counted from later than was asked for,
  // or from earlier, or may be lost.
  void TellOf(Output* output, const Start& start, const std::string& where,
              const nlohmann::json& said) const;

  std::vector<std::string> urls_, folders_;
  std::string since_, monitor_url_;
  double nats_cpu_seconds_ = -1;  // not given
  OutputFlag output_{OutputFlag::Forms::kCsvToo};
  WebTls tls_;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_USAGE_COMMAND_H_
