// SPDX-License-Identifier: Apache-2.0
#include "replication/change_finder.h"

#include <utility>

#include "base/strings.h"
#include "replication/kube_object.h"

namespace jetd::replication {

ChangeFinder::ChangeFinder(const std::vector<Point>& points) {
  for (const Point& point : points) {
    if (!Finds(point)) continue;
    Seen& seen = keys_[point.key];
    seen.reads_values = seen.reads_values || point.kind == Point::Kind::kBeforeDeletion;
  }
}

void ChangeFinder::Add(const StreamTransaction& transaction) {
  if (!transaction.counts) return;
  for (const StreamTransaction::Op& op : transaction.ops) {
    const bool put = op.kind == StreamTransaction::Kind::kPut;
    if (!put && op.kind != StreamTransaction::Kind::kDelete) continue;
    const auto found = keys_.find(op.key);
    if (found == keys_.end()) continue;
    found->second.change = transaction.revision;
    if (!found->second.reads_values) continue;
    if (put) {
      Put(op, transaction.revision, &found->second);
    } else {
      Delete(transaction.revision, &found->second);
    }
  }
}

void ChangeFinder::Put(const StreamTransaction::Op& op, Revision revision, Seen* seen) {
  const std::optional<bool> being_deleted = IsBeingDeleted(op.payload);
  if (!being_deleted.has_value()) {
    seen->unread = revision;
    seen->encoding = NameOf(EncodingOf(op.payload));
    return;
  }
  if (*being_deleted && !seen->being_deleted) {
    seen->deletion = revision;
    seen->unread_before_deletion = seen->unread;
  }
  seen->being_deleted = *being_deleted;
  seen->unread = Revision{};
}

void ChangeFinder::Delete(Revision revision, Seen* seen) {
  if (!seen->being_deleted) {
    seen->deletion = revision;
    seen->unread_before_deletion = seen->unread;
  }
  seen->being_deleted = false;
  seen->unread = Revision{};
}

absl::Status ChangeFinder::Resolve(std::vector<Point>* points) const {
  for (Point& point : *points) {
    if (!Finds(point)) continue;
    const Seen& seen = keys_.at(point.key);
    const bool deletion = point.kind == Point::Kind::kBeforeDeletion;
    // It lives, and whether it is being deleted again cannot be told.
    const bool unread = !seen.being_deleted && seen.unread != Revision{};
    const Revision unknown = unread ? seen.unread : seen.unread_before_deletion;
    if (deletion && unknown != Revision{}) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition, "where the deletion of ", point.key,
                        " began cannot be told: its value of "
                        "revision ",
                        unknown.value(), " is no object of Kubernetes that can be read (",
                        seen.encoding, "); see jetctl history, and give a revision");
    }
    const Revision change = deletion ? seen.deletion : seen.change;
    if (change == Revision{}) {
      return MakeStatus(absl::StatusCode::kNotFound, "the stream knows of no ",
                        deletion && seen.change != Revision{} ? "deletion" : "change", " of ",
                        point.key);
    }
    point.kind = Point::Kind::kRevision;
    point.revision = change.Prev();
  }
  return absl::OkStatus();
}

}  // namespace jetd::replication
