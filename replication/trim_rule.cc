// SPDX-License-Identifier: Apache-2.0
#include "replication/trim_rule.h"

#include <algorithm>
#include <utility>

#include "jetstream/record.h"

namespace jetd::replication {

using Kind = StreamTransaction::Kind;
using jetstream::SeqRange;

namespace {

std::vector<SeqRange> Without(const std::vector<SeqRange>& ranges, const SeqRange& gone) {
  std::vector<SeqRange> left;
  for (const SeqRange& range : ranges) {
    if (range.last < gone.first || range.first > gone.last) {
      left.push_back(range);
      continue;
    }
    if (range.first < gone.first) left.push_back({range.first, gone.first.Prev()});
    if (range.last > gone.last) left.push_back({gone.last.Next(), range.last});
  }
  return left;
}

}  // namespace

void TrimRule::Apply(const StreamTransaction& transaction) {
  records_ += transaction.ops.size();
  if (transaction.counts) {
    behind_ = behind_ || transaction.revision > horizon_.revision ||
              transaction.time_ns > horizon_.time_ns;
    if (!behind_) revision_ = std::max(revision_, transaction.revision);
  }
  if (behind_) return;
  for (const StreamTransaction::Op& op : transaction.ops) {
    if (transaction.counts) {
      ApplyOp(op, transaction.revision);
    } else if (op.kind != Kind::kTerm) {
      Note(op.seq, revision_);
    }
  }
}

void TrimRule::Supersede(StreamSeq* newest, StreamSeq seq, Revision revision) {
  if (*newest != StreamSeq{}) Note(*newest, revision);
  *newest = seq;
}

void TrimRule::ApplyOp(const StreamTransaction::Op& op, Revision revision) {
  switch (op.kind) {
    case Kind::kPut:
    case Kind::kDelete:
      return Supersede(&keys_[op.key], op.seq, revision);
    case Kind::kLeaseGrant:
    case Kind::kLeaseGone:
      return Supersede(&leases_[op.lease], op.seq, revision);
    case Kind::kCompact:
      return Supersede(&compact_, op.seq, revision_);
    case Kind::kAlarm:
      return Supersede(&alarm_, op.seq, revision_);
    case Kind::kTerm: {
      Supersede(&term_, op.seq, revision_);
      const auto term = jetstream::DecodeTerm(op.payload);
      // It stays, and so nothing supersedes it.
      if (!term.ok() || !term->voids.empty()) term_ = StreamSeq{};
      return;
    }
    case Kind::kLive:
      return ApplyList(op);
    case Kind::kBarrier:
      return Note(op.seq, revision_);
    default:
      return;  // stays
  }
}

// A later list leaves out all that an earlier one does (docs/adr/0019).
void TrimRule::ApplyList(const StreamTransaction::Op& op) {
  const auto live = jetstream::DecodeLive(op.payload);
  if (!live.ok()) return;  // stays
  std::erase_if(lists_, [&](List& list) {
    list.alone = Without(list.alone, live->range);
    if (list.alone.empty()) Note(list.seq, revision_);
    return list.alone.empty();
  });
  lists_.push_back({.seq = op.seq, .alone = {live->range}});
}

TrimRule::Plan TrimRule::Finish(Revision compacted) {
  Plan plan;
  plan.horizon = std::min(revision_, compacted);
  plan.records = records_;
  for (const Candidate& candidate : candidates_) {
    if (candidate.by <= compacted) plan.removed.push_back(candidate.seq);
  }
  std::sort(plan.removed.begin(), plan.removed.end());
  return plan;
}

}  // namespace jetd::replication
