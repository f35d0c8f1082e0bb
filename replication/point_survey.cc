// SPDX-License-Identifier: Apache-2.0
#include "replication/point_survey.h"

#include <algorithm>

#include "base/strings.h"

namespace jetd::replication {
namespace {

using Kind = StreamTransaction::Kind;

bool OfKey(const StreamTransaction::Op& op) {
  return op.kind == Kind::kPut || op.kind == Kind::kDelete;
}

}  // namespace

bool IsOfClients(const StreamTransaction& transaction) {
  return std::any_of(transaction.ops.begin(), transaction.ops.end(), [](const auto& op) {
    return OfKey(op) || op.kind == Kind::kLeaseGrant || op.kind == Kind::kLeaseGone;
  });
}

bool ChangesKeys(const StreamTransaction& transaction) {
  return transaction.count > 1 ||
         std::any_of(transaction.ops.begin(), transaction.ops.end(), OfKey);
}

void PointSurvey::Add(const StreamTransaction& transaction, Revision compacted) {
  compacted_ = std::max(compacted_, compacted);
  if (!transaction.counts || !IsOfClients(transaction)) return;
  NoteTime(transaction.time_ns);
  if (!ChangesKeys(transaction)) return;
  const Revision revision = transaction.revision;
  if (revision > newest_.Next()) NoteBroken(newest_.Next(), revision.Prev());
  if (transaction.ops.size() < transaction.count) NoteBroken(revision, revision);
  for (const StreamTransaction::Op& op : transaction.ops) {
    if (OfKey(op)) Change(op, revision);
  }
  newest_ = std::max(newest_, revision);
  newest_ns_ = clock_ns_;
  if (compacted_ns_ == 0 && newest_ >= compacted_) compacted_ns_ = clock_ns_;
}

void PointSurvey::NoteTime(int64_t time_ns) {
  if (first_ns_ == 0) first_ns_ = time_ns;
  if (time_ns < clock_ns_) {
    ++went_back_;
    went_back_ns_ = std::max(went_back_ns_, clock_ns_ - time_ns);
  }
  clock_ns_ = std::max(clock_ns_, time_ns);
}

void PointSurvey::NoteBroken(Revision first, Revision last) {
  if (broken_ == Revision{}) {
    broken_ = first;
    before_broken_ns_ = newest_ns_;
  }
  last_broken_ = std::max(last_broken_, last);
  if (last > from_) {
    from_ = last;
    from_ns_ = clock_ns_;
  }
}

void PointSurvey::NoteTorn(Revision at, int64_t from_ns) {
  // What was before it, nobody knows since when: nothing in front of it is sure.
  if (broken_ == Revision{}) broken_ = Revision(2);
  if (at > from_) {
    from_ = at;
    from_ns_ = from_ns;
  }
}

void PointSurvey::AddGhost(const std::string& key, Revision mod) {
  ghosts_.push_back({.key = key, .mod = mod});
  // What ended it is gone.
  NoteTorn(compacted_, compacted_ns_ == 0 ? clock_ns_ : compacted_ns_);
}

bool PointSurvey::Follows(const StreamTransaction::Op& op, Revision revision,
                          const Version* before) const {
  if (op.kind == Kind::kDelete) {
    return before != nullptr && (revision > compacted_ || before->mod >= last_broken_);
  }
  if (op.version == 1) return before == nullptr;
  return before != nullptr && before->create == op.create_revision &&
         before->version + 1 == op.version;
}

void PointSurvey::Change(const StreamTransaction::Op& op, Revision revision) {
  const auto found = live_.find(op.key);
  const Version* const before = found == live_.end() ? nullptr : &found->second;
  const bool follows = Follows(op, revision, before);
  if (revision <= compacted_) {
    if (!follows) NoteTorn(revision, clock_ns_);
  } else if (before != nullptr && before->mod <= compacted_ && (!follows || before->dropped)) {
    AddGhost(op.key, before->mod);
  }
  if (op.kind == Kind::kDelete) {
    if (found != live_.end()) live_.erase(found);
    return;
  }
  live_[op.key] = {
      .mod = revision, .create = op.create_revision, .version = op.version, .dropped = op.dropped};
}

Points PointSurvey::Finish(const absl::StatusOr<TransactionReader::Result>& end) {
  Points points;
  points.clock_went_back = went_back_;
  points.clock_went_back_ns = went_back_ns_;
  points.last_ns = clock_ns_;
  if (end.ok()) {
    points.current = end->revision;
    points.compacted = compacted_ = end->compacted;
    points.last = end->last;
    points.undecided = end->undecided;
    // A bucket that was restored begins at a compact revision that no record has.
    if (compacted_ > newest_) NoteBroken(newest_.Next(), compacted_);
  } else {
    points.current = newest_;
    points.compacted = compacted_;
    points.damage = end.status();
  }
  for (const auto& [key, version] : live_) {
    if (version.dropped) AddGhost(key, version.mod);
  }
  // What tells of changes that are torn off may lie behind the damage.
  const bool upper = broken_ == Revision{} || end.ok() || newest_ >= compacted_;
  const bool lower = broken_ > Revision(2) && (!upper || broken_ < from_);
  if (lower) {
    points.ranges.push_back({.first = Revision(1),
                             .last = broken_.Prev(),
                             .first_ns = first_ns_,
                             .last_ns = before_broken_ns_});
  }
  // A single broken revision that nothing is torn off at hides nothing.
  const bool whole = broken_ == Revision{} || broken_ >= from_;
  if (upper) {
    points.ranges.push_back({.first = whole ? Revision(1) : from_,
                             .last = points.current,
                             .first_ns = whole ? first_ns_ : from_ns_,
                             .last_ns = clock_ns_});
  }
  if (!whole || !upper) {
    points.gaps.push_back({.first = lower ? broken_ : Revision(1),
                           .last = upper ? from_.Prev() : points.current,
                           .why = Cat("records were removed by compaction (up to revision ",
                                      compacted_.value(), ")")});
  }
  return points;
}

}  // namespace jetd::replication
