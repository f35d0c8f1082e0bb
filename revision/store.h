// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_STORE_H_
#define JETD_REVISION_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "revision/kv.h"
#include "revision/request.h"

namespace jetd::revision {

// Store is etcd's multi-version key space in memory, leases and their attachments included. It
// knows nothing of logs and threads: the engine thread owns it.
//
// Two horizons. The committer applies a transaction when it is evaluated (`newest()`), and commits
// it when its records are safe (`committed()`). Everything between is pending: later transactions
// see it, readers and watchers do not. If the log refuses, `Rollback` takes all that is pending
// back, and the store is exactly what it was.
//
//   store.Begin(); store.Put("a", …); store.Put("b", …); store.End();   // newest 2, committed 1
//   store.Begin(); store.Delete({"a"}); store.End();                    // newest 3, committed 1
//   store.CommitOldest();                                               // readers see a and b
//   store.Rollback();                                                   // newest 2; a is back
//
// Invariants (revision/invariants.h checks them in tests):
//   I1  compacted <= committed <= newest; revisions of changes are contiguous above compacted.
//   I2  a key's versions ascend by mod; between two tombstones versions count 1, 2, 3 … and share
//       one create_revision, which is the mod_revision of version 1.
//   I3  a lease's keys are exactly the keys whose newest version carries it.
class Store {
 public:
  Store();
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  [[nodiscard]] Revision newest() const;
  [[nodiscard]] Revision committed() const;
  // 0 until the first compaction.
  [[nodiscard]] Revision compacted() const;

  // ---- Writing: one transaction at a time, Begin … End -----------------------------------
  void Begin();
  // Revision that a change made now gets; and whether the open transaction changed something.
  [[nodiscard]] Revision txn_revision() const;
  [[nodiscard]] bool txn_changed() const;
  // Changes so far of the open transaction, in order: number i has sub revision i.
  [[nodiscard]] const std::vector<Change>& txn_changes() const;
  // `seq` is where the record of this change will lie. The lease, if any, exists (the caller
  // checked). Returns the change made.
  const Change& Put(std::string_view key, std::string_view value, LeaseId lease, StreamSeq seq);
  // Deletes what is there in key order; record number k of it lies at `first_seq`+k. Returns how
  // many; their changes are the last ones of txn_changes().
  int64_t Delete(const KeyRange& keys, StreamSeq first_seq);
  // Leases, inside a transaction or on their own (Begin … End too); they add no revision.
  void GrantLease(LeaseId id, int64_t ttl_s);
  // REQUIRES: its keys were deleted before (in the same transaction), or it has none.
  void RevokeLease(LeaseId id);
  // Ends the transaction. newest() moves up by one if a key changed. True: it changed something,
  // a lease perhaps, and is pending now; false: there is nothing to commit.
  bool End();
  // Undoes the open transaction (an operation in the middle failed).
  void Abort();

  // Makes the oldest pending transaction visible to readers (one that End said true of), and
  // committed() the revision it left behind. Calls nothing; the committer tells the observers.
  void CommitOldest();
  // Forgets every pending transaction, newest first.
  void Rollback();

  // ---- Replay: the same by explicit numbers ------------------------------------------------
  // Applies a committed change read from the stream; in order of mod. `value` may be absent if
  // only headers were read… it is not here: kv holds it. Commits at once.
  void Restore(KvRef kv);
  // Moves the revision without a change (a restored bucket's bump; a purge below compaction).
  void RestoreRevision(Revision at_least);
  void RestoreLease(LeaseId id, int64_t ttl_s);
  void RestoreLeaseGone(LeaseId id);

  // ---- Reading ---------------------------------------------------------------------------------
  // kNewest shows what is pending and, within Begin … End, what the open transaction did so far
  // (its reads then say txn_revision() if it changed something, the revision before otherwise).
  enum class View { kCommitted, kNewest };
  // kCompacted, kFutureRevision as etcd. Sorting, filters and limits as etcd.
  [[nodiscard]] absl::StatusOr<RangeResult> Range(const RangeOp& op, View view) const;
  // The newest version of a key, null if deleted or never there.
  [[nodiscard]] KvRef Get(std::string_view key, View view) const;
  // Visits live keys of `keys` at `at` in key order, until fn says false.
  void Scan(const KeyRange& keys, Revision at, const std::function<bool(const KvRef&)>& fn) const;
  [[nodiscard]] bool EvaluateCompare(const Compare& compare, View view) const;

  // A long scan in steps: other work runs between two steps, the answer is of one revision all the
  // same. Only for unsorted (or ascending by key), unfiltered or filtered ranges.
  struct Cursor {
    std::string next_key;  // first key not yet visited
    Revision at;
    int64_t count = 0;  // keys counted so far
    bool done = false;
  };
  [[nodiscard]] absl::StatusOr<Cursor> OpenCursor(const RangeOp& op) const;
  // Appends to out->kvs what the next `max_keys` keys give, sets out->count and out->more when
  // cursor->done. kCompacted if the revision was compacted in between.
  [[nodiscard]] absl::Status Step(const RangeOp& op, size_t max_keys, Cursor* cursor,
                                  RangeResult* out) const;

  // ---- History, for watchers -------------------------------------------------------------------
  // Calls fn for committed changes of revision >= from, in order, whole revisions at a time, until
  // `max_revisions` were visited or committed() is reached; returns the first revision not
  // visited. kCompacted if from < compacted(). `prev` in Change is filled where history has it.
  [[nodiscard]] absl::StatusOr<Revision> History(
      Revision from, size_t max_revisions, const std::function<void(const Change&)>& fn) const;

  // ---- Leases
  // ------------------------------------------------------------------------------------
  struct LeaseInfo {
    LeaseId id;
    int64_t ttl_s = 0;
  };
  // Pending ones count: a put right after a grant is right.
  [[nodiscard]] std::optional<LeaseInfo> FindLease(LeaseId id) const;
  [[nodiscard]] std::vector<LeaseInfo> Leases() const;
  // Keys attached now (newest), sorted.
  [[nodiscard]] std::vector<std::string> LeaseKeys(LeaseId id) const;
  [[nodiscard]] size_t lease_count() const;

  // ---- Compaction and sums
  // ----------------------------------------------------------------------- Moves compacted() to
  // `revision` and drops versions that no reader can ask for, as etcd keeps and drops them. What
  // went away in the stream's terms:
  struct Garbage {
    std::vector<StreamSeq> superseded;  // values, may go now
    std::vector<StreamSeq> tombstones;  // delete markers: in a later round, after their values
  };
  // kCompacted (revision <= compacted()), kFutureRevision (> committed()).
  [[nodiscard]] absl::Status CheckCompact(Revision revision) const;
  Garbage Compact(Revision revision);

  struct HashResult {
    uint32_t hash = 0;
    Revision compact_revision;
    Revision revision;  // hashed up to here
  };
  // etcd 3.5's HashKV of the same history. revision 0: committed().
  [[nodiscard]] absl::StatusOr<HashResult> HashKv(Revision revision) const;

  // ---- Figures
  // -----------------------------------------------------------------------------------
  struct Stats {
    size_t keys = 0;        // live
    size_t versions = 0;    // held, tombstones included
    size_t bytes = 0;       // footprint of all blocks
    size_t live_bytes = 0;  // of those that are the newest of a live key
  };
  [[nodiscard]] Stats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_STORE_H_
