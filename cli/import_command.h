// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_IMPORT_COMMAND_H_
#define JETD_CLI_IMPORT_COMMAND_H_

#include <cstdint>
#include <string>

#include "cli/command.h"
#include "cli/output_flag.h"
#include "cli/target_flags.h"
#include "replication/bucket_restore.h"

namespace jetd::cli {

// `jetctl import`: another store into a new bucket, from a snapshot file
// (replication/snapshot_file.h), or from an etcd or kine that runs (live_import.h).
class ImportCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "import"; }
  [[nodiscard]] std::string summary() const override {
    return "Takes over an etcd or kine that runs, or a snapshot file";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  [[nodiscard]] absl::StatusOr<int> FromSnapshot(Output* output, OutputForm form,
                                                 const replication::RestoreOptions& options) const;
  [[nodiscard]] absl::StatusOr<int> FromEndpoints(Output* output, OutputForm form,
                                                  const replication::RestoreOptions& options) const;
  [[nodiscard]] absl::Status CheckFrom() const;

  TargetFlags target_;
  OutputFlag output_;
  std::string snapshot_;
  std::string endpoints_, ca_file_, cert_file_, key_file_, user_, password_file_, prefix_;
  std::string until_idle_;
  int64_t until_revision_ = 0;
  bool skip_hash_check_ = false, follow_ = false, dry_run_ = false;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_IMPORT_COMMAND_H_
