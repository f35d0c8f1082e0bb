// SPDX-License-Identifier: Apache-2.0
//
// For tests of StreamCheck: a stream written by hand or copied, and a check of it.
#ifndef JETD_REPLICATION_CHECK_HARNESS_H_
#define JETD_REPLICATION_CHECK_HARNESS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/fake_executor.h"
#include "base/fuzz_input.h"
#include "base/strings.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "jetstream/record.h"
#include "jetstream/silent_observer.h"
#include "jetstream/subject.h"
#include "replication/stream_check.h"
#include "revision/store.h"

namespace jetd::replication {

enum class Server { kEmbedded, kOutside };

// A stream of a test's own bucket "B", checked with a replay.
inline absl::StatusOr<CheckReport> CheckOf(FakeExecutor* exec, jetstream::MemoryStream* stream,
                                           Server server,
                                           std::function<void(uint64_t, uint64_t)> progress = {}) {
  jetstream::MemoryLog::Options options;
  options.exclusive = server == Server::kEmbedded;
  options.read_batch = 1;
  // So that things can happen meanwhile.
  options.faults.api_delay = [] { return std::chrono::microseconds(1); };
  jetstream::MemoryLog log(exec, stream, options);
  jetstream::SilentObserver observer;
  log.Open(&observer, [](const absl::Status&) {});
  exec->RunDeferred();
  const jetstream::SubjectCodec codec(stream->bucket());
  revision::Store store;
  StreamCheck check(&log, &codec, {.store = &store, .progress = std::move(progress)});
  std::optional<absl::StatusOr<CheckReport>> result;
  check.Run([&](absl::StatusOr<CheckReport> report) { result = std::move(report); });
  exec->Advance(std::chrono::seconds(1));
  log.Close();
  exec->RunDeferred();
  if (!result.has_value()) return absl::InternalError("the check did not end");
  return *std::move(result);
}

// A stream as text, one record a line, for fixtures and fuzzing:
//   p|<subject behind the bucket>|<header>|<payload>     a put; d|… a delete
//   -                                                    a sequence that is gone
inline void AppendLines(std::string_view text, size_t max_records,
                        jetstream::MemoryStream* stream) {
  FuzzInput input(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  for (size_t n = 0; n < max_records && !input.empty(); ++n) {
    const std::string_view line = input.Line();
    FuzzInput fields(reinterpret_cast<const uint8_t*>(line.data()), line.size());
    const std::string_view kind = fields.Until('|');
    const std::string subject = Cat("$KV.B.", fields.Until('|'));
    const std::string header(fields.Until('|'));
    const StreamSeq seq = stream->AppendForeign(
        {.subject = subject, .header = header, .is_delete = kind == "d", .payload = fields.rest()});
    if (kind == "-") stream->Delete(seq);
  }
}
inline std::string LinesOf(const jetstream::MemoryStream& stream) {
  std::string text;
  for (StreamSeq seq(1); seq <= stream.last(); seq = seq.Next()) {
    const auto record = stream.Find(seq);
    if (record == nullptr) {
      text += "-\n";
    } else {
      CatTo(text, record->is_delete ? "d|" : "p|", record->subject.substr(stream.prefix().size()),
            "|", record->header, "|", record->payload, "\n");
    }
  }
  return text;
}

// Every record of `from` as `edit` leaves it, at its place; what `edit` says false of is missing.
inline std::unique_ptr<jetstream::MemoryStream> CopyStream(
    const jetstream::MemoryStream& from,
    const std::function<bool(jetstream::MemoryStream::Stored*)>& edit) {
  auto to = std::make_unique<jetstream::MemoryStream>();
  for (StreamSeq seq(1); seq <= from.last(); seq = seq.Next()) {
    const jetstream::MemoryStream::StoredPtr found = from.Find(seq);
    jetstream::MemoryStream::Stored record;
    bool there = found != nullptr;
    if (there) {
      record = *found;
      there = edit(&record);
    }
    const StreamSeq at = to->AppendForeign({.subject = record.subject,
                                            .header = record.header,
                                            .is_delete = record.is_delete,
                                            .payload = record.payload});
    JETD_CHECK(at == seq) << "a copy of " << seq << " at " << at;
    if (!there) to->Delete(seq);
  }
  return to;
}

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_CHECK_HARNESS_H_
