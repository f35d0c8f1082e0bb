// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_STATE_FOLD_H_
#define JETD_REPLICATION_STATE_FOLD_H_

#include <cstdint>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "replication/point_survey.h"
#include "replication/state_at.h"

namespace jetd::replication {

// StateFold folds transactions into the states at some points: the part of StateReader that knows
// nothing of logs. Each point is closed by the first transaction that is not in it:
//
//   points: revision 3, 10:05         revision 2 at 10:00   in both
//                                     revision 3 at 10:04   in both
//                                     revision 4 at 10:05   closes the first
//                                     revision 5 at 10:06   closes the second
//
// One thread.
class StateFold {
 public:
  // No point may name a key (ChangeFinder::Finds). `options` outlives it.
  StateFold(std::vector<Point> points, const StateOptions* options);

  // The next one, whether it counts or not.
  void Add(StreamTransaction transaction, Revision compacted);
  // One of them, once. StateReader::Run has the errors.
  [[nodiscard]] absl::StatusOr<std::vector<State>> Finish(
      const absl::StatusOr<TransactionReader::Result>& end, int64_t now_ns);
  [[nodiscard]] Points FinishPoints(const absl::StatusOr<TransactionReader::Result>& end) {
    return survey_.Finish(end);
  }

 private:
  // The state so far, and what has to be known of it besides.
  struct Growing {
    State state;
    // That a list leaves out: not there from the compact revision on.
    std::set<LeaseId> dropped_leases;
    bool whole = true;  // no sequence is missing so far
  };
  struct Wanted {
    Point point;
    bool open = true;
    Growing grown;  // from when it was closed on
    Revision
        unknown{};  // not 0: between it and what closed it records are missing, the last of this
  };

  void NoteSequences(const StreamTransaction& transaction);
  [[nodiscard]] bool Closes(const StreamTransaction& transaction, const Point& point) const;
  void Close(Wanted* wanted, const StreamTransaction& transaction);
  void Apply(StreamTransaction* transaction);
  void ApplyKey(StreamTransaction::Op* op, Revision revision);
  void ApplyLease(const StreamTransaction::Op& op);
  [[nodiscard]] absl::Status Check(const Wanted& wanted, const Points& points,
                                   int64_t now_ns) const;
  void Settle(Growing* grown, const Points& points) const;

  const StateOptions* const options_;
  std::vector<Wanted> wanted_;
  size_t open_;
  PointSurvey survey_;
  Growing now_;
  StreamSeq seen_;  // newest sequence
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STATE_FOLD_H_
