// SPDX-License-Identifier: Apache-2.0
//
// The inside of Committer, shared by its parts: committer.cc (requests, evaluation, commit),
// committer_reads.cc (barriers and ranges), committer_patience.cc (clients that wait),
// committer_silence.cc (a nats-server that says nothing),
// committer_survey.cc (lists of what lives), committer_timings.cc, committer_alarms.cc,
// committer_guard.cc and committer_loss.cc (what others do to the stream), committer_start.cc and
// committer_recovery.cc (start, chain break, lost connection, taking over, stepping down),
// committer_follow.cc, committer_tail.cc and committer_peers.cc (other members),
// committer_compaction.cc.
#ifndef JETD_REVISION_COMMITTER_IMPL_H_
#define JETD_REVISION_COMMITTER_IMPL_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "jetstream/record.h"
#include "jetstream/subject.h"
#include "revision/audit.h"
#include "revision/chain.h"
#include "revision/collector.h"
#include "revision/committer.h"
#include "revision/entry.h"
#include "revision/evaluate.h"
#include "revision/follower.h"
#include "revision/live_list.h"
#include "revision/mark.h"
#include "revision/read_queue.h"
#include "revision/removal_gate.h"
#include "revision/repeated_warning.h"
#include "revision/replay.h"

namespace jetd::revision {

struct Committer::Impl final : Peers::Owner, Follower::Events {
  Impl(Executor* executor, jetstream::Log* log, Store* store, Options options);
  ~Impl() override;

  // --- events of the log -------------------------------------------------------------------------
  void OnConnected(const jetstream::LogInfo& new_info);
  void OnDisconnected(const absl::Status& why);
  void OnAppended(StreamSeq seq);
  void OnRefused(const absl::Status& why);
  void OnDurable(StreamSeq seq);
  void OnForeignTerm();
  void OnMeddling(const jetstream::Meddling& meddling);

  // --- requests (committer.cc) ------------------------------------------------------------------
  // Takes the entry, or answers it at once (deferred) when it cannot be taken.
  void Enqueue(std::unique_ptr<Entry> entry);
  // True while every answered write is one of this process's own, and so committed here: reads need
  // no barrier (docs/adr/0017).
  [[nodiscard]] bool Alone() const;
  // Calls `run` after a barrier, or at once (deferred) if none is needed, or with the reason why
  // there is none.
  void AfterBarrier(std::function<void(absl::Status)> run);
  void AfterRoundTrip(std::function<void(absl::Status)> run);
  // kUnavailable, kNoLeader, kStopped if this member cannot serve and has not hoped for long; OK
  // otherwise.
  [[nodiscard]] absl::Status Refusal() const;
  // Evaluates and sends what it may, at the end of the round.
  void SchedulePump();
  void Pump();

  void Evaluate(Entry* entry);
  absl::Status RunEntry(Entry* entry, std::vector<PlannedRecord>* system);
  absl::Status RunGrant(Entry* entry, std::vector<PlannedRecord>* system);
  absl::Status RunRevoke(Entry* entry, std::vector<PlannedRecord>* system);
  // Alarms (committer_alarms.cc): what they refuse; a change of them; its commit.
  [[nodiscard]] absl::Status RefusedByAlarm(const Entry& entry) const;
  absl::Status RunAlarm(Entry* entry, std::vector<PlannedRecord>* system);
  void CommitAlarm(Entry* entry);
  // False: whether there is room for it is being asked. Raises the alarm in front of it if not.
  bool HaveRoomFor(const Entry& entry);
  // The log has refused for lack of room: the alarm, without a record if need be.
  void RaiseWithoutRoom();
  [[nodiscard]] jetstream::Alarm OwnAlarm(jetstream::AlarmType type) const;
  // Its records are in the stream and pending no more.
  void CountLanded(const Entry& entry);
  void PlanRecords(Entry* entry, std::vector<PlannedRecord> system);
  [[nodiscard]] PlannedRecord SystemRecord(std::string subject, std::string payload,
                                           bool is_delete) const;
  // Appends a record whose ack proves that nobody else wrote; for a replicated stream.
  void AppendBarrier();
  // Asks for the barrier that an entry without records needs before its answer.
  void Prove(Entry* entry);

