// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_STREAM_DUMP_H_
#define JETD_REPLICATION_STREAM_DUMP_H_

#include "absl/status/statusor.h"
#include "replication/stream_source.h"
#include "replication/transaction_reader.h"

namespace jetd::replication {

// Reads all of it, in order, and changes nothing. Blocks; runs a loop of its own on the calling
// thread. After an error what was told before it stands.
[[nodiscard]] absl::StatusOr<TransactionReader::Result> ReadTransactions(
    const StreamSource& source, const TransactionReader::TransactionFn& on_transaction);

// The same for who looks for damage: a hole is an error, whoever wrote the stream.
[[nodiscard]] absl::StatusOr<TransactionReader::Result> DumpStream(
    const StreamSource& source, const TransactionReader::TransactionFn& on_transaction);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STREAM_DUMP_H_
