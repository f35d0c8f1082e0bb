// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_REPLAY_H_
#define JETD_REVISION_REPLAY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/record.h"
#include "jetstream/subject.h"
#include "revision/checkpoint.h"
#include "revision/live_list.h"
#include "revision/mark.h"
#include "revision/store.h"
#include "revision/system_records.h"
#include "revision/voids.h"

namespace jetd::revision {

// Replay rebuilds the store from the stream, in two readings: the term and compaction records
// first, since they say which of the others count, then all in order.
//
// The rules (the same for every reader of a stream):
//   R1  a sequence that a term record names void never was;
//   R2  a transaction's records 1/n … n/n lie at consecutive sequences; at the end of the stream a
//       group may be cut short: it is undecided, and the caller's term record voids it;
//   R3  above the compact revision, groups are whole and revisions follow each other without a
//       hole; at or below it parts may have been removed, and each record stands for itself;
//   R8  what a list of live records leaves out was deleted before and is not there (live_list.h);
//   R4  a record that is not ours (no header, an unknown spelling) is foreign;
//   R9  one that is, and of a kind that this version does not know, is of a later version, and so
//       is a term record of a higher format: then the stream is refused (kFailedPrecondition), and
//       nothing in it was written or removed;
//   R5  so is one of an earlier term that lies behind a later term: it was on its way when its
//       writer was superseded, and found the sequence it was meant for still free;
//   R6  from a foreign record to the next term record nothing counts. Whoever wrote there had
//       predicted something else in the foreign record's place, so none of it was ever answered:
//       a leader that meets a foreign record voids it, and all behind it, before it answers.
// A breach of R2 or R3 is loss. Where jetd alone writes and syncs before it answers (an exclusive
// log), what lies behind a hole was never answered either: all from it to the end is voided.
// Elsewhere it is kCorrupt.
//   R7  So it is on an exclusive log when a record behind the hole proves that all before it was
//       safe: a compaction record, a list of live records from beyond the hole, or one of a leader
//       whose term record lies behind the hole and does not void it (it led only after that record,
//       and so all before it, was synced). Then it was no power cut: the disk lost what it had
//       promised to hold.
//
// A leader that is still there may remove records while its successor reads: then a value may have
// been read before it was removed, and what hid it was removed before it was read. Whoever removes
// wrote a compaction record, a list, or a term record with voids before. So a reading counts only
// if none of the first two, and no void of what was applied, came since the first of its two
// readings; otherwise all is read anew, into an empty store. Damage is told only after two such
// looks: what wrote the record that explains it may have gone on, behind the end that the first of
// them had, and have removed that record ahead of it.
//
// Run may be called again, after an error of the connection or because the stream has grown before
// its caller could take over: it goes on where it stopped.
// Engine thread only.
class Replay {
 public:
  struct Result {
    StreamSeq last;                          // all at or below is applied, ignored or in `voids`
    Term term;                               // highest seen; 0: a new stream
    jetstream::TermRecord leader;            // of the newest term record
    StreamSeq leader_seq;                    // where that lies; 0: not known
    std::vector<jetstream::SeqRange> voids;  // to be named by the next term record
    // By term records that were read: after a start from a checkpoint, by those behind it. The
    // others would have to be named anew only if the stream lost them, and a checkpoint is of an
    // exclusive log and holds what was synced there: a disk that loses that has lost what it had
    // promised to hold (R7), and no void makes up for it.
    Voids named;
    Revision revision{1};         // newest that is known
    Revision compacted;           // 0: never
    std::vector<StreamSeq> dead;  // R1, and still in the stream: delete
    // R8, and still in the stream: delete, too. They counted once, and may wait for a mirror.
    std::vector<StreamSeq> unlisted;
    std::vector<StreamSeq> unlisted_markers;  // those that deleted something
    uint64_t foreign = 0;
    uint64_t records = 0;
    Store::Garbage garbage;  // superseded below the compact revision
    SystemRecords system;
    std::vector<jetstream::Alarm> alarms;  // that are raised
    Mark newest;                           // the last change of a key that was read and counts
    bool witness_taken = false;            // another record lies there
  };
  using DoneFn = std::function<void(absl::StatusOr<Result>)>;

  // A record of ours.
  struct Held {
    StreamSeq seq;
    int64_t time_ns;  // the stream's
    jetstream::RecordHeader header;
    jetstream::SubjectCodec::Kind kind;
    LeaseId lease;  // kLease
    bool is_delete;
    KvRef kv;             // kKey
    std::string payload;  // of jetd's own records
    // A list leaves it out: a compaction up to Replay::compacted() had dropped it when that was
    // written. Said only to who is told of each record.
    bool dropped = false;
  };
  enum class Verdict { kCounts, kVoid };
  // Told of each record when the rules have judged it: those of a transaction one after the other
  // when it is whole. One that is undecided at the end is not told. Who asks for it wants what was,
  // not what is: R8 is not applied, so the store may hold what came back. And a reading that would
  // have to begin anew is an error instead, kUnavailable.
  using JudgedFn = std::function<void(const Held& held, Verdict verdict)>;

