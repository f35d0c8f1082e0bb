// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_TARGET_FLAGS_H_
#define JETD_CLI_TARGET_FLAGS_H_

#include <cstdint>
#include <string>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "cli/source_flags.h"
#include "replication/bucket_restore.h"
#include "replication/stream_source.h"

namespace jetd::cli {

// The flags that say where a new bucket is to be made: the source flags' own names with `--to-`
// before them; and how far its revision lies above the source's.
class TargetFlags {
 public:
  void AddTo(CLI::App* app);
  // `beside`: a source on an outside server, whose server and credentials are taken where no place
  // is given; null: there is none. InvalidArgument: the command line is wrong.
  [[nodiscard]] absl::StatusOr<replication::StreamSource> Read(
      const replication::StreamSource* beside) const;
  [[nodiscard]] int replicas() const { return replicas_; }
  [[nodiscard]] int64_t bump() const { return bump_; }
  [[nodiscard]] bool given() const {
    return !bucket_.empty() || !data_dir_.empty() || !nats_url_.empty();
  }

 private:
  NatsFlags nats_{"--to-nats-"};
  std::string bucket_, data_dir_, nats_server_, nats_url_;
  int replicas_ = 1;
  int64_t bump_ = replication::kDefaultBump;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_TARGET_FLAGS_H_