  // Commits what is durable, in order, and answers.
  void Advance();
  void Commit(Entry* entry);
  void CommitCompaction(std::unique_ptr<Entry> entry);
  // Lets the store drop what is compacted, a step at a time, and then the stream.
  void CompactMore();
  // What is removed, and what mirrors hold back of it.
  void SuspendRemoval();
  void ResumeRemoval();
  // Before this member leads: a mirror may have become the primary meanwhile.
  void AskMirrors();
  void OnPromoted(const jetstream::MirrorState& mirror);
  // Moves the records of leases that are gone, as far as compacted, into `batch`.
  void TakeGoneLeases(Collector::Batch* batch);
  // Lists what lives, a step at a time, when enough markers wait for it (committer_survey.cc).
  void SurveyIfWorthwhile();
  void SurveyMore();
  void WriteLive();
  void OnLiveWritten(const absl::Status& status);
  // Gives up a survey that is not done: what waited for it waits for the next one.
  void EndSurvey();
  void RunRange(const RangeOp* op, RangeDone done);
  struct Scan;
  void StepRange(const std::shared_ptr<Scan>& scan);

  // Tells clients that wait too long; see limits::kUnavailableAfter.
  void StartPatience();
  void LosePatience();
  void FailAll(const absl::Status& unwritten, const absl::Status& written);
  void FailWrites(const absl::Status& unwritten, const absl::Status& written);

  // Tells clients that a nats-server which is connected says nothing (committer_silence.cc).
  [[nodiscard]] bool IsOwedAnswers() const;
  void WatchSilence();
  void NoteAnswers();
  [[nodiscard]] bool HasHeard() const;
  void LookForSilence();
  void AskAgain();

  // --- the chain's fate (committer_recovery.cc) -------------------------------------------------
  void StartReplay();
  void OnReplayed(absl::StatusOr<Replay::Result> result);
  // The chain is broken, or may be: reads the tail.
  void Break(const absl::Status& why);
  // Reads the tail once every answer that can still come on this connection has come.
  void ReadTail();
  void OnTail(absl::StatusOr<StreamSeq> last);
  // Is the newest term record still this member's (committer_loss.cc)? Then judges the tail.
  void ProveTerm(StreamSeq last);
  [[nodiscard]] bool FoundTerm() const;
  void JudgeTail(StreamSeq last);
  // The stream ends below what this member has seen in it, or is another one (committer_loss.cc):
  // writes what must be known of that, and ends this process.
  void OnTailLost(StreamSeq last);
  void OnMadeAnew();
  [[nodiscard]] std::string DescribeLoss(StreamSeq last) const;
  void SayLastWords(StreamSeq last, const std::string& why);
  // What was cut short at the end never was: finds it, and goes on.
  void VoidWhatWasCut();
  struct Left;
  void JudgeWhatIsLeft(const std::shared_ptr<Left>& left);
  void AppendLastWords();
  // On another connection.
  void GoOnWithLastWords();
  void OnTailOfLastWords(const absl::StatusOr<StreamSeq>& last);
  void SendLastWords();
  void EndWithLastWords();
  // Compares the stream with the store (committer_guard.cc): records that should be there.
  void WantAudit();
  void StartAudit();
  void OnAudited(absl::StatusOr<Audit::Result> result);
  void RaiseCorrupt();
  // Of mirrors that are no copies, and of those that are none any more.
  void WriteDownMirrors(const std::vector<MirrorAudit::State>& states);
  // Takes `step` again later, unless something else has happened by then.
  void RetryAfter(std::chrono::milliseconds delay, void (Impl::*step)());
  // Everything in the tail was ours: what is missing is sent again.
  void Continue();
  // Others wrote, or a group of ours cannot be finished: once what landed whole is committed, void
  // the rest up to `last` and lead on in a new term.
  void VoidTail(StreamSeq last);
  // The log has no room: what did not land is answered so (committer_alarms.cc).
  void OnNoSpace();
  void AwaitRoom();
  // Waiting for room, and a barrier is proof enough for reads.
  [[nodiscard]] bool ReadsGoOn() const;
  // `revision` is the newest that counts.
  void AppendTerm(const std::vector<jetstream::SeqRange>& voids, Revision revision);
  void Lead();
  void StepDown(const absl::Status& why);
  void Fatal(const absl::Status& why);
  // Nothing is read or written any more.
  void End();
  // Takes pending entries that have not landed whole back into the queue, and the store with them.
  void Unevaluate();
  // Runs `fn` once every entry that has landed whole is committed.
  void AfterDrain(std::function<void()> fn);
  [[nodiscard]] bool Drained() const;
  // First place of what has landed of a group that has not landed whole; the place after landed()
  // if there is none.
  [[nodiscard]] StreamSeq Unfinished() const;
  void Resume();
  void CollectAtStart();
  absl::Status SaveCheckpoint();
  void ContendAgain();