  // Without a store (null) it only judges, for set_on_judged: the result then names no records that
  // could be removed, and memory is bounded by one transaction, the voids, the compactions and the
  // lists.
  Replay(jetstream::Log* log, const jetstream::SubjectCodec* codec, Store* store);

  void set_on_judged(JudgedFn on_judged) { on_judged_ = std::move(on_judged); }
  // Begins where the checkpoint at `path` ends, if there is one that fits the stream, which is that
  // of `info`; uses it up in any case. Before Run.
  void set_checkpoint(std::string path, const jetstream::LogInfo& info) {
    checkpoint_path_ = std::move(path);
    info_ = info;
  }
  // A record that was read before, and that may be another one's by now. Before Run.
  void set_witness(const Mark& witness) { witness_ = witness; }
  void Run(DoneFn done);
  // Records applied so far, for progress.
  [[nodiscard]] uint64_t records() const { return result_.records; }
  // Of all compaction records, from the first record that is judged on.
  [[nodiscard]] Revision compacted() const { return compacted_; }

 private:
  void ReadControl();
  void ReadAll();
  // The start from a checkpoint (replay_checkpoint.cc).
  void OpenCheckpoint();
  // The control records behind it were read, and the stream ended at `last`.
  void TryCheckpoint(StreamSeq last);
  [[nodiscard]] absl::Status FitsTail(StreamSeq last) const;
  void ProveCheckpoint(const jetstream::Record& record);
  [[nodiscard]] absl::Status LoadCheckpoint();
  void DropCheckpoint(const absl::Status& why);
  void DropUnreadable();
  // Forgets all that was read.
  void Restart();
  void OnControl(const jetstream::Record& record);
  [[nodiscard]] std::optional<Held> Decode(const jetstream::Record& record) const;
  void NoteTidying(StreamSeq seq, jetstream::SubjectCodec::Kind kind) {
    using Kind = jetstream::SubjectCodec::Kind;
    if (kind == Kind::kCompact || kind == Kind::kLive) tidied_now_ = std::max(tidied_now_, seq);
  }
  void OnRecord(const jetstream::Record& record);
  void Judge(const Held& held, Verdict verdict) const;
  void OnForeign(StreamSeq seq);
  void OnTerm(const Held& held);
  void Accept(Held held);
  void Apply(const Held& held);
  void ApplySystem(const Held& held);
  bool CheckRevision(const Held& first);
  void CheckBehindHole(const Held& held);
  [[nodiscard]] bool ListsLost(const Held& held) const;
  void NoteVoids(StreamSeq term, const std::vector<jetstream::SeqRange>& voids);
  void Broken(StreamSeq at, const std::string& what);
  void AddDead(StreamSeq seq);
  void AddUnlisted(const Held& held) {
    if (store_ == nullptr) return;
    (held.is_delete ? result_.unlisted_markers : result_.unlisted).push_back(held.seq);
  }
  [[nodiscard]] bool CameBack(const Held& held) const;
  void Finish(absl::StatusOr<StreamSeq> last);
  void FinishStore(Revision compacted);

  jetstream::Log* const log_;
  const jetstream::SubjectCodec* const codec_;
  Store* const store_;  // may be null

  DoneFn done_;
  JudgedFn on_judged_;
  std::string checkpoint_path_;  // empty: none, or tried
  jetstream::LogInfo info_;
  std::unique_ptr<Checkpoint> checkpoint_;  // not null while it is tried
  absl::Status unreadable_;                 // why it is not; to be removed once the stream is known
  std::optional<jetstream::TermRecord> term_of_checkpoint_;
  bool end_of_checkpoint_found_ = false;
  Mark witness_;
  Result result_;
  absl::Status error_;    // what ends the replay
  absl::Status damage_;   // the same, to be confirmed
  bool doubted_ = false;  // it was once
  Voids known_voids_;
  std::map<StreamSeq, Revision> compacts_;  // by sequence
  Revision compacted_;                      // of the newest of them
  LiveList live_;
  StreamSeq tidied_;                    // newest compaction record or list, first reading
  StreamSeq tidied_now_;                // the same as the reading under way finds it
  StreamSeq terms_;                     // newest term record, first reading
  StreamSeq terms_now_;                 // the same as the reading under way finds it
  StreamSeq position_;                  // all at or below was looked at
  StreamSeq previous_;                  // the record before that
  StreamSeq applied_;                   // the newest record that counted
  ModRevision change_;                  // of the newest key's record that counted
  Revision revision_{1};                // newest applied
  Term term_;                           // highest of all records so far
  std::vector<Held> group_;             // that is not whole yet
  std::vector<StreamSeq> behind_hole_;  // records that hole_ makes void
  StreamSeq hole_;                      // not 0: everything from here on counts as void
  StreamSeq before_hole_;               // the last record in front of it
  Term term_behind_hole_;               // first of a term record there that does not void it
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_REPLAY_H_
