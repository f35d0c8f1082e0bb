// SPDX-License-Identifier: Apache-2.0
#include "jetstream/mirror_compare.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "jetstream/mirror_config.h"
#include "jetstream/stream_setup.h"

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
    if (absl::IsNotFound(answer.status())) {
      answer_.missing.push_back({record.seq, record.subject});
      return;
    }
    const auto there = answer.ok() ? StoredMessageOf(*answer) : answer.status();
    if (!there.ok()) {
      failure_ = there.status();
    } else if (*there != record) {
      answer_.different.push_back({record.seq, record.subject});
    }
  }

  void EndOfOrigin(StreamSeq upto) {
    answer_.upto = upto;
    read_ = true;
    EndIfDone();
  }

  void EndIfDone() {
    if (!read_ || under_way_ > 0) return;
    if (!failure_.ok()) return End(failure_);
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
