// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_COMMITTER_H_
#define JETD_REVISION_COMMITTER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/duration_histogram.h"
#include "base/executor.h"
#include "base/limits.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/record.h"
#include "revision/alarm_set.h"
#include "revision/mirror_audit.h"
#include "revision/peers.h"
#include "revision/quota.h"
#include "revision/request.h"
#include "revision/store.h"

namespace jetd::revision {

// Committer owns the order. Requests come in one after the other; each is evaluated on the newest
// state including what is in flight, becomes records, and is answered when the last of them is safe
// in the log. Readers and listeners see committed state only.
//
// Thread rules: engine thread only, like the Store and the Log that it drives.
//
// Callbacks of requests (`done`) are called exactly once, never from inside the call that took
// them, except after Stop when all that is left is answered kStopped.
//
// What an answer means:
//   OK            it happened, at the revision said, and is as safe as the log makes it
//   kUnavailable  it did not happen and will not: its place in the chain was taken
//   kTimeout, kStopped  nobody knows: the process ends before the fate is sealed
//   the others    it changed nothing; what it was judged on is committed, and was still the newest
//                 state after the request arrived
class Committer : public jetstream::Log::Observer {
 public:
  struct Options {
    uint64_t member_id = 0;
    std::string member_name;
    std::vector<std::string> client_urls;
    std::string incarnation;  // 128 random bits in hex, new for every process
    // Unset: whatever the log takes fits, and no alarm is raised for lack of room.
    std::optional<Quota::Options> quota;
    // Where SaveCheckpoint leaves what the next Start begins with; empty: nowhere.
    std::string checkpoint_path;
    // Delete markers of keys that are gone go once a list of what lives is written, and that is
    // done when at least this many wait for it (and an eighth of the versions held).
    size_t min_markers_for_list = 1'000;
    // Versions visited for a list before other work gets its turn, about 0.2 ms; and sequences in
    // one record of it.
    size_t survey_step = 2'000;
    size_t max_live_per_record = jetstream::kMaxLivePerRecord;
    // So much of the tail a follower holds; what lies beyond is read again when it can be applied.
    // Before that, when an eighth of it waits for an announced sequence that is further away, it
    // reads the term records ahead, and then holds next to nothing but a transaction that is not
    // whole (follower.h). Who takes over holds all that it has not applied by then, however much.
    size_t max_held_bytes = 128UL << 20;
    // How mirrors are compared with the stream, while this member leads.
    MirrorAudit::Options mirror_audit = {};
    // Other members of the bucket; null: there are none. Outlives the committer.
    Peers* peers = nullptr;
    // An empty store like the one that the committer was given, which keeps its values in a place
    // of its own. A follower that reads all anew builds it beside the one that is shown; asked for
    // at most once. Unset: one that keeps all in memory.
    std::function<std::unique_ptr<Store>()> make_store = {};
  };

  // Told on the engine thread, in order of revision, after the store shows it to readers. What a
  // listener does not override it does not care for.
  class Listener {
   public:
    virtual ~Listener() = default;
    // The store is replayed and this member leads; requests are taken from now on.
    virtual void OnLeading(Term /*term*/) {}
    // The store is replayed, or was built anew, and this member follows a leader: what is committed
    // is told from now on, reads are taken, writes are not.
    virtual void OnFollowing(Term /*term*/) {}
    // A transaction became visible. `changes` may be empty (leases only): then the revision is the
    // one before. Valid during the call; copy KvRefs to keep them.
    virtual void OnCommit(Revision /*revision*/, absl::Span<const Change> /*changes*/) {}
    virtual void OnLeaseGranted(LeaseId /*id*/, int64_t /*ttl_s*/) {}
    virtual void OnLeaseGone(LeaseId /*id*/) {}
    virtual void OnCompacted(Revision /*revision*/) {}
    // The stream has lost revisions that were told here, and goes on in another way; OnFollowing or
    // OnLeading, with the store as it is now, comes next.
    virtual void OnHistoryLost() {}
    // This member no longer leads. Its state may be stale from here on.
    virtual void OnStepDown(const absl::Status& /*why*/) {}
  };

