// SPDX-License-Identifier: Apache-2.0
#include "jetstream/mirror_compare.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/error.h"
#include "base/strings.h"
#include "jetstream/long_subject.h"
#include "jetstream/mirror_config.h"
#include "jetstream/nats_reader.h"
#include "jetstream/stream_setup.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {
namespace {

using Json = absl::StatusOr<nlohmann::json>;

// Held by the questions that are under way.
class Comparison : public std::enable_shared_from_this<Comparison> {
 public:
  Comparison(DomainApi* origin, DomainApi* mirror, const std::string& bucket,
             std::string origin_domain, CompareQuestion question, Log::CompareFn done)
      : origin_(origin),
        mirror_(mirror),
        origin_domain_(std::move(origin_domain)),
        question_(std::move(question)),
        get_(Cat("STREAM.MSG.GET.", StreamName(bucket))),
        info_(Cat("STREAM.INFO.", StreamName(bucket))),
        codec_(bucket),
        done_(std::move(done)),
        next_(question_.from) {}

  void Begin() { AskOrigin(); }

 private:
  void AskOrigin() {
    if (next_ > question_.upto) return EndOfOrigin(question_.upto);
    if (answer_.records >= question_.max_records || answer_.bytes >= question_.max_bytes) {
      return EndOfOrigin(next_.Prev());
    }
    const nlohmann::json which = {{"seq", next_.value()}, {"next_by_subj", ">"}};
    origin_->Ask(origin_domain_, get_, which.dump(),
                 [self = shared_from_this()](const Json& answer) {
                   if (absl::IsNotFound(answer.status())) {
                     return self->EndOfOrigin(self->question_.upto);
                   }
                   auto record = answer.ok() ? StoredMessageOf(*answer) : answer.status();
                   if (!record.ok()) return self->End(record.status());
                   if (record->seq > self->question_.upto) {
                     return self->EndOfOrigin(self->question_.upto);
                   }
                   self->AskMirror(*std::move(record));
                   self->AskOrigin();
                 });
  }

  void AskMirror(StoredMessage record) {
    ++answer_.records;
    answer_.bytes += record.bytes();
    next_ = record.seq.Next();
    ++under_way_;
    const nlohmann::json which = {{"seq", record.seq.value()}};
    mirror_->Ask(question_.domain, get_, which.dump(),
                 [self = shared_from_this(), record = std::move(record)](const Json& answer) {
                   --self->under_way_;
                   self->Compare(record, answer);
                   self->EndIfDone();
                 });
  }

  void Compare(const StoredMessage& record, const Json& answer) {
    if (absl::IsNotFound(answer.status())) return NoteMissing(record);
    const auto there = answer.ok() ? StoredMessageOf(*answer) : answer.status();
    if (!there.ok()) {
      failure_ = there.status();
    } else if (*there != record) {
      answer_.different.push_back({.seq = record.seq, .subject = SubjectOf(record)});
    }
  }

  [[nodiscard]] std::string SubjectOf(const StoredMessage& record) const {
    return std::string(
        TrueSubjectOf(codec_.prefix(), record.subject, record.Header(kSubjectHeader)));
  }

  void NoteMissing(const StoredMessage& record) {
    CompareAnswer::Found found{.seq = record.seq, .subject = SubjectOf(record)};
    if (found.subject == codec_.TermSubject() &&
        !absl::Base64Unescape(record.payload, &found.payload)) {
      failure_ = MakeError(Errc::kUnavailable, "the origin's answer has no payload");
    }
    if (!IsDeleteOperation(record.Header("KV-Operation"))) {
      answer_.missing.push_back(std::move(found));
      return;
    }
    ++under_way_;
    const nlohmann::json newest = {{"last_by_subj", record.subject}};
    mirror_->Ask(question_.domain, get_, newest.dump(),
                 [self = shared_from_this(), found = std::move(found)](const Json& answer) mutable {
                   --self->under_way_;
                   self->NoteMarker(std::move(found), answer);
                   self->EndIfDone();
                 });
  }

  void NoteMarker(CompareAnswer::Found found, const Json& answer) {
    if (!absl::IsNotFound(answer.status())) {
      const auto there = answer.ok() ? StoredMessageOf(*answer) : answer.status();
      if (!there.ok()) {
        failure_ = there.status();
        return;
      }
      found.lives_on = there->seq < found.seq && !IsDeleteOperation(there->Header("KV-Operation"));
    }
    answer_.missing.push_back(std::move(found));
  }

  void EndOfOrigin(StreamSeq upto) {
    answer_.upto = upto;
    read_ = true;
    EndIfDone();
  }

  void EndIfDone() {
    if (!read_ || under_way_ > 0) return;
    if (!failure_.ok()) return End(failure_);
    std::sort(answer_.missing.begin(), answer_.missing.end(),
              [](const auto& a, const auto& b) { return a.seq < b.seq; });
    if (answer_.missing.empty()) return End(std::move(answer_));
    // One that went back gets them again.
    mirror_->Ask(question_.domain, info_, "", [self = shared_from_this()](const Json& answer) {
      const auto facts = answer.ok() ? FactsOf(*answer) : answer.status();
      if (!facts.ok()) return self->End(facts.status());
      if (facts->state.last < self->question_.upto) {
        return self->End(MakeError(Errc::kUnavailable,
                                   Cat("the mirror went back to ", facts->state.last.value())));
      }
      self->End(std::move(self->answer_));
    });
  }

  void End(absl::StatusOr<CompareAnswer> result) {
    const Log::CompareFn done = std::exchange(done_, nullptr);
    if (done) done(std::move(result));
  }

  DomainApi* const origin_;
  DomainApi* const mirror_;
  const std::string origin_domain_;
  const CompareQuestion question_;
  const std::string get_, info_;
  const SubjectCodec codec_;
  Log::CompareFn done_;  // null: told
  StreamSeq next_;       // from here on the origin is still to be asked
  CompareAnswer answer_;
  absl::Status failure_;
  size_t under_way_ = 0;  // questions to the mirror
  bool read_ = false;     // the origin was asked for all
};

}  // namespace

void CompareRecords(DomainApi* origin, DomainApi* mirror, const std::string& bucket,
                    const std::string& origin_domain, const CompareQuestion& question,
                    Log::CompareFn done) {
  std::make_shared<Comparison>(origin, mirror, bucket, origin_domain, question, std::move(done))
      ->Begin();
}

}  // namespace jetd::jetstream
