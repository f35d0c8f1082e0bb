// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_CHECK_COMMAND_H_
#define JETD_CLI_CHECK_COMMAND_H_

#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/output_flag.h"
#include "cli/source_flags.h"
#include "etcdclient/client.h"
#include "replication/bucket_check.h"

namespace jetd::cli {

// `jetctl check`: replication/bucket_check.h, and HashKV against a jetd that runs.
class CheckCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "check"; }
  [[nodiscard]] std::string summary() const override {
    return "Verifies a bucket, and names what is wrong with it";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  [[nodiscard]] absl::StatusOr<std::unique_ptr<etcdclient::Client>> Dial() const;
  [[nodiscard]] absl::Status CompareWithServer(replication::BucketCheck* check) const;

  SourceFlags source_;
  OutputFlag output_;
  std::string endpoint_, ca_file_, cert_file_, key_file_;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_CHECK_COMMAND_H_