  // Where this member stands; for health, Status and metrics.
  enum class Phase {
    kConnecting,
    kReplaying,
    kTakingOver,
    kLeading,
    kRecovering,
    kFollowing,
    kSuperseded,
    kStopped
  };

  using ApplyDone = std::function<void(absl::StatusOr<OpResult>)>;
  using RangeDone = std::function<void(absl::StatusOr<RangeResult>)>;
  using DoneFn = std::function<void(absl::Status)>;
  using RevisionFn = std::function<void(absl::StatusOr<Revision>)>;
  using LeaseFn = std::function<void(absl::StatusOr<Store::LeaseInfo>)>;

  Committer(Executor* executor, jetstream::Log* log, Store* store, Options options);
  ~Committer() override;
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Listeners stay for the committer's life. Before Start.
  void AddListener(Listener* listener);
  // Opens the log, replays, takes the lead. `fatal` at most once, for what no patience mends; the
  // process should end with its text.
  void Start(DoneFn fatal);
  // Answers what waits, closes the log.
  void Stop();
  // After Stop: writes the checkpoint, if this member led until then. The store is of no use to
  // anybody else afterwards.
  [[nodiscard]] absl::Status SaveCheckpoint();

  // Put, DeleteRange, Txn, or a Range that wants its place in the order. `op` and its bytes live
  // until `done`. `bytes` is the request's encoded size, for the queue's bound.
  void Apply(const Op* op, size_t bytes, ApplyDone done);
  // A read. Linearizable ones wait for a barrier, serializable ones do not wait. A large answer is
  // put together in steps, between which other work runs.
  void Range(const RangeOp* op, RangeDone done);
  // The same for an answer in pieces (RangeStream): after the barrier, a cursor for
  // store().Step(), which the caller then calls on the engine thread at the pace of its client.
  using CursorDone = std::function<void(absl::StatusOr<Store::Cursor>)>;
  void OpenCursor(const RangeOp* op, CursorDone done);
  // Proves that what is committed at the time of `done` includes everything answered by any member
  // before the call. Where this member alone can write, that needs no proof while it leads
  // (docs/adr/0017).
  void Barrier(DoneFn done);
  // The same, and that the log answered after the call, where Barrier needs no proof too.
  void RoundTrip(DoneFn done);

  // id 0: one is chosen. kLeaseExists. `ttl_s` is written as given: the lessor applies the minimum.
  void GrantLease(LeaseId id, int64_t ttl_s, LeaseFn done);
  // Deletes the attached keys and the lease in one transaction. kLeaseNotFound. Answers the
  // revision that the header shows.
  void RevokeLease(LeaseId id, RevisionFn done);
  // kCompacted, kFutureRevision. `done` when readers see it; with `physical` when the garbage of it
  // is removed too.
  enum class Wait { kLogical, kPhysical };
  void Compact(Revision revision, Wait wait, RevisionFn done);

  // Raises or disarms an alarm. Answers what etcd does: a raise, the alarm, whether it was there
  // before or not; disarming, the alarm if it was there, nothing otherwise. kTooManyRequests beyond
  // limits::kMaxAlarms. See revision/alarm_set.h for what alarms do.
  using AlarmsFn = std::function<void(absl::StatusOr<std::vector<jetstream::Alarm>>)>;
  enum class AlarmChange { kRaise, kDisarm };
  void ChangeAlarm(AlarmChange change, const jetstream::Alarm& alarm, AlarmsFn done);
  // Linearizable, as in etcd: those of etcd's that are raised, ascending.
  void ListAlarms(AlarmsFn done);
  // All that are, without a barrier.
  [[nodiscard]] const AlarmSet& alarms() const;

