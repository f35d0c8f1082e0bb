// SPDX-License-Identifier: Apache-2.0
#include "replication/stream_dump.h"

#include <memory>
#include <utility>

#include "jetstream/subject.h"
#include "replication/log_session.h"

namespace jetd::replication {

absl::StatusOr<TransactionReader::Result> ReadTransactions(
    const StreamSource& source, const TransactionReader::TransactionFn& on_transaction) {
  const auto open = OpenSource::Open(source);
  if (!open.ok()) return open.status();
  const jetstream::SubjectCodec codec(source.bucket);
  uint64_t transactions = 0;
  const auto counted = [&](const StreamTransaction& transaction) {
    if (source.progress) source.progress(++transactions);
    on_transaction(transaction);
  };
  std::unique_ptr<TransactionReader> reader;
  TransactionReader::Result result;
  const absl::Status status =
      RunOnLog((*open)->LogOptions(),
               {.connect = source.connect_patience,
                .end = source.patience,
                .interrupted = source.interrupted},
               [&](jetstream::Log* log, const jetstream::LogInfo& /*info*/, auto done) {
                 reader = std::make_unique<TransactionReader>(log, &codec);
                 reader->Run(counted, [&result, done = std::move(done)](
                                          absl::StatusOr<TransactionReader::Result> read) {
                   if (read.ok()) result = *read;
                   done(read.status());
                 });
               });
  if (!status.ok()) return status;
  return result;
}

absl::StatusOr<TransactionReader::Result> DumpStream(
    const StreamSource& source, const TransactionReader::TransactionFn& on_transaction) {
  StreamSource strict = source;
  strict.exclusive = StreamSource::Exclusive::kNo;
  return ReadTransactions(strict, on_transaction);
}

}  // namespace jetd::replication
