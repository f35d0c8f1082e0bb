// SPDX-License-Identifier: Apache-2.0
#include "replication/state_fold.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "jetstream/record.h"

namespace jetd::replication {
namespace {

using Kind = StreamTransaction::Kind;

}  // namespace

StateFold::StateFold(std::vector<Point> points, const StateOptions* options)
    : options_(options), open_(points.size()) {
  for (Point& point : points) wanted_.push_back({.point = std::move(point), .grown = {}});
}

void StateFold::Add(StreamTransaction transaction, Revision compacted) {
  NoteSequences(transaction);
  if (!transaction.counts) return;
  for (Wanted& wanted : wanted_) {
    if (wanted.open && Closes(transaction, wanted.point)) Close(&wanted, transaction);
  }
  survey_.Add(transaction, compacted);
  if (open_ > 0) Apply(&transaction);
}

void StateFold::NoteSequences(const StreamTransaction& transaction) {
  for (const StreamTransaction::Op& op : transaction.ops) {
    if (op.seq > seen_.Next()) now_.whole = false;
    seen_ = std::max(seen_, op.seq);
  }
}

bool StateFold::Closes(const StreamTransaction& transaction, const Point& point) const {
  if (point.kind == Point::Kind::kRevision) {
    return ChangesKeys(transaction) && transaction.revision > point.revision;
  }
  return point.kind == Point::Kind::kTime && IsOfClients(transaction) &&
         transaction.time_ns > point.time_ns;
}

void StateFold::Close(Wanted* wanted, const StreamTransaction& transaction) {
  // Between the newest stamp in front of it and its own, what is missing may have been written.
  const Revision before = now_.state.revision;
  const Revision follows = ChangesKeys(transaction) ? before.Next() : before;
  const bool missing = transaction.revision > follows || transaction.ops.size() < transaction.count;
  if (missing && wanted->point.kind == Point::Kind::kTime &&
      wanted->point.time_ns > survey_.clock_ns()) {
    wanted->unknown = transaction.ops.size() < transaction.count || !ChangesKeys(transaction)
                          ? transaction.revision
                          : transaction.revision.Prev();
  }
  wanted->open = false;
  if (--open_ == 0) {
    wanted->grown = std::exchange(now_, {});
  } else {
    wanted->grown = now_;
  }
}

void StateFold::Apply(StreamTransaction* transaction) {
  now_.state.last = transaction->ops.back().seq;
  if (ChangesKeys(*transaction)) {
    now_.state.revision = transaction->revision;
    now_.state.time_ns = transaction->time_ns;
  }
  for (StreamTransaction::Op& op : transaction->ops) {
    if (op.kind == Kind::kPut || op.kind == Kind::kDelete) {
      ApplyKey(&op, transaction->revision);
    } else if (op.kind == Kind::kLeaseGrant || op.kind == Kind::kLeaseGone) {
      ApplyLease(op);
    }
  }
}

void StateFold::ApplyKey(StreamTransaction::Op* op, Revision revision) {
  if (!op->key.starts_with(options_->prefix)) return;
  if (op->kind == Kind::kDelete) {
    const auto found = now_.state.keys.find(op->key);
    if (found != now_.state.keys.end()) now_.state.keys.erase(found);
    return;
  }
  // Not emptied: that would keep its memory.
  const bool keep = options_->values == StateOptions::Values::kYes;
  now_.state.keys[op->key] = {.value = keep ? std::move(op->payload) : std::string(),
                              .create_revision = op->create_revision,
                              .mod_revision = revision,
                              .version = op->version,
                              .lease = op->lease};
}

void StateFold::ApplyLease(const StreamTransaction::Op& op) {
  now_.dropped_leases.erase(op.lease);
  if (op.kind == Kind::kLeaseGone) {
    now_.state.leases.erase(op.lease);
    return;
  }
  if (op.dropped) now_.dropped_leases.insert(op.lease);
  const auto lease = jetstream::DecodeLease(op.payload);
  // Replay has refused what cannot be read.
  if (lease.ok()) now_.state.leases[op.lease] = lease->ttl_s;
}

absl::Status StateFold::Check(const Wanted& wanted, const Points& points, int64_t now_ns) const {
  const Point& point = wanted.point;
  const Revision revision = wanted.grown.state.revision;
  if (point.kind == Point::Kind::kRevision) return points.Restorable(point.revision);
  if (wanted.open && !points.damage.ok()) {
    return MakeStatus(absl::StatusCode::kDataLoss, "what was there at ", ToText(point),
                      " lies behind revision ", points.current.value(),
                      ", where the stream cannot be read: ", MessageOf(points.damage));
  }
  if (point.kind == Point::Kind::kNewest) return points.Restorable(revision);
  if (point.time_ns > std::max(now_ns, points.last_ns)) {
    return MakeStatus(absl::StatusCode::kOutOfRange, TimeText(point.time_ns),
                      " is in the future: the newest change is of ", TimeText(points.last_ns));
  }
  if (point.time_ns < survey_.first_ns()) {
    return MakeStatus(absl::StatusCode::kOutOfRange, TimeText(point.time_ns),
                      " is before the first change that the stream holds, of ",
                      TimeText(survey_.first_ns()));
  }
  if (wanted.unknown != Revision{}) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "what was there at ",
                      TimeText(point.time_ns), " cannot be told: records of revisions ",
                      revision.Next().value(), " to ", wanted.unknown.value(),
                      " were removed by compaction, and with them when they were written");
  }
  absl::Status restorable = points.Restorable(revision);
  if (restorable.ok()) return restorable;
  return MakeStatus(restorable.code(), TimeText(point.time_ns), ": ", MessageOf(restorable));
}

// What was gone at the compact revision counts in front of it: were the change missing that ended
// it, this would be no point that can be restored.
void StateFold::Settle(Growing* grown, const Points& points) const {
  State& state = grown->state;
  if (state.revision >= points.compacted) {
    for (const PointSurvey::Ghost& ghost : survey_.ghosts()) {
      const auto found = state.keys.find(ghost.key);
      if (found != state.keys.end() && found->second.mod_revision == ghost.mod) {
        state.keys.erase(found);
      }
    }
    for (const LeaseId lease : grown->dropped_leases) state.leases.erase(lease);
  }
  state.all_leases = grown->whole || state.revision >= points.compacted;
  std::set<LeaseId> lost;
  for (const auto& [key, value] : state.keys) {
    if (value.lease != LeaseId{} && !state.leases.contains(value.lease)) lost.insert(value.lease);
  }
  state.lost_leases.assign(lost.begin(), lost.end());
}

absl::StatusOr<std::vector<State>> StateFold::Finish(
    const absl::StatusOr<TransactionReader::Result>& end, int64_t now_ns) {
  const Points points = survey_.Finish(end);
  std::vector<State> states;
  for (Wanted& wanted : wanted_) {
    if (wanted.open) {
      wanted.grown = --open_ == 0 ? std::move(now_) : now_;
      wanted.grown.state.revision = points.current;
    }
    if (wanted.point.kind == Point::Kind::kRevision) {
      // One that no record has, in a bucket that was restored, is what was there before it.
      wanted.grown.state.revision = std::min(wanted.point.revision, points.current);
    }
    if (absl::Status why = Check(wanted, points, now_ns); !why.ok()) return why;
    Settle(&wanted.grown, points);
    wanted.grown.state.points = points;
    states.push_back(std::move(wanted.grown.state));
  }
  return states;
}

}  // namespace jetd::replication
