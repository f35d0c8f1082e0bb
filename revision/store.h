// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_STORE_H_
#define JETD_REVISION_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "revision/garbage.h"
#include "revision/kv.h"
#include "revision/request.h"
#include "revision/value_cache.h"

namespace jetd::revision {

class Snapshot;

// Store is etcd's multi-version key space in memory, leases and their attachments included. It
// knows nothing of logs and threads: the engine thread owns it.
//
// Two horizons. The committer applies a transaction when it is evaluated (`newest()`), and commits
// it when its records are safe (`committed()`). Everything between is pending: later transactions
// see it, readers and watchers do not. If the log refuses, `Rollback` takes all that is pending
// back, and the store is exactly what it was.
//
//   store.Begin(); store.Put("a", …); store.Put("b", …); store.End();  // newest 2, committed 1
//   store.Begin(); store.Delete({"a"}); store.End();                    // newest 3, committed 1
//   store.CommitOldest();                                               // readers see a and b
//   store.Rollback();                                                   // newest 2; a is back
//
// Invariants (revision/invariants.h checks them in tests):
//   I1  compacted <= committed <= newest; revisions of changes are contiguous above compacted.
//   I2  a key's versions ascend by mod; between two tombstones versions count 1, 2, 3 … and share
//       one create_revision, which is the mod_revision of version 1.
//   I3  a lease's keys are exactly the keys whose newest version carries it.
//   I4  a version is hot (its value is in memory) or its record in the value files is in use; hot
//       ones whose value could be there queue for it.
class Store {
 public:
  // With all values in memory.
  Store();
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Values beyond the budget go to `files` from now on. REQUIRES: nothing is in the store yet.
  void UseValueFiles(std::unique_ptr<ValueFiles> files, const ValueCache::Options& options);
  // The version with its value: what Range, Get, Scan and Step give is hot but for keys_only, what
  // changes and histories name may be cold.
  // REQUIRES: the store holds the version, as it does those that the change just told names.
  [[nodiscard]] KvRef Load(const KvRef& kv) const;

  [[nodiscard]] Revision newest() const;
  [[nodiscard]] Revision committed() const;
  // -1 until the first compaction, as in etcd, which takes a compaction at 0 too.
  [[nodiscard]] Revision compacted() const;

  // ---- Writing: one transaction at a time, Begin … End -----------------------------------
  void Begin();
  // Revision that a change made now gets; and whether the open transaction changed something.
  [[nodiscard]] Revision txn_revision() const;
  [[nodiscard]] bool txn_changed() const;
  // Changes so far of the open transaction, in order: number i has sub revision i. Kept until the
  // next Begin; from End on `prev` is what was there before the transaction, as watchers see it,
  // and may be cold; it can be loaded until the next change after the commit.
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

  // Transactions ended and not yet committed.
  [[nodiscard]] size_t pending() const;
  // Makes the oldest pending transaction visible to readers (one that End said true of), and
  // committed() the revision it left behind. Calls nothing; the committer tells the observers.
  void CommitOldest();
  // Forgets every pending transaction, newest first.
  void Rollback();

  // ---- Replay: the same by explicit numbers ------------------------------------------------
  // Nothing may be pending.
  //
  // Back to an empty store. Nobody has been told of anything that was in it.
  void Clear();
  // Most of what there is comes now, by Restore: said before it to an empty store (to another it
  // means nothing), and after it, this makes it several times quicker. In between everything else
  // works too, and may end it.
  void ExpectMany();
  void HasCome();
  // Changes places with another one. Nothing may be pending in either; versions that were handed
  // out may be cold no more.
  void Swap(Store* other);
  // Says first what the newest compaction record says: then CompactStep, called now and then during
  // the replay, drops garbage as it comes by (and names it: it may still lie in the stream). Need
  // not be reached yet.
  void RestoreCompacted(Revision revision);
  // Applies a committed change read from the stream; in order of mod. Commits at once.
  void Restore(KvRef kv);
  // Moves the revision without a change (a restored bucket's bump; a purge below compaction).
  void RestoreRevision(Revision at_least);
  void RestoreLease(LeaseId id, int64_t ttl_s);
  void RestoreLeaseGone(LeaseId id);

  // ---- Checkpoints (checkpoint.h) ------------------------------------------------------------
  // Calls fn for all versions held, keys in order, each key's from the oldest on. REQUIRES: nothing
  // is pending.
  void VisitBlocks(const std::function<void(const KvBlock&)>& fn) const;
  // The same way back, into an empty store: the leases (RestoreLease), the segments of the value
  // files, the versions as KvBlock::AppendTo wrote them, in pieces, and the end. After an error
  // there is nothing to be done with the store but Clear.
  [[nodiscard]] absl::Status AdoptSegments(const std::vector<ValueFiles::SegmentSize>& segments);
  [[nodiscard]] absl::Status LoadBlocks(std::string_view bytes);
  [[nodiscard]] absl::Status FinishLoad(Revision revision, Revision compacted);
  // Syncs the value files and leaves them for the next process. Nothing without such files.
  [[nodiscard]] absl::StatusOr<std::vector<ValueFiles::SegmentSize>> SaveValueFiles();

