// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_TARGET_FLAGS_H_
#define JETD_CLI_TARGET_FLAGS_H_

#include <string>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "replication/stream_source.h"

namespace jetd::cli {

// The flags that say where a new bucket is to be made: the source flags' own names with `--to-`
// before them.
class TargetFlags {
 public:
  void AddTo(CLI::App* app);
  // `beside`: a source on an outside server, whose server and credentials are taken where no place
  // is given; null: there is none. InvalidArgument: the command line is wrong.
  [[nodiscard]] absl::StatusOr<replication::StreamSource> Read(
      const replication::StreamSource* beside) const;
  [[nodiscard]] int replicas() const { return replicas_; }
  [[nodiscard]] bool given() const {
    return !bucket_.empty() || !data_dir_.empty() || !nats_url_.empty();
  }

 private:
  std::string bucket_, data_dir_, nats_server_, nats_url_, creds_, nkey_, token_file_, ca_file_,
      cert_file_;
  std::string key_file_, domain_;
  int replicas_ = 1;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_TARGET_FLAGS_H_
