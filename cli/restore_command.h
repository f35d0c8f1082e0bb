// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_RESTORE_COMMAND_H_
#define JETD_CLI_RESTORE_COMMAND_H_

#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/output_flag.h"
#include "cli/source_flags.h"
#include "cli/target_flags.h"
#include "replication/bucket_restore.h"
#include "replication/key_selection.h"
#include "replication/state_at.h"

namespace jetd::cli {

// `jetctl restore`: a moment of a bucket's past, read by replication/state_at.h, into a new bucket
// (replication/bucket_restore.h) or in place (in_place.h).
class RestoreCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "restore"; }
  [[nodiscard]] std::string summary() const override {
    return "Brings back a moment of the past, into a new bucket or in place";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  [[nodiscard]] absl::Status CheckFlags() const;
  [[nodiscard]] absl::StatusOr<replication::Point> ThePoint() const;
  [[nodiscard]] absl::StatusOr<int> IntoBucket(Output* output, OutputForm form,
                                               const replication::StreamSource& source,
                                               const std::string& moment,
                                               replication::BucketState state,
                                               const replication::StreamSource& target);
  [[nodiscard]] absl::StatusOr<int> InPlace(Output* output, OutputForm form,
                                            const std::string& moment, uint64_t cluster_id,
                                            const replication::KeySelection& selection,
                                            const replication::BucketState& state);
  // How the moment is named, if that means another one later; "".
  [[nodiscard]] std::string MovingMoment() const;

  SourceFlags source_;
  TargetFlags target_;
  OutputFlag output_;
  std::string to_time_, before_change_, before_deletion_, endpoints_;
  std::string ca_file_, cert_file_, key_file_;
  int64_t to_revision_ = 0;
  std::vector<std::string> prefixes_, namespaces_;
  bool in_place_ = false, from_another_store_ = false, dry_run_ = false, yes_ = false;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_RESTORE_COMMAND_H_