  // Watches the newest record that was sent, unless one is watched (committer_timings.cc).
  void Watch();
  void WatchAcked(StreamSeq seq);
  void WatchDurable(StreamSeq seq);
  // Whether the queue may go on, or waits to hear how much room there is.
  void WatchRoom(bool known);

  // --- following (committer_follow.cc) ----------------------------------------------------------
  [[nodiscard]] bool Elsewhere() const { return peers != nullptr && !holds && !stopped; }
  // The store that is brought forward: the one that is shown, or one that is built beside it.
  [[nodiscard]] Store* Active() const { return fresh != nullptr ? fresh.get() : store; }
  [[nodiscard]] Mark& ActiveNewest() { return fresh != nullptr ? fresh_newest : shown_newest; }
  // The replay is done: the leader of the newest term goes on, or this member takes over.
  void AskLeader();
  void Contend();
  void StartFollowing();
  // After a leadership: the store goes on from what is committed.
  void BeginToFollow();
  // Looks for the newest term record, and whether the stream is still the one that was read.
  void FollowAgain();
  struct Newest;
  using FoundFn = std::function<void(const Newest&, StreamSeq last)>;
  void FindNewest(StreamSeq position, FoundFn found, void (Impl::*again)());
  void LookAgain(const std::shared_ptr<Newest>& newest, StreamSeq last, const FoundFn& found,
                 void (Impl::*again)());
  [[nodiscard]] absl::Status Compare(const Newest& newest, StreamSeq last);
  void OnNewest(const Newest& newest, StreamSeq last);
  void FollowLeader(const jetstream::TermRecord& leader, std::chrono::nanoseconds grace);
  void StartTail();
  void OnFollowed(const jetstream::Record& record);
  // What is announced and not read is far away: reads the term records up to there, and then
  // applies what comes as it comes.
  void HoldLess();
  [[nodiscard]] bool WorthATry() const;
  void ReadTerms();
  void ApplyAnnounced();
  // Shows the store to readers, once all of it is known to be committed.
  void Show();
  // False: what was shown is not in it.
  bool ShowFresh();
  // Is what was shown the beginning of what is in `fresh`?
  [[nodiscard]] bool FreshGoesOn() const;
  // True while whoever leads may yet write down that what was shown is lost.
  [[nodiscard]] bool TellLoss();
  // Nothing is waited for.
  void Content();
  [[nodiscard]] bool Tells() const;
  // What is held cannot be applied: reads all anew, beside the store that is shown.
  void Rebuild(const absl::Status& why);
  [[nodiscard]] std::unique_ptr<Store> MakeStore() const;
  // Looks whether the stream is still the one that was read, reads the tail to its end, and appends
  // a term record.
  void TakeOver();
  void ReadToTakeOver();
  void OnTakeOverRead(const absl::StatusOr<StreamSeq>& last);
  // This member's term record is in the stream: applies what was held.
  [[nodiscard]] bool AdoptHeld();
  void BeginToLead();
  void KeepGarbage(Collector::Batch batch, Collector::Batch own);

  // Follower::Events.
  void OnFollowedCommit(Revision revision, absl::Span<const Change> changes) override;
  void OnFollowedGrant(LeaseId id, int64_t ttl_s) override;
  void OnFollowedGone(LeaseId id) override;
  void OnFollowedCompaction(Revision revision) override;
  void OnFollowedTerm(const jetstream::TermRecord& record) override;
  void OnFollowedAlarms(std::vector<jetstream::Alarm> raised) override;
  void OnFollowedList() override { last_markers.clear(); }

