// SPDX-License-Identifier: Apache-2.0
#include "replication/mirror_tools.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "jetstream/api_session.h"
#include "jetstream/mirror_config.h"
#include "jetstream/stream_setup.h"
#include "replication/log_session.h"
#include "replication/stream_dump.h"

namespace jetd::replication {
namespace {

// A stream may be compacted while it is read; then it is read again.
constexpr int kAttempts = 5;
constexpr size_t kDeletesAtOnce = 512;

absl::StatusOr<jetstream::MirrorFacts> FactsOfMirror(const StreamSource& mirror) {
  if (mirror.nats_urls.empty()) return absl::InvalidArgumentError("give --nats-url");
  auto session =
      jetstream::ApiSession::Open({.urls = mirror.nats_urls, .credentials = mirror.credentials});
  if (!session.ok()) return session.status();
  const auto info =
      (*session)->Ask(mirror.domain, Cat("STREAM.INFO.", jetstream::StreamName(mirror.bucket)));
  if (!info.ok()) {
    return MakeStatus(info.status().code(), "the mirror: ", MessageOf(info.status()));
  }
  return jetstream::MirrorFactsOf(*info);
}

struct Digested {
  StateDigest digest;
  TransactionReader::Result end;
};

absl::StatusOr<Digested> Digest(const StreamSource& source, StreamSeq upto) {
  absl::Status why;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    StateDigest digest(upto);
    auto end = DumpStream(
        source, [&digest](const StreamTransaction& transaction) { digest.Apply(transaction); });
    if (end.ok()) return Digested{std::move(digest), *end};
    why = end.status();
    if (GetErrc(why) != Errc::kUnavailable) break;
  }
  return why;
}

// Deletes a list of records, some at a time. Lives until it is done.
class Remover : public std::enable_shared_from_this<Remover> {
 public:
  Remover(jetstream::Log* log, const std::vector<StreamSeq>* seqs, const TrimOptions* options,
          std::function<void(absl::Status)> done)
      : log_(log), seqs_(seqs), options_(options), done_(std::move(done)) {}

  void Next() {
    if (options_->progress) options_->progress(at_, seqs_->size());
    if (at_ == seqs_->size()) return done_(absl::OkStatus());
    const size_t count = std::min(kDeletesAtOnce, seqs_->size() - at_);
    outstanding_ = count;
    const size_t first = std::exchange(at_, at_ + count);
    for (size_t i = first; i < first + count; ++i) {
      log_->Delete((*seqs_)[i], [self = shared_from_this()](const absl::Status& status) {
        if (self->status_.ok()) self->status_ = status;
        if (--self->outstanding_ > 0) return;
        if (!self->status_.ok()) return self->done_(self->status_);
        self->Next();
      });
    }
  }

 private:
  jetstream::Log* const log_;
  const std::vector<StreamSeq>* const seqs_;
  const TrimOptions* const options_;
  const std::function<void(absl::Status)> done_;
  size_t at_ = 0, outstanding_ = 0;
  absl::Status status_;
};

absl::Status RemoveAll(const StreamSource& mirror, const std::vector<StreamSeq>& seqs,
                       const TrimOptions& options) {
  const auto open = OpenSource::Open(mirror);
  if (!open.ok()) return open.status();
  return RunOnLog((*open)->LogOptions(),
                  {.connect = mirror.connect_patience,
                   .end = mirror.patience,
                   .interrupted = mirror.interrupted},
                  [&](jetstream::Log* log, const jetstream::LogInfo& /*info*/, auto done) {
                    std::make_shared<Remover>(log, &seqs, &options, std::move(done))->Next();
                  });
}

}  // namespace

absl::StatusOr<MirrorVerification> VerifyMirror(const StreamSource& origin,
                                                const StreamSource& mirror) {
  const auto facts = FactsOfMirror(mirror);
  if (!facts.ok()) return facts.status();
  MirrorVerification found;
  found.seq = facts->stream.state.last;
  const auto here = Digest(origin, found.seq);
  if (!here.ok()) {
    return MakeStatus(here.status().code(), "the origin: ", MessageOf(here.status()));
  }
  if (here->end.last < found.seq) {
    return MakeStatus(absl::StatusCode::kDataLoss, "the origin ends at sequence ",
                      here->end.last.value(), ", and the mirror has all up to ", found.seq.value());
  }
  found.revision = here->digest.revision();
  if (here->end.compacted > found.revision) {
    return MakeError(Errc::kUnavailable,
                     Cat("the origin was compacted at revision ", here->end.compacted.value(),
                         ", and the mirror is at ", found.revision.value(),
                         " only: verify it when it has caught up"));
  }
  const auto there = Digest(mirror, found.seq);
  if (!there.ok()) {
    return MakeStatus(there.status().code(), "the mirror: ", MessageOf(there.status()));
  }
  found.read = there->end.last;
  found.keys = here->digest.keys();
  found.origin_hash = here->digest.Hash();
  found.mirror_hash = there->digest.Hash();
  found.difference = here->digest.Compare(there->digest, "at the origin", "in the mirror");
  return found;
}

absl::StatusOr<TrimRule::Plan> TrimMirror(const StreamSource& mirror, const TrimOptions& options) {
  const auto facts = FactsOfMirror(mirror);
  if (!facts.ok()) return facts.status();
  if (!facts->mirrors) {
    return absl::FailedPreconditionError(
        "it is no mirror: a bucket that is served is trimmed by its compaction");
  }
  TrimRule rule(options.horizon);
  const auto end = DumpStream(
      mirror, [&rule](const StreamTransaction& transaction) { rule.Apply(transaction); });
  if (!end.ok()) return end.status();
  if (end->compacted == Revision{}) {
    return absl::FailedPreconditionError("the bucket was never compacted: nothing may go yet");
  }
  TrimRule::Plan plan = rule.Finish(end->compacted);
  if (options.dry_run == TrimOptions::DryRun::kYes) return plan;
  if (absl::Status status = RemoveAll(mirror, plan.removed, options); !status.ok()) return status;
  return plan;
}

}  // namespace jetd::replication
