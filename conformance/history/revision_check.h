// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_REVISION_CHECK_H_
#define JETD_CONFORMANCE_HISTORY_REVISION_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "conformance/history/model.h"
#include "conformance/history/operation.h"
#include "conformance/history/violations.h"

namespace jetd::conformance::history {

// Strict serializability of the whole store, with the help of revisions. The order in question is:
// writes by revision, each read behind the write whose revision its answer names. It is strictly
// serializable if and only if
//   - every revision was made by one operation, whose request does exactly that to the state before
//     it and whose answer says so; no answered write is missing, no refused one is there;
//   - every read shows the state at the revision it names (or asked for);
//   - no operation has a revision below one that was seen before it began, and a write has a higher
//     one. A serializable read may show any past, so the first half is not asked of it; what it
//     shows must not have been written later.
// An operation of unknown fate may be at any place after its beginning, in a later window too, or
// nowhere. By which of them a revision was made is told by the values in it. One that only deletes
// has none, so this is exact if transactions that delete also put, and other deletes are of one key
// or of ranges that lie in each other.
//
// The history comes in windows, cut where no operation was under way except those of unknown fate.
// One thread.
class RevisionCheck {
 public:
  // Somebody learned at this time that the store is at this revision: a watch event, say.
  struct Sighting {
    int64_t time_ns = 0;
    int64_t revision = 0;
  };
  struct Window {
    std::vector<Operation> operations;
    std::vector<Sighting> sightings;
    // All of the store's transactions since the last window, as the store tells them afterwards.
    std::vector<Transaction> truth;
  };
  struct Counts {
    size_t writes = 0;
    size_t reads = 0;  // and all that changed nothing
    size_t refused = 0;
    size_t unknown = 0;
    size_t unknown_landed = 0;
    size_t too_old = 0;  // reads of a past further back than the window before: not judged
  };

  // Of a store that has none of the `keys` keys yet.
  RevisionCheck(size_t keys, int64_t revision);

  void Check(const Window& window);

  [[nodiscard]] const Violations& violations() const { return violations_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }
  // Operations of unknown fate that turned out, in the last window, to have happened.
  [[nodiscard]] const std::vector<Operation>& landed() const { return landed_; }
  // At the end of the last window.
  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] int64_t revision() const { return revision_; }

 private:
  struct Open {
    Operation operation;
    int64_t floor = 0;  // revision seen before it began
  };
  struct Placed {
    int64_t revision = 0;
    const Operation* operation = nullptr;
    friend bool operator<(const Placed& a, const Placed& b) { return a.revision < b.revision; }
  };
  class Floors;

  void CheckTimes(const Operation& operation, const Floors& floors);
  void Sort(const Window& window, const Floors& floors);
  void CheckTransaction(const Transaction& transaction);
  void CheckOwner(const Operation& owner, const Transaction& transaction);
  void CheckUnclaimed(const Transaction& transaction);
  [[nodiscard]] bool ClaimByValue(const Transaction& transaction);
  [[nodiscard]] bool ClaimDelete(const Transaction& transaction);
  void Claim(size_t open, const Transaction& transaction);
  void CheckRead(const Operation& operation, const State& state, int64_t revision);
  void CheckReadsAt(int64_t revision, const State& state);

  Violations violations_;
  Counts counts_;
  State state_;
  int64_t revision_;
  int64_t floor_;  // highest revision that anybody saw in windows before
  // The window before, for reads of the past.
  State old_state_;
  int64_t old_revision_;
  std::vector<Transaction> old_truth_;
  // Unknown so far; those that landed are taken out.
  std::vector<Open> open_;

  // Of the window being checked.
  std::vector<Placed> writes_, reads_;
  size_t next_write_ = 0, next_read_ = 0;
  std::unordered_map<ValueId, const Operation*> writer_of_;  // of answered and refused puts
  std::vector<Operation> landed_;
};

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_REVISION_CHECK_H_
