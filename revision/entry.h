// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_ENTRY_H_
#define JETD_REVISION_ENTRY_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/record.h"
#include "revision/alarm_set.h"
#include "revision/committer.h"
#include "revision/kv.h"
#include "revision/planned_record.h"
#include "revision/request.h"

namespace jetd::revision {

// What evaluating a request came to. An error is an outcome too: it says something about the state
// it was judged on, and is answered under the same conditions as any other answer.
struct Outcome {
  absl::Status status;
  OpResult result;    // kApply
  Revision revision;  // what the store is at afterwards
  std::vector<Change> changes;
  std::optional<Store::LeaseInfo> granted;  // kGrant
  std::optional<LeaseId> gone;              // kRevoke
  std::optional<Revision> compact;          // kCompact
  std::optional<AlarmSet> alarms;           // kAlarm, if it changes them: what is raised then
  std::vector<jetstream::Alarm> told;       // kAlarm: the answer
  std::vector<PlannedRecord> records;       // empty: nothing is written
  StreamSeq first_seq, last_seq;            // of the records
  bool in_store = false;                    // the store has it as pending
};

// One request on its way through the committer:
//
//   queued  --evaluate-->  pending  --its records are safe, all before it committed-->  answered
//                             `--it writes nothing--> settled --a barrier--> answered
//
// After a chain break it may go back to queued, and is evaluated anew; so it keeps the request.
struct Entry {
  enum class Kind { kApply, kGrant, kRevoke, kCompact, kBarrier, kLive, kAlarm };
  Kind kind = Kind::kApply;
  size_t bytes = 0;

  // The request.
  const Op* op = nullptr;  // kApply
  LeaseId lease;           // kGrant, kRevoke
  int64_t ttl_s = 0;       // kGrant
  Revision revision;       // kCompact
  Committer::Wait wait = Committer::Wait::kLogical;
  std::string payload;                                                   // kLive
  Committer::AlarmChange alarm_change = Committer::AlarmChange::kRaise;  // kAlarm
  jetstream::Alarm alarm;                                                // kAlarm

  // Exactly one of these is set until the answer is given, or none if nobody waits for it.
  Committer::ApplyDone apply_done;
  Committer::LeaseFn lease_done;
  Committer::RevisionFn revision_done;
  Committer::AlarmsFn alarms_done;

  uint64_t evaluation = 0;  // number of the evaluation below, unique
  Outcome outcome;
  bool proven = false;  // the barrier after its arrival has come back
  // Sent on a connection that was lost, and given up its place since: a copy may still land there.
  // Until a new term seals that it does not count, nobody may be told that it did not happen.
  bool may_land = false;

  [[nodiscard]] bool answered() const {
    return !apply_done && !lease_done && !revision_done && !alarms_done;
  }
  [[nodiscard]] bool writes() const { return !outcome.records.empty(); }
  // Gives the answer, once: the outcome, or `status` if that is an error. Later calls do nothing.
  void Answer(const absl::Status& status);
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_ENTRY_H_
