// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_IMPORT_COMMAND_H_
#define JETD_CLI_IMPORT_COMMAND_H_

#include <cstdint>
#include <string>

#include "cli/command.h"
#include "cli/figures.h"
#include "cli/target_flags.h"
#include "replication/bucket_restore.h"

namespace jetd::cli {

// `jetctl import`: another store into a new bucket, from a snapshot file
// (replication/snapshot_file.h).
class ImportCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "import"; }
  [[nodiscard]] std::string summary() const override {
    return "Takes over a snapshot file of an etcd or a jetd";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  [[nodiscard]] absl::StatusOr<int> FromSnapshot(Output* output, OutputForm form,
                                                 const replication::RestoreOptions& options) const;

  TargetFlags target_;
  std::string snapshot_, output_;
  int64_t bump_ = replication::kDefaultBump;
  bool skip_hash_check_ = false, dry_run_ = false;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_IMPORT_COMMAND_H_