  // ---- Reading ---------------------------------------------------------------------------------
  // kNewest shows what is pending and, within Begin … End, what the open transaction did so far
  // (its reads then say txn_revision() if it changed something, the revision before otherwise).
  enum class View { kCommitted, kNewest };
  // kCompacted, kFutureRevision as etcd. Sorting, filters and limits as etcd.
  [[nodiscard]] absl::StatusOr<RangeResult> Range(const RangeOp& op, View view) const;
  // The newest version of a key, null if deleted or never there.
  [[nodiscard]] KvRef Get(std::string_view key, View view) const;
  // Visits live keys of `keys` at `at` in key order, until fn says false. fn changes nothing.
  void Scan(const KeyRange& keys, Revision at, const std::function<bool(const KvRef&)>& fn) const;
  [[nodiscard]] bool EvaluateCompare(const Compare& compare, View view) const;

  // A long scan in steps: other work runs between two steps, the answer is of one revision all the
  // same. A sorted range (by anything but the key ascending) must keep out->kvs from step to step;
  // it is sorted and cut in the last one.
  struct Cursor {
    std::string next_key;  // first key not yet visited
    Revision at;
    Revision committed;  // when it was opened: what the answer's header says
    int64_t count = 0;   // keys counted so far
    int64_t passed = 0;  // of these, past the filters
    bool done = false;
  };
  [[nodiscard]] absl::StatusOr<Cursor> OpenCursor(const RangeOp& op) const;
  // Appends to out->kvs what the next `max_keys` keys give (deleted ones count; fewer if many
  // values have to be loaded), sets the rest of *out when cursor->done. kCompacted if the revision
  // was compacted in between.
  [[nodiscard]] absl::Status Step(const RangeOp& op, size_t max_keys, Cursor* cursor,
                                  RangeResult* out) const;

  // ---- History, for watchers -------------------------------------------------------------------
  // Calls fn for committed changes of revision >= from, in order, whole revisions at a time, until
  // `max_revisions` were visited or committed() is reached; returns the first revision not
  // visited. kCompacted if from < compacted(). `prev` is what the key was one revision before, as
  // etcd says it: null if there was nothing, or if that revision is compacted. Both may be cold:
  // within the call fn may Load those that it wants.
  [[nodiscard]] absl::StatusOr<Revision> History(
      Revision from, size_t max_revisions, const std::function<void(const Change&)>& fn) const;

  // ---- Leases ----------------------------------------------------------------------------------
  struct LeaseInfo {
    LeaseId id;
    int64_t ttl_s = 0;
  };
  // Pending ones count: a put right after a grant is right.
  [[nodiscard]] std::optional<LeaseInfo> FindLease(LeaseId id) const;
  [[nodiscard]] std::vector<LeaseInfo> Leases() const;
  // Keys attached, sorted.
  [[nodiscard]] std::vector<std::string> LeaseKeys(LeaseId id, View view = View::kNewest) const;
  [[nodiscard]] size_t lease_count() const;

  // ---- Compaction and sums ---------------------------------------------------------------------
  using Garbage = revision::Garbage;
  // kCompacted (revision <= compacted()), kFutureRevision (> committed()).
  [[nodiscard]] absl::Status CheckCompact(Revision revision) const;
  // Moves compacted() to `revision`: reads below it fail at once. The versions that no reader can
  // ask for any more are dropped by CompactStep, as etcd keeps and drops them (compactor.h).
  void StartCompact(Revision revision);
  // Visits at most `max_changes` changes and appends what went away to `garbage`. True when nothing
  // is left to do; value files that are mostly waste are something. About 0.1 ms for 1,000.
  bool CompactStep(size_t max_changes, Garbage* garbage);
  // Both, to the end.
  Garbage Compact(Revision revision);

  struct HashResult {
    uint32_t hash = 0;
    Revision compact_revision;  // -1 if never compacted, as etcd answers
    Revision revision;          // hashed up to here
  };
  // etcd 3.5's HashKV of the same history. revision 0: committed().
  [[nodiscard]] absl::StatusOr<HashResult> HashKv(Revision revision) const;

  // Calls fn with each version that the store holds, tombstones and pending ones too, some of them
  // cold, from the key `*next_key` on (at first ""), whole keys until `max_versions` were visited.
  // True: that was all; false: `*next_key` says where to go on. What comes and goes between two
  // calls may be visited or not, and everything else is visited once.
  bool VisitVersions(std::string* next_key, size_t max_versions,
                     const std::function<void(const KvBlock&)>& fn) const;

  // ---- Snapshots (snapshot.h) ------------------------------------------------------------------
  // All that readers may ask for now, and that stays whatever happens to the store meanwhile.
  // About 0.3 s for a million keys that were compacted, 10 ms for a million above the compaction.
  // The store outlives it.
  [[nodiscard]] std::unique_ptr<Snapshot> TakeSnapshot() const;

  // ---- Figures ---------------------------------------------------------------------------------
  struct Stats {
    size_t keys = 0;        // live, pending ones included
    size_t versions = 0;    // held, tombstones included
    size_t bytes = 0;       // footprint of all blocks, were they all hot
    size_t live_bytes = 0;  // of those that are the newest of a live key
    size_t cold_bytes = 0;  // in the value files and in use
    size_t file_bytes = 0;  // of the value files
    uint64_t ranges = 0;    // answered so far, those within transactions too
  };
  [[nodiscard]] Stats stats() const;

 private:
  friend absl::Status CheckInvariants(const Store& store);
  friend class Snapshot;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_STORE_H_
