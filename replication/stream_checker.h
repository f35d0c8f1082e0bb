// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_STREAM_CHECKER_H_
#define JETD_REPLICATION_STREAM_CHECKER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/record.h"
#include "jetstream/subject.h"
#include "replication/check_report.h"
#include "replication/key_history.h"
#include "revision/live_list.h"

namespace jetd::replication {

// StreamChecker judges the records of a stream by the rules of revision/replay.h, which it shares
// no code with, and by the history of each key and lease. Where a replay ends at the first thing
// that is wrong, this goes on: it takes what is there and says what is missing, so that one lost
// record is one damage or two and not thousands.
//
//   checker.OnControl(record) …   the term and compaction records and lists of what lives
//   checker.OnRecord(record) …    all records, ascending
//   checker.OnLater(record) …     the first kind again, behind what OnControl saw: whether
//   something
//                                 was removed while it was read
//   checker.Finish(last)
//
// `exclusive`: jetd alone could write, and synced before it answered (an embedded nats-server).
// Then what lies behind a hole was never answered, unless a record behind it proves otherwise (R7),
// and is a notice, not damage: the next start voids it.
//
// Memory: KeyHistory's for each key, some 50 bytes for each lease, the records of one transaction,
// the lists of what lives. One thread.
class StreamChecker {
 public:
  StreamChecker(const jetstream::SubjectCodec* codec, bool exclusive)
      : codec_(codec), exclusive_(exclusive) {}

  void OnControl(const jetstream::Record& record);
  void OnRecord(const jetstream::Record& record);
  void OnLater(const jetstream::Record& record);
  // `last`: all at or below it was read.
  void Finish(StreamSeq last);

  // Not OK: a record of a version of jetd that this one does not know. Nothing can be said then.
  [[nodiscard]] const absl::Status& refused() const { return refused_; }
  // What was removed or voided meanwhile may look like damage: read all anew, with a new checker.
  [[nodiscard]] bool outdated() const { return outdated_; }
  // Nothing counts from some record on: it is damaged there, or was never answered.
  [[nodiscard]] bool cut() const { return hole_.has_value() || report_.damages() > 0; }

  [[nodiscard]] const CheckReport& report() const { return report_; }
  [[nodiscard]] CheckReport& report() { return report_; }
  [[nodiscard]] const KeyHistory& keys() const { return keys_; }
  // Granted and not gone.
  [[nodiscard]] std::vector<LeaseId> Leases() const;

 private:
  using Kind = jetstream::SubjectCodec::Kind;
  struct Item {
    StreamSeq seq;
    jetstream::RecordHeader header;
    Kind kind = Kind::kOther;
    std::string subject;
    std::string key;
    LeaseId lease;
    bool is_delete = false;
    std::string payload;  // of jetd's own
  };
  // From here on nothing counts, or nobody knows.
  struct Hole {
    StreamSeq at;      // its first record
    StreamSeq before;  // the last one in front of it
    Revision revision;
    bool foreign = false;
    Term term;  // of a term record behind it that does not void it; 0: none
    uint64_t records = 0;
  };
  struct Lease {
    bool there = false;
    uint64_t keys = 0;  // live ones that were put above the compact revision
  };

  void Report(Damage damage, const Item& item, std::string what);
  // `revision`: the newest in front of it.
  void OpenHole(const Item& item, bool foreign, Revision revision);
  void ProveHole(const std::string& by);
  [[nodiscard]] bool Proves(const Item& item) const;
  void OnForeign(const jetstream::Record& record, const std::string& why);
  void OnTerm(const Item& item);
  void CheckTermRecord(const Item& item, const jetstream::TermRecord& term);
  void CheckVoids(const jetstream::Record& record);
  void NoteTerm(const Item& item);
  void Accept(Item item);
  void AcceptGroup(Item item);
  void EndGroup(const std::string& why);
  void CheckRevision(const Item& item);
  void Apply(const Item& item);
  void ApplyKey(const Item& item);
  void MoveLease(LeaseId from, LeaseId to);
  void ApplyLease(const Item& item);
  void ApplyCompact(const Item& item);
  void ApplyAlarms(const Item& item);
  void ApplyLive(const Item& item);
  void CheckLiveKeys();
  [[nodiscard]] bool IsVoid(StreamSeq seq) const;
  [[nodiscard]] Revision CompactedInTheEnd() const;
  void NoteVoids(const std::vector<jetstream::SeqRange>& voids);

  const jetstream::SubjectCodec* const codec_;
  const bool exclusive_;

  // Of the first reading.
  std::map<StreamSeq, StreamSeq> voids_;  // first -> last
  std::map<StreamSeq, Revision> compactions_;
  Revision compacted_;  // of the newest of them
  revision::LiveList live_;
  StreamSeq control_;  // its newest record

  CheckReport report_;
  absl::Status refused_;
  bool outdated_ = false;
  StreamSeq position_, previous_;  // the newest record, and the one before it
  Revision revision_{1};
  // Of the newest key's record at or below the compact revision, where parts may be missing.
  std::pair<Revision, uint32_t> change_;
  Term term_;         // highest of all records so far
  Term term_record_;  // highest of the term records so far
  // First record of a term whose own record did not come by.
  std::optional<Item> unannounced_;
  std::string incarnation_;
  std::vector<Item> group_;  // that is not whole yet
  Revision cut_;             // of the newest transaction that is not whole
  std::optional<Hole> hole_;
  // Found from the hole on: damage once something proves that it was no power cut, and that nobody
  // is still to void it.
  std::vector<Problem> deferred_;
  KeyHistory keys_;
  absl::flat_hash_map<LeaseId, Lease> leases_;
  StreamSeq compact_;          // newest compaction record
  Revision compact_revision_;  // its
  StreamSeq term_seq_;         // newest term record, if it voids nothing
  uint64_t lists_ = 0;         // records of the newest list
  StreamSeq alarm_;            // newest record of alarms, and what it says
  std::vector<jetstream::Alarm> alarms_;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STREAM_CHECKER_H_