  // --- peers (committer_peers.cc) ---------------------------------------------------------------
  StreamSeq CommittedSeq() const override { return committed_seq; }
  Revision CommittedRevision() const override { return store->committed(); }
  uint64_t Connection() const override { return counters.reconnects + 1; }
  void OnBarrierAsked(std::function<void(absl::StatusOr<StreamSeq>)> done) override;
  void OnAnnounced(StreamSeq committed) override;
  void OnLeaderFound() override;
  void OnLeaderGone(const absl::Status& why) override;
  void OnSuccession() override;
  void OnLossTold(const std::string& member_name, const Peers::Lost& lost) override;
  // Is it lost? Then `then` is called, as long as this member leads.
  void LookFor(const Peers::Lost& lost, std::function<void()> then);
  // A read that waits for the leader's word.
  void ReadElsewhere(DoneFn done);
  void AskForReads();
  void WaitApplied(const Peers::Committed& upto, DoneFn done);
  void ReleaseApplied();
  // How far reads may go that wait for what was committed; and what lets them go behind a gap.
  [[nodiscard]] StreamSeq Readable() const;
  void LookBehindGap();
  void SettleGap();
  // Waiting: looks now and then for those who wait too long, and for records that did not come.
  void StartFollowTick();
  void FollowTick();
  void CatchUp();
  void FailElsewhere(const absl::Status& why);
  void HandOver(uint64_t to, DoneFn done);
  void NameSuccessor();
  void EndHandOver(const absl::Status& status);

  // Constant.
  Executor* const executor;
  jetstream::Log* const log;
  Store* const store;
  const Options options;
  Peers* const peers;  // null: alone

  std::vector<Listener*> listeners;
  DoneFn fatal;

  Phase phase = Phase::kConnecting;
  std::string waiting_for = "the first connection to NATS";
  bool connected = false;
  bool led_before = false;  // or followed: the store was shown to readers
  bool holds = false;       // the newest term record that is known is this member's
  bool led_at_stop = false;
  std::optional<jetstream::SubjectCodec> codec;
  jetstream::LogInfo info;
  RecordLimits record_limits;
  Term term;
  uint64_t leader_id = 0;

  Chain chain;
  RepeatedWarning breaks;  // of the chain
  ReadQueue reads;
  Collector collector;
  MirrorAudit mirror_audit;
  RemovalGate gate;
  std::unique_ptr<Replay> replay;  // until this member leads
  Replay::Result replayed;
  StreamSeq replayed_last;  // what was told of the replay goes up to here
  SystemRecords system;
  AlarmSet alarms;               // committed
  AlarmSet newest_alarms;        // with what is pending
  std::unique_ptr<Quota> quota;  // null: none
  std::unique_ptr<Audit> audit;  // while one is under way
  bool audit_wanted = false;     // another one behind it
  bool corrupt_owed = false;     // the alarm could not be raised yet
  MonoTime next_audit{};         // not before
  TimerId audit_timer = 0;
  struct LastWords {
    std::string why;
    int64_t created_ns = 0;              // of the stream that they are for
    std::vector<PlannedRecord> records;  // none: not put together yet
    std::vector<jetstream::SeqRange> voids;
  };
  std::unique_ptr<LastWords> last_words;
  TimerId last_words_patience = 0;
  int64_t created_ns = 0;  // of the stream on this connection; info has that of what was replayed

  std::deque<std::unique_ptr<Entry>> queue;  // not evaluated
  size_t queue_bytes = 0;
  std::deque<std::unique_ptr<Entry>> pending;  // evaluated, in order
  size_t pending_bytes = 0;
  std::deque<std::unique_ptr<Entry>> settled;       // write nothing; wait for their barrier only
  std::deque<std::unique_ptr<Entry>> without_room;  // refused; told once a term record seals it
  uint64_t next_evaluation = 1;
  std::unordered_map<uint64_t, Entry*> unproven;  // by evaluation: which wait for a barrier
  bool compacting = false;                        // a compaction is pending: nothing passes it
  bool pump_scheduled = false;
  Store::Garbage garbage;                        // of the compaction that is being stepped
  std::vector<std::shared_ptr<Entry>> physical;  // wait for its removal to start
  std::vector<std::shared_ptr<Entry>> removing;  // and to end
  TimerId compact_timer = 0;
  // Delete markers of keys and leases that are gone; they may go once a list leaves them out.
  std::vector<StreamSeq> last_markers;
  struct Survey {
    explicit Survey(StreamSeq bound) : list(bound) {}

    LiveSurvey list;
    uint64_t number = 0;
    std::string next_key;            // where the visit of the store goes on
    std::vector<StreamSeq> markers;  // to be removed when all is written
    size_t lists_before = 0;         // how many of system.live it replaces
    TimerId timer = 0;
  };
  std::unique_ptr<Survey> survey;
  uint64_t surveys = 0;             // begun
  std::vector<StreamSeq> barriers;  // acked barrier records, to be removed

