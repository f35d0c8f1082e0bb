// SPDX-License-Identifier: Apache-2.0
#include "replication/transaction_reader.h"

#include <utility>

namespace jetd::replication {
namespace {

using Kind = StreamTransaction::Kind;
using SubjectKind = jetstream::SubjectCodec::Kind;

Kind KindOf(const revision::Replay::Held& held) {
  switch (held.kind) {
    case SubjectKind::kKey:
      return held.is_delete ? Kind::kDelete : Kind::kPut;
    case SubjectKind::kLease:
      return held.is_delete ? Kind::kLeaseGone : Kind::kLeaseGrant;
    case SubjectKind::kCompact:
      return Kind::kCompact;
    case SubjectKind::kTerm:
      return Kind::kTerm;
    case SubjectKind::kBarrier:
      return Kind::kBarrier;
    case SubjectKind::kLive:
      return Kind::kLive;
    case SubjectKind::kAlarm:
      return Kind::kAlarm;
    case SubjectKind::kOther:
      break;
  }
  return Kind::kOther;
}

StreamTransaction::Op OpOf(const revision::Replay::Held& held) {
  StreamTransaction::Op op{.seq = held.seq,
                           .kind = KindOf(held),
                           .payload = held.payload,
                           .create_revision = held.header.create_revision,
                           .version = held.header.version,
                           .lease = held.header.lease,
                           .dropped = held.dropped};
  if (held.kind == SubjectKind::kKey) {
    op.key = std::string(held.kv->key());
    op.payload = std::string(held.kv->value());
  } else if (held.kind == SubjectKind::kLease) {
    op.lease = held.lease;
  }
  return op;
}

}  // namespace

TransactionReader::TransactionReader(jetstream::Log* log, const jetstream::SubjectCodec* codec)
    : replay_(log, codec, nullptr) {
  replay_.set_on_judged([this](const revision::Replay::Held& held,
                               revision::Replay::Verdict verdict) { OnJudged(held, verdict); });
}

void TransactionReader::Run(TransactionFn on_transaction, DoneFn done) {
  on_transaction_ = std::move(on_transaction);
  replay_.Run([this, done = std::move(done)](absl::StatusOr<revision::Replay::Result> result) {
    Flush();
    if (!result.ok()) return done(result.status());
    done(Result{.last = result->last,
                .revision = result->revision,
                .compacted = result->compacted,
                .term = result->term,
                .undecided = !result->voids.empty()});
  });
}

// The next record of the same transaction comes right behind the one before, unless what was
// between them is gone.
void TransactionReader::OnJudged(const revision::Replay::Held& held,
                                 revision::Replay::Verdict verdict) {
  const bool counts = verdict == revision::Replay::Verdict::kCounts;
  const bool same = !current_.ops.empty() && held.header.count > 1 &&
                    held.header.revision == newest_.revision &&
                    held.header.count == newest_.count && held.header.term == newest_.term &&
                    held.header.index > newest_.index && counts == current_.counts;
  if (!same) Flush();
  newest_ = held.header;
  current_.revision = held.header.revision;
  current_.term = held.header.term;
  current_.time_ns = held.time_ns;
  current_.counts = counts;
  current_.count = held.header.count;
  current_.ops.push_back(OpOf(held));
  if (held.header.index == held.header.count) Flush();
}

void TransactionReader::Flush() {
  if (!current_.ops.empty()) on_transaction_(std::exchange(current_, {}));
}

}  // namespace jetd::replication
