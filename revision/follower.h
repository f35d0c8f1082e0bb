// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_FOLLOWER_H_
#define JETD_REVISION_FOLLOWER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/record.h"
#include "jetstream/subject.h"
#include "revision/mark.h"
#include "revision/store.h"
#include "revision/system_records.h"
#include "revision/voids.h"

namespace jetd::revision {

// Follower brings a store forward, from where a replay or a leadership has left it, by records as
// they come from the tail of the stream. It holds them back until the leader has said that they are
// committed: a record that lies there may still be voided.
//
//   Start(7)                    the store is what the stream says up to 7
//   Hold(8) Hold(9) Hold(10)    8 and 9 are 1/2 and 2/2 of a transaction
//   Apply(9)                    one OnCommit; position 9
//   Judge(10)                   what a leader that takes over behind 10 would have to void
//
// The rules are Replay's (R1 to R6, R9). A breach, or records that are missing since the leader has
// removed garbage ahead of this member, is kCorrupt: what the store shows is right, but it can go
// on only from a replay of everything.
//
// A sequence at which nothing lies is a gap. Nearly always what lay there did not count. But it may
// have been a change that a later one has superseded, removed for a compaction that lies further
// on: then the store lacks it until that compaction comes, and is found to be in breach there. So
// who wants to read what was committed up to a gap has to wait until all is applied that was in the
// stream when the gap was found: gap().
//
// What an announced sequence A promises: all up to A is committed or void, and each void of it is
// named by a term record at or below A. So what lies at or below A may be applied as soon as all
// term records up to A are known; the rest of what was read up to there need not be. They are known
// when all up to A is read; or, without holding all of it, when they alone were read ahead:
//
//   announced 900, read up to 40    41 and on is held: a term record further on may void it
//   NoteTerm(700), which voids 55..60
//   NoteTermsRead(950)              whatever void up to 900 there is, is named by 700 or before it
//   Hold(41) Apply(41), ...         nothing is held; 55..60 is skipped
//
// A term record above A may be among those that were noted: it voids nothing at or below A that was
// not void before, since that is committed. A record with voids is never removed, so a reading of
// the term records misses none of them.
//
// Engine thread only.
class Follower {
 public:
  // Told in order, after the store shows it to readers.
  class Events {
   public:
    virtual ~Events() = default;
    virtual void OnFollowedCommit(Revision revision, absl::Span<const Change> changes) = 0;
    virtual void OnFollowedGrant(LeaseId id, int64_t ttl_s) = 0;
    virtual void OnFollowedGone(LeaseId id) = 0;
    virtual void OnFollowedCompaction(Revision revision) = 0;
    virtual void OnFollowedTerm(const jetstream::TermRecord& term) = 0;
    virtual void OnFollowedAlarms(std::vector<jetstream::Alarm> raised) = 0;
    // The leader wrote a list of what lives (live_list.h).
    virtual void OnFollowedList() = 0;
  };

  // `system` is kept up to date too. All outlive it.
  Follower(const jetstream::SubjectCodec* codec, Store* store, SystemRecords* system,
           Events* events)
      : codec_(codec), store_(store), system_(system), events_(events) {}

  // All at or below `position` is in the store, or void, or nothing; `term` is the newest there,
  // its record at `term_seq` (0: not known).
  void Start(StreamSeq position, Term term, StreamSeq term_seq);
  // Forgets what is held: the tail is read anew from position() on. What is known of voids stays.
  void DropHeld();
  // And that: another history may lie there.
  void ForgetTerms() {
    voids_.Clear();
    terms_read_ = StreamSeq{};
  }
  // The next record of the tail. One that was held before is nothing.
  void Hold(const jetstream::Record& record);
  // All at or below `last` is held, or was deleted.
  void NoteRead(StreamSeq last) { read_ = std::max(read_, last); }
  // A term record that lies further on than what was read. kCorrupt: it cannot be read, or voids
  // what was applied.
  [[nodiscard]] absl::Status NoteTerm(const jetstream::Record& record);
  // All of them up to `last` are noted.
  void NoteTermsRead(StreamSeq last) { terms_read_ = std::max(terms_read_, last); }
  // To be named by this member's own term record, behind all that is held.
  void AddVoids(const Voids::Ranges& voids) { voids_.Add(voids); }
  // A record that was read before, and that may be another one's by now.
  void set_witness(const Mark& witness) { witness_ = witness; }
  [[nodiscard]] bool witness_taken() const { return witness_taken_; }
  // The last change of a key that was applied; while Events are told, theirs.
  [[nodiscard]] const Mark& newest() const { return newest_; }
  // The same state in another place.
  void set_store(Store* store) { store_ = store; }
  // Applies what is held up to `upto`, or as much of it as has come.
  // REQUIRES: `upto` is at or below an announced sequence that is at or below terms_read().
  [[nodiscard]] absl::Status Apply(StreamSeq upto);

