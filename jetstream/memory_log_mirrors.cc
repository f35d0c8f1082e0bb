// SPDX-License-Identifier: Apache-2.0
//
// The mirrors of a stream in memory: as a test says that they are.
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "jetstream/memory_log.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {
namespace {

// What the mirror has last of that subject; null: nothing.
MemoryStream::StoredPtr NewestOf(const MemoryStream& mirror, const std::string& subject) {
  MemoryStream::StoredPtr newest;
  for (const auto& [seq, record] : mirror.records()) {
    if (record->subject == subject) newest = record;
  }
  return newest;
}

CompareAnswer::Found Missing(const MemoryStream::Stored& record, const MemoryStream& mirror,
                             const std::string& term_subject) {
  CompareAnswer::Found found{.seq = record.seq, .subject = record.subject};
  if (record.subject == term_subject) found.payload = record.payload;
  if (!record.is_delete) return found;
  const MemoryStream::StoredPtr newest = NewestOf(mirror, record.subject);
  found.lives_on = newest != nullptr && newest->seq < record.seq && !newest->is_delete;
  return found;
}

}  // namespace

void MemoryLog::Mirrors(const MirrorsQuestion& /*question*/, MirrorsFn done) {
  State([this, done = std::move(done)](const absl::StatusOr<StreamState>& state) {
    if (!state.ok()) return done(state.status());
    std::vector<MirrorState> mirrors = mirrors_;
    for (MirrorState& mirror : mirrors) mirror.last = state->last;
    done(std::move(mirrors));
  });
}

void MemoryLog::CompareWithMirror(const CompareQuestion& question, CompareFn done) {
  State([this, question, done = std::move(done)](const absl::StatusOr<StreamState>& state) {
    if (!state.ok()) return done(state.status());
    if (mirror_stream_ == nullptr) return done(MakeError(Errc::kUnavailable, "it is away"));
    CompareAnswer answer;
    answer.upto = question.upto;
    for (const auto& [seq, record] : stream_->records()) {
      if (seq < question.from) continue;
      if (seq > question.upto) break;
      if (answer.records == question.max_records || answer.bytes >= question.max_bytes) {
        answer.upto = seq.Prev();
        break;
      }
      ++answer.records;
      answer.bytes += record->bytes();
      const MemoryStream::StoredPtr there = mirror_stream_->Find(seq);
      if (there == nullptr) {
        answer.missing.push_back(
            Missing(*record, *mirror_stream_, SubjectCodec(stream_->bucket()).TermSubject()));
      } else if (there->subject != record->subject || there->header != record->header ||
                 there->is_delete != record->is_delete || there->payload != record->payload) {
        answer.different.push_back({.seq = seq, .subject = record->subject});
      }
    }
    done(std::move(answer));
  });
}

}  // namespace jetd::jetstream
