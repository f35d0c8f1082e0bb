// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_STREAM_DUMP_H_
#define JETD_REPLICATION_STREAM_DUMP_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "jetstream/nats_endpoint.h"
#include "replication/transaction_reader.h"

namespace jetd::replication {

// Where a bucket is: in the data folder of a jetd that does not run (a nats-server is started on it
// meanwhile; FailedPrecondition if a jetd has it), or on a nats-server that runs.
struct StreamSource {
  std::string bucket = "etcd";
  std::string data_dir{};
  std::string nats_server{};  // program, for `data_dir`
  std::vector<std::string> nats_urls{};
  jetstream::NatsCredentials credentials{};
  // No connection for so long, or no end of the reading: DeadlineExceeded.
  std::chrono::seconds patience{300};
};

// Reads all of it, in order, and changes nothing. Blocks; runs a loop of its own on the calling
// thread.
[[nodiscard]] absl::StatusOr<TransactionReader::Result> DumpStream(
    const StreamSource& source, const TransactionReader::TransactionFn& on_transaction);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STREAM_DUMP_H_