  [[nodiscard]] Phase phase() const;
  [[nodiscard]] bool leading() const { return phase() == Phase::kLeading; }
  // It leads, and nats-server answers: no answer is missing for limits::kUnavailableAfter.
  [[nodiscard]] bool serving() const;
  // True if writes and the like are for another member, though it may not be known which.
  [[nodiscard]] bool elsewhere() const;
  // There is a leader, this one (serving) or one that answers.
  [[nodiscard]] bool has_leader() const;
  // Calls back when all up to there can be read here; kTimeout when that takes too long.
  void WaitApplied(const Peers::Committed& upto, DoneFn done);
  // Hands the lead to `successor`, or with 0 to any other member. OK once another leads; kNoLeader
  // if this one does not, or the successor is not there; kTimeout: this one leads on.
  void HandOver(uint64_t successor, DoneFn done);
  // One line for people: what this member waits for, "" when it serves.
  [[nodiscard]] std::string waiting_for() const;
  [[nodiscard]] Term term() const;
  [[nodiscard]] uint64_t leader_id() const;
  [[nodiscard]] const jetstream::LogInfo& log_info() const;
  [[nodiscard]] StreamSeq last_seq() const;  // of what is committed
  [[nodiscard]] const Store& store() const;
  [[nodiscard]] size_t max_key_subject_bytes() const;

  struct Counters {
    uint64_t replayed_records = 0;  // read at the start
    uint64_t txns_committed = 0, records_acked = 0, chain_breaks = 0, reconnects = 0;
    uint64_t barriers_sent = 0, barriers_shared = 0, voids = 0, foreign_records = 0;
    // What others did to the stream: how often that was noticed, how many records that jetd needs
    // were found gone, how often the stream lost its newest ones.
    uint64_t meddlings = 0, missing_records = 0, lost_tails = 0;
    size_t queued = 0, pending = 0, in_flight_records = 0, waiting_reads = 0;
    uint64_t garbage_removed = 0;
    // Records that may go, and those that wait for a list of what lives.
    size_t garbage_waiting = 0;
    size_t garbage_held = 0;         // of those, that a mirror has not copied
    uint64_t mirrors_overtaken = 0;  // records removed before every mirror had them
    bool survey_running = false;
    // Of the tail: records that were held when a follower looked what it may apply, added up.
    uint64_t held_looked_at = 0;
  };
  [[nodiscard]] Counters counters() const;

  // The mirrors of the stream as they were found last, when this member leads: it looks when there
  // is something to remove, and when asked to, unless that was within 10 s.
  void LookAtMirrors();
  [[nodiscard]] const std::vector<jetstream::MirrorState>& mirrors() const;
  // How far each was compared, by this process.
  [[nodiscard]] std::vector<MirrorAudit::State> mirror_audits() const;

  // How long things take. One append at a time is watched, the newest of what was sent together, so
  // that many cost no more than one.
  struct Timings {
    DurationHistogram acked;    // from sending a record to its ack
    DurationHistogram durable;  // and to its commit
    DurationHistogram barrier;  // a read's proof, there and back
    uint64_t slow = 0;          // commits that took longer than limits::kSlowCommit
    // The last observation of each, and when it was made; when the log was connected last.
    struct Last {
      std::chrono::nanoseconds took{0};
      MonoTime at{0};
    };
    Last last_acked, last_durable, last_barrier;
    Last last_room;  // writes that waited for the server to say how much room there is
    MonoTime connected{0};
  };
  [[nodiscard]] Timings timings() const;

  // jetstream::Log::Observer.
  void OnConnected(const jetstream::LogInfo& info) override;
  void OnDisconnected(const absl::Status& why) override;
  void OnAppended(StreamSeq seq) override;
  void OnRefused(StreamSeq seq, const absl::Status& why) override;
  void OnDurable(StreamSeq seq) override;
  void OnForeignTerm() override;
  void OnMeddling(const jetstream::Meddling& meddling) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_COMMITTER_H_
