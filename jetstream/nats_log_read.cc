// SPDX-License-Identifier: Apache-2.0
//
// How a NatsLog reads: single records by sequence, all from one on through a consumer, or a long
// stream out of the server's own files.
#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "jetstream/file_reader.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_session.h"

namespace jetd::jetstream {

void NatsLog::Read(const ReadOptions& options, RecordFn on_record, ReadDoneFn done) {
  if (!connected()) {
    return Later(
        [done = std::move(done)] { done(MakeError(Errc::kUnavailable, "not connected to NATS")); });
  }
  if (!WorthFiles(options)) {
    return ReadByConsumer(options, std::move(on_record), std::move(done));
  }
  Session* const session = session_.get();
  FileReader::Source source{.loop = loop_,
                            .api = session->api.get(),
                            .stream = options_.stream,
                            .folder = options_.stream_folder,
                            .min_records = options_.min_records_from_files,
                            .few_deletes = session->few_deletes};
  auto otherwise = [this, session, options](StreamSeq from, RecordFn record_fn,
                                            ReadDoneFn done_fn) {
    session->reader_finished = true;
    ReadOptions rest = options;
    rest.from = from;
    ReadByConsumer(rest, std::move(record_fn), std::move(done_fn));
  };
  session->file_readers.push_back(std::make_unique<FileReader>(
      std::move(source), &files_, options, std::move(on_record),
      [session, done = std::move(done)](absl::StatusOr<StreamSeq> last) {
        session->reader_finished = true;
        done(std::move(last));
      },
      std::move(otherwise)));
  session->file_readers.back()->Start();
}

bool NatsLog::WorthFiles(const ReadOptions& options) const {
  if (options_.stream_folder.empty() || files_.doubted || !FileReader::Can(options)) return false;
  const StreamState& state = session_->state;
  const uint64_t before = options.from.value() - std::min<uint64_t>(options.from.value(), 1);
  const uint64_t range = state.last.value() - std::min(before, state.last.value());
  return std::min(range, state.messages) >= options_.min_records_from_files;
}

void NatsLog::ReadByConsumer(const ReadOptions& options, RecordFn on_record, ReadDoneFn done) {
  Session* const session = session_.get();
  auto finished = [session, done = std::move(done)](absl::StatusOr<StreamSeq> last) {
    session->reader_finished = true;
    done(std::move(last));
  };
  session->readers.push_back(std::make_unique<NatsReader>(
      loop_, session->connection.get(), session->api.get(), options_.stream, session->next_reader++,
      options, std::move(on_record), std::move(finished)));
  session->readers.back()->Start();
}

void NatsLog::Get(const std::vector<StreamSeq>& seqs, RecordFn on_record, DoneFn done) {
  if (!connected()) {
    return Later(
        [done = std::move(done)] { done(MakeError(Errc::kUnavailable, "not connected to NATS")); });
  }
  if (seqs.empty()) return Later([done = std::move(done)] { done(absl::OkStatus()); });
  session_->records->Get(seqs, std::move(on_record), std::move(done));
}

}  // namespace jetd::jetstream