  StreamSeq durable;
  // Copies of records up to here may still arrive from connections that are gone; 0: none.
  StreamSeq ambiguous;
  StreamSeq committed_seq;
  std::function<void()> after_drain;

  // The tail as read after a break.
  struct Foreign {
    StreamSeq seq;
    std::string subject;  // cut
    std::optional<jetstream::TermRecord> term;
    absl::Status newer;  // a term record of a later version
  };
  std::vector<Foreign> foreign;
  uint64_t reading = 0;  // number of the reading under way
  bool tail_wanted = false;
  bool term_unproven = false;  // the connection was another one
  bool term_doubted = false;   // the last reading of term records had another one as the newest
  StreamSeq led_seq;           // of the term record in which this member leads
  bool no_space = false;       // why the chain broke
  bool room_awaited = false;   // by the term record: writes are refused
  MonoTime room_awaited_since{0};
  bool busy = false;
  std::unique_ptr<PlannedRecord> term_record;  // while taking over
  StreamSeq term_seq;
  std::vector<jetstream::SeqRange> term_voids;
  Voids named_voids;  // by term records that this member has seen
  // Following.
  std::unique_ptr<Follower> follower;
  std::unique_ptr<Store> fresh;                   // being built, beside the one that is shown
  std::unique_ptr<Store> spare;                   // that was shown before it; empty
  bool shown = false;                             // since it began to follow
  std::optional<MonoTime> superseded;             // when, until who did it is heard
  Term led_term;                                  // of this member's newest leadership
  StreamSeq follow_start;                         // where that was
  std::string term_incarnation;                   // of the newest term record applied
  MonoTime reconnected{-1'000'000'000'000};       // when the connection came back last
  std::shared_ptr<char> tail;                     // while the tail is followed
  std::shared_ptr<char> terms_ahead;              // while the term records are read ahead
  StreamSeq announced;                            // committed, as a leader said
  StreamSeq goal;                                 // one of these: how far to apply (ApplyAnnounced)
  StreamSeq goal_of_tick, read_of_tick;           // when the tick was begun
  bool went_back = false;                         // the stream ends below what was applied
  Mark shown_newest, fresh_newest;                // the newest change of `store`, of `fresh`
  bool shown_taken = false;                       // another record lies in its place, says a replay
  Revision lost_shown;                            // newest that was shown and is lost
  bool loss_adopted = false;                      // by this member's own term record
  std::optional<MonoTime> loss_found;             // by a follower; since when it tells
  bool judging_loss = false;                      // that a follower tells of
  std::string loss_told;                          // what is to be written down of it
  std::optional<jetstream::TermRecord> followed;  // whose leader is asked
  struct FollowedGarbage {
    Collector::Batch batch;
    Collector::Batch own;  // jetd's own records
  };
  std::deque<FollowedGarbage> followed_garbage;  // of the newest compactions
  struct Waiting {
    MonoTime since;
    DoneFn done;
    Revision revision = {};  // that it wants to see
  };
  std::vector<Waiting> reads_elsewhere;  // wait for the leader's word
  bool asking = false;                   // for it
  std::multimap<StreamSeq, Waiting> until_applied;
  bool catching_up = false;
  bool looking = false;     // behind a gap
  StreamSeq gap_looked_at;  // the newest one, when that was begun
  StreamSeq gap_until;      // the stream's end then: applied up to here, it is proven; 0: unknown
  TimerId follow_tick = 0;
  uint64_t successor = 0;  // while the lead is handed over
  DoneFn handed_over;
  TimerId hand_over_timer = 0;

  TimerId patience = 0;
  bool impatient = false;
  struct Silence {
    TimerId timer = 0;  // while an answer is owed
    MonoTime since{0};  // the last one
    StreamSeq landed;   // then
    uint64_t barriers = 0;
    bool lasts = false;  // for so long that clients were told
  };
  Silence silence;
  TimerId retry = 0;
  bool stopped = false;

  std::mt19937_64 lease_ids;
  Counters counters;

  // The record whose way is being timed; seq 0: none.
  struct Watched {
    StreamSeq seq;
    MonoTime sent{0};
    bool acked = false;
  };
  Watched watched;
  std::optional<MonoTime> room_wanted;  // since when the queue waits to hear of the room
  Timings timings;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_COMMITTER_IMPL_H_