  struct End {
    Revision revision;  // of all that counts
    Term term;          // highest of all
    StreamSeq term_seq;
    std::optional<jetstream::TermRecord> leader;  // of the newest term record that is held
    std::vector<jetstream::SeqRange> voids;       // to be named by the next term record
  };
  // REQUIRES: all up to `last`, the stream's end, is held or applied.
  [[nodiscard]] absl::StatusOr<End> Judge(StreamSeq last) const;

  // All at or below is in the store, and shown.
  [[nodiscard]] StreamSeq position() const { return position_; }
  [[nodiscard]] StreamSeq read() const { return read_; }
  // What is void up to there, and was named up to there, is known.
  [[nodiscard]] StreamSeq terms_read() const { return std::max(terms_read_, read_); }
  [[nodiscard]] Term term() const { return term_; }
  [[nodiscard]] StreamSeq term_seq() const { return term_seq_; }
  [[nodiscard]] size_t held_bytes() const { return held_bytes_; }
  [[nodiscard]] size_t held_records() const { return held_.size(); }
  // What has come since Apply last stood before a transaction that was not whole.
  [[nodiscard]] size_t untried_bytes() const { return held_bytes_ - tried_bytes_; }
  // The first sequence that was passed with nothing there, 0 if there is none; and the newest.
  [[nodiscard]] StreamSeq gap() const { return gap_; }
  [[nodiscard]] StreamSeq newest_gap() const { return newest_gap_; }
  // What lay there did not count.
  void ForgetGaps() { gap_ = newest_gap_ = StreamSeq{}; }

 private:
  struct Held {
    StreamSeq seq;
    int64_t time_ns = 0;
    bool ours = false;
    jetstream::RecordHeader header;
    jetstream::SubjectCodec::Kind kind{};
    LeaseId lease;
    bool is_delete = false;
    std::string key;
    std::string payload;
    [[nodiscard]] size_t bytes() const { return sizeof(Held) + key.size() + payload.size(); }
  };
  using Group = std::vector<const Held*>;

  [[nodiscard]] bool IsTerm(const Held& held) const;
  absl::Status NoteVoids(StreamSeq upto);
  absl::Status NoteVoidsOf(StreamSeq term, std::string_view payload);
  // The records from held_[first] on that are one transaction. Empty: not all have come.
  [[nodiscard]] absl::StatusOr<Group> GroupAt(size_t first, StreamSeq upto) const;
  absl::Status ApplyGroup(const Group& group);
  absl::Status ApplyChange(const Held& held);
  absl::Status ApplyLease(const Held& held);
  absl::Status ApplyTerm(const Held& held);
  absl::Status ApplyAlarms(const Held& held);
  absl::Status ApplyCompaction(const Held& held);
  void Pop(size_t count);
  // All up to `seq` is passed next: is there anything between position() and that?
  void NoteGapBelow(StreamSeq seq);

  const jetstream::SubjectCodec* const codec_;
  Store* store_;
  SystemRecords* const system_;
  Events* const events_;

  StreamSeq position_;
  StreamSeq read_;
  StreamSeq applied_;  // the newest record that counted
  StreamSeq gap_;
  StreamSeq newest_gap_;
  Term term_;
  StreamSeq term_seq_;
  Voids voids_;  // named by term records that are held, or were noted
  StreamSeq terms_read_;
  Mark newest_;
  Mark witness_;
  bool witness_taken_ = false;
  std::deque<Held> held_;
  size_t held_bytes_ = 0;
  size_t tried_bytes_ = 0;  // of these; 0: the last Apply got as far as it was to
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_FOLLOWER_H_
