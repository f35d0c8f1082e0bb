// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_CHANGE_FINDER_H_
#define JETD_REPLICATION_CHANGE_FINDER_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "base/types.h"
#include "replication/point.h"
#include "replication/transaction_reader.h"

namespace jetd::replication {

// ChangeFinder finds the revisions of points that name a key: its newest change, or the beginning
// of its newest deletion. Kubernetes deletes in steps: the object gets a deletionTimestamp, what
// hangs on it goes (of a namespace: all that is in it), and only then it goes itself.
//
//   revision 7   /registry/namespaces/web   put                          the newest change: 11
//            8   /registry/pods/web/a       put                          the newest deletion: 9,
//            9   /registry/namespaces/web   put, deletionTimestamp       so before it is 8
//           10   /registry/pods/web/a       deleted
//           11   /registry/namespaces/web   deleted
//
// An object without such steps is deleted at once: that delete is the beginning. A restore that
// takes the deletion back is none, so afterwards the answer is the same.
//
// One thread.
class ChangeFinder {
 public:
  [[nodiscard]] static bool Finds(const Point& point) {
    return point.kind == Point::Kind::kBeforeChange || point.kind == Point::Kind::kBeforeDeletion;
  }

  explicit ChangeFinder(const std::vector<Point>& points);

  // The next one, whether it counts or not.
  void Add(const StreamTransaction& transaction);
  // Makes kRevision of all that Finds(). NotFound: the stream knows of no such change.
  // FailedPrecondition: whether the key was being deleted cannot be read in its values.
  [[nodiscard]] absl::Status Resolve(std::vector<Point>* points) const;

 private:
  struct Seen {
    bool reads_values = false;
    Revision change;    // the newest
    Revision deletion;  // where the newest one began; 0: there was none
    bool being_deleted = false;
    // The newest put behind the last one that said whether the key was being deleted, and the same
    // of what stands in front of `deletion`. 0: all said it.
    Revision unread, unread_before_deletion;
    std::string encoding;  // of what was not read last
  };
  static void Put(const StreamTransaction::Op& op, Revision revision, Seen* seen);
  static void Delete(Revision revision, Seen* seen);

  absl::flat_hash_map<std::string, Seen> keys_;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_CHANGE_FINDER_H_
