// SPDX-License-Identifier: Apache-2.0
#include "revision/replay.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "jetstream/restore_record.h"

namespace jetd::revision {

using jetstream::DecodeAlarms;
using jetstream::DecodeCompact;
using jetstream::DecodeHeader;
using jetstream::DecodeLease;
using jetstream::DecodeLive;
using jetstream::DecodeTerm;
using jetstream::Log;
using jetstream::SeqRange;
using Kind = jetstream::SubjectCodec::Kind;

Replay::Replay(Log* log, const jetstream::SubjectCodec* codec, Store* store)
    : log_(log), codec_(codec), store_(store) {}

void Replay::Run(DoneFn done) {
  done_ = std::move(done);
  if (!checkpoint_path_.empty()) OpenCheckpoint();
  ReadControl();
}

void Replay::Restart() {
  if (store_ != nullptr) store_->Clear();
  result_ = Result{};
  position_ = previous_ = applied_ = hole_ = before_hole_ = StreamSeq{};
  revision_ = Revision(1);
  change_ = {};
  term_ = term_behind_hole_ = Term{};
  group_.clear();
  behind_hole_.clear();
}

void Replay::ReadControl() {
  known_voids_.Clear();
  compacts_.clear();
  compacted_ = Revision{};
  live_.Clear();
  Log::ReadOptions control;
  // Of those before it, a checkpoint says all.
  if (checkpoint_ != nullptr) control.from = checkpoint_->head().seq.Next();
  control.subjects = {codec_->TermSubject(), codec_->CompactSubject(), codec_->LiveSubject()};
  log_->Read(
      control, [this](const jetstream::Record& record) { OnControl(record); },
      [this](const absl::StatusOr<StreamSeq>& last) {
        if (!last.ok()) {
          std::exchange(done_, nullptr)(last.status());
          return;
        }
        if (checkpoint_ != nullptr) {
          TryCheckpoint(*last);
          return;
        }
        DropUnreadable();
        const absl::Status damage = std::exchange(damage_, absl::OkStatus());
        // Damage is what is left of a void that was removed, if a term record came meanwhile.
        const bool voided = !damage.ok() && terms_now_ > terms_;
        if ((voided || tidied_now_ > tidied_) && position_ > StreamSeq{}) {
          if (on_judged_) {
            std::exchange(done_, nullptr)(MakeError(
                Errc::kUnavailable, "the stream was compacted while it was read: read it again"));
            return;
          }
          Restart();
          doubted_ = false;
        } else if (!damage.ok() && !std::exchange(doubted_, true)) {
          damage_ = damage;
          return ReadControl();
        } else if (!damage.ok()) {
          std::exchange(done_, nullptr)(damage);
          return;
        }
        tidied_ = tidied_now_;
        terms_ = terms_now_;
        if (!error_.ok()) {
          std::exchange(done_, nullptr)(error_);
        } else {
          ReadAll();
        }
      });
}

void Replay::OnControl(const jetstream::Record& record) {
  if (record.header.empty() || !error_.ok()) return;
  const auto subject = codec_->Decode(record.subject);
  if (!subject.ok()) return;
  const bool ours = DecodeHeader(record.header).ok();
  if (ours) NoteTidying(record.seq, subject->kind);
  if (subject->kind == Kind::kCompact) {
    auto compact = DecodeCompact(record.payload);
    if (compact.ok() && ours) {
      compacts_[record.seq] = compact->revision;
      compacted_ = std::max(compacted_, compact->revision);
    }
    return;
  }
  if (subject->kind == Kind::kLive) {
    // Whether it lies in a void makes no difference: what it says was true when it was sent, and
    // stays true.
    auto live = DecodeLive(record.payload);
    if (live.ok() && ours) live_.Add(*std::move(live));
    return;
  }
  auto term = DecodeTerm(record.payload);
  // A foreign record says nothing, unless a later version's header is what cannot be read.
  if (!ours && !absl::IsFailedPrecondition(term.status())) return;
  if (!term.ok()) {
    // Not read, not judged: what it voids is unknown, so nothing here can be said to count.
    error_ =
        absl::FailedPreconditionError(Cat("the term record at sequence ", record.seq.value(),
                                          " cannot be used: ", MessageOf(term.status()),
                                          "; use the jetd that wrote this bucket, or a later one"));
    return;
  }
  NoteVoids(record.seq, term->voids);
  terms_now_ = std::max(terms_now_, record.seq);
}

// Voids that the first reading did not know of may name what was applied, or what would have kept
// another record from being applied and is removed by now.
void Replay::NoteVoids(StreamSeq term, const std::vector<SeqRange>& voids) {
  for (const SeqRange& range : voids) {
    known_voids_.Add(range);
    if (term > terms_ && range.first <= applied_) tidied_now_ = std::max(tidied_now_, term);
  }
}

void Replay::AddDead(StreamSeq seq) {
  if (store_ != nullptr) result_.dead.push_back(seq);
}

// R8. jetd's other records are not listed: each is superseded by a newer one of its kind.
bool Replay::CameBack(const Held& held) const {
  return (held.kind == Kind::kKey || held.kind == Kind::kLease) && live_.Dead(held.seq);
}

void Replay::ReadAll() {
  Log::ReadOptions all;
  all.from = position_.Next();
  if (store_ != nullptr) store_->ExpectMany();
  log_->Read(
      all, [this](const jetstream::Record& record) { OnRecord(record); },
      [this](absl::StatusOr<StreamSeq> last) { Finish(std::move(last)); });
}

// Nothing if it is not one of ours.
std::optional<Replay::Held> Replay::Decode(const jetstream::Record& record) const {
  auto subject = codec_->Decode(record.subject);
  auto header = DecodeHeader(record.header);
  if (!subject.ok() || !header.ok()) return std::nullopt;
  Held held{.seq = record.seq,
            .time_ns = record.time_ns,
            .header = *header,
            .kind = subject->kind,
            .lease = subject->lease,
            .is_delete = record.is_delete,
            .kv = {},
            .payload = {}};
  if (held.kind == Kind::kKey) {
    held.kv = KvBlock::Make({.key = subject->key,
                             .value = record.payload,
                             .mod = {header->revision, header->index - 1},
                             .create_revision = header->create_revision,
                             .version = header->version,
                             .lease = header->lease,
                             .seq = record.seq,
                             .tombstone = record.is_delete});
  } else {
    held.payload = std::string(record.payload);
  }
  return held;
}

void Replay::OnRecord(const jetstream::Record& record) {
  if (record.seq <= position_ || !error_.ok()) return;
  previous_ = std::exchange(position_, record.seq);
  ++result_.records;
  if (witness_.TakenBy(record)) result_.witness_taken = true;
  std::optional<Held> held = Decode(record);
  if (held.has_value()) NoteTidying(held->seq, held->kind);
  if (held.has_value() && CameBack(*held)) {
    if (!on_judged_) return AddUnlisted(*held);
    held->dropped = true;  // what was, not what is, is asked for
  }
  if (known_voids_.Contains(record.seq)) {
    if (held.has_value()) Judge(*held, Verdict::kVoid);
    AddDead(record.seq);
    return;
  }
  if (!held.has_value() || held->header.term < term_) {
    OnForeign(record.seq);
    if (held.has_value()) Judge(*held, Verdict::kVoid);
    return;
  }
  term_ = held->header.term;
  Accept(*std::move(held));
}

void Replay::OnForeign(StreamSeq seq) {
  ++result_.foreign;
  // A group that is not whole by now never will be.
  if (hole_ == StreamSeq{}) {
    hole_ = group_.empty() ? seq : group_.front().seq;
    before_hole_ = hole_.Prev();
  }
  for (const Held& one : std::exchange(group_, {})) {
    Judge(one, Verdict::kVoid);
    behind_hole_.push_back(one.seq);
  }
  behind_hole_.push_back(seq);
}

void Replay::Judge(const Held& held, Verdict verdict) const {
  if (on_judged_) on_judged_(held, verdict);
}

void Replay::Broken(StreamSeq at, const std::string& what) {
  if (log_->exclusive()) {
    // Nothing behind a hole was ever answered: answers wait for the sync of all before them.
    hole_ = at;
    before_hole_ = at == position_ ? previous_ : at.Prev();
    group_.clear();
    return;
  }
  error_ = MakeError(Errc::kCorrupt, Cat("the stream is damaged at sequence ",
                                         std::to_string(at.value()), ": ", what));
}

// R7. Elsewhere a hole is loss anyway.
void Replay::CheckBehindHole(const Held& held) {
  if (!log_->exclusive()) return;
  const bool led = term_behind_hole_ != Term{} && held.header.term >= term_behind_hole_;
  if (!led && !ListsLost(held) && held.kind != Kind::kCompact) return;
  error_ = MakeError(
      Errc::kCorrupt,
      Cat("records before sequence ", hole_.value(), " are missing, and the one at ",
          held.seq.value(), " shows that they were safe; restore the data folder from a backup"));
}

// A list speaks of what was safe when it was written: of records from the hole on, or of one in it.
bool Replay::ListsLost(const Held& held) const {
  if (held.kind != Kind::kLive) return false;
  const auto list = DecodeLive(held.payload);
  if (!list.ok()) return false;
  return list->range.last >= hole_ ||
         std::any_of(list->live.begin(), list->live.end(),
                     [this](StreamSeq seq) { return seq > before_hole_ && seq < hole_; });
}

// `first` opens a group, or stands alone. Above the compact revision a key's record must carry the
// next revision (R3), and jetd's own one that is known.
bool Replay::CheckRevision(const Held& first) {
  const Revision before = std::max(revision_, compacted_);
  if (first.header.revision <= (first.kind == Kind::kKey ? compacted_ : before)) return true;
  if (first.kind == Kind::kKey && first.header.revision == before.Next()) return true;
  Broken(first.seq, Cat("revision ", std::to_string(first.header.revision.value()), " follows ",
                        std::to_string(before.value())));
  return false;
}

void Replay::Accept(Held held) {
  if (held.kind == Kind::kTerm) {
    OnTerm(held);
    return;
  }
  if (held.kind == Kind::kOther) {
    const auto restore = jetstream::DecodeRestore(held.payload);
    // What other kinds mean, and so what counts, only a later version knows.
    error_ = absl::FailedPreconditionError(
        restore.ok() ? Cat("this bucket is not whole: it is being filled with ", restore->what,
                           "; run that `jetctl restore` or `import` again, or remove it")
                     : Cat("the record at sequence ", held.seq.value(), " is of a kind that ",
                           "this jetd does not know; use the jetd that wrote it, or a later one"));
    return;
  }
  if (held.kind == Kind::kBarrier) {
    AddDead(held.seq);
    Judge(held, Verdict::kCounts);
    return;
  }
  if (hole_ != StreamSeq{}) {
    CheckBehindHole(held);
    Judge(held, Verdict::kVoid);
    behind_hole_.push_back(held.seq);
    return;
  }
  const bool alone = held.header.count == 1;
  const bool below = held.header.revision <= compacted_;
  if (!group_.empty()) {
    const Held& last = group_.back();
    const bool continues =
        held.seq == last.seq.Next() && held.header.index == last.header.index + 1 &&
        held.header.count == last.header.count && held.header.revision == last.header.revision &&
        held.header.term == last.header.term;
    if (!continues) {
      Broken(group_.front().seq, "a transaction was cut short, and no term record voids it");
      return;
    }
    const bool whole = held.header.index == held.header.count;
    group_.push_back(std::move(held));
    if (whole) {
      for (const Held& one : std::exchange(group_, {})) Apply(one);
    }
    return;
  }
  if (alone || below) {
    if (!below && !CheckRevision(held)) return;
    Apply(held);
    return;
  }
  if (held.header.index != 1) {
    Broken(held.seq, "a transaction begins in its middle");
    return;
  }
  if (CheckRevision(held)) group_.push_back(std::move(held));
}

void Replay::OnTerm(const Held& held) {
  auto term = DecodeTerm(held.payload);
  if (!term.ok()) {
    Broken(held.seq, "a term record cannot be read");
    return;
  }
  // It may be newer than the first reading: what it voids was cut short right before it.
  NoteVoids(held.seq, term->voids);
  if (!group_.empty()) {
    if (!known_voids_.Contains(group_.front().seq)) {
      Broken(group_.front().seq, "a transaction was cut short, and no term record voids it");
      return;
    }
    for (const Held& one : std::exchange(group_, {})) {
      Judge(one, Verdict::kVoid);
      AddDead(one.seq);
    }
  }
  if (hole_ == StreamSeq{} && !CheckRevision(held)) {
    // Missing records lie before it. Whether its leader got to lead, what follows shows.
    term_behind_hole_ = term->term;
    behind_hole_.push_back(held.seq);
    return;
  }
  Judge(held, Verdict::kCounts);
  if (hole_ != StreamSeq{}) {
    if (!known_voids_.Contains(hole_)) {
      if (!log_->exclusive()) Broken(hole_, "a term record does not void what lies before it");
      if (term_behind_hole_ == Term{}) term_behind_hole_ = term->term;
      return;
    }
    hole_ = StreamSeq{};
    term_behind_hole_ = Term{};
    for (const StreamSeq seq : std::exchange(behind_hole_, {})) AddDead(seq);
  }
  SystemRecords& system = result_.system;
  if (system.term != StreamSeq{}) system.superseded.push_back(system.term);
  system.term = term->voids.empty() ? held.seq : StreamSeq{};
  if (term->term >= result_.term) {
    result_.term = term->term;
    result_.leader_seq = held.seq;
    result_.leader = *std::move(term);
  }
  revision_ = std::max(revision_, held.header.revision);
}

void Replay::Apply(const Held& held) {
  if (held.kind == Kind::kKey) {
    // Below the compact revision too, where nothing else compares one with the other.
    if (held.kv->mod() <= change_) {
      Broken(held.seq, Cat("revision ", std::to_string(held.header.revision.value()), " behind ",
                           std::to_string(change_.main.value())));
      return;
    }
    change_ = held.kv->mod();
    result_.newest = {held.seq, held.time_ns};
  }
  applied_ = held.seq;
  Judge(held, Verdict::kCounts);
  if (held.kind == Kind::kKey) {
    if (store_ != nullptr) store_->Restore(held.kv);
  } else {
    ApplySystem(held);
  }
  revision_ = std::max(revision_, held.header.revision);
}

void Replay::ApplySystem(const Held& held) {
  SystemRecords& system = result_.system;
  if (held.kind == Kind::kCompact) {
    if (system.compact != StreamSeq{}) system.superseded.push_back(system.compact);
    system.compact = held.seq;
    return;
  }
  if (held.kind == Kind::kLive) {
    system.live.push_back(held.seq);
    return;
  }
  if (held.kind == Kind::kAlarm) {
    auto alarms = DecodeAlarms(held.payload);
    if (!alarms.ok()) {
      Broken(held.seq, "a record of alarms cannot be read");
      return;
    }
    if (system.alarm != StreamSeq{}) system.superseded.push_back(system.alarm);
    system.alarm = held.seq;
    result_.alarms = std::move(alarms->alarms);
    return;
  }
  if (held.kind != Kind::kLease) return;
  if (held.is_delete) {
    if (store_ == nullptr) return;
    const auto grant = system.leases.find(held.lease);
    system.gone_leases.push_back({held.header.revision,
                                  grant == system.leases.end() ? StreamSeq{} : grant->second,
                                  held.seq});
    if (grant != system.leases.end()) system.leases.erase(grant);
    store_->RestoreLeaseGone(held.lease);
    return;
  }
  const auto lease = DecodeLease(held.payload);
  if (!lease.ok()) {
    Broken(held.seq, "a lease record cannot be read");
    return;
  }
  if (store_ == nullptr) return;
  system.leases[held.lease] = held.seq;
  store_->RestoreLease(held.lease, lease->ttl_s);
}

void Replay::Finish(absl::StatusOr<StreamSeq> last) {
  // Damage, or what looks like it because records were removed meanwhile: the first reading, once
  // more, tells.
  damage_ = std::exchange(error_, absl::OkStatus());
  if (!last.ok()) {
    std::exchange(done_, nullptr)(last.status());
    return;
  }
  if (tidied_now_ > tidied_ || !damage_.ok()) return ReadControl();
  if (store_ != nullptr) store_->HasCome();
  position_ = std::max(position_, *last);
  // A compaction record behind a hole is void like all that lies there.
  Revision compacted;
  for (const auto& [seq, revision] : compacts_) {
    if ((hole_ == StreamSeq{} || seq < hole_) && !known_voids_.Contains(seq)) {
      compacted = std::max(compacted, revision);
    }
  }
  revision_ = std::max(revision_, compacted);
  result_.revision = revision_;
  result_.compacted = compacted;
  if (store_ != nullptr) FinishStore(compacted);
  Result result = result_;
  result.last = position_;
  result.named = known_voids_;
  // The group stays held: whoever writes it may be alive and finish it before we take over.
  if (hole_ != StreamSeq{}) {
    result.voids.push_back({hole_, position_});
  } else if (!group_.empty()) {
    result.voids.push_back({group_.front().seq, group_.back().seq});
  }
  std::exchange(done_, nullptr)(std::move(result));
}

void Replay::FinishStore(Revision compacted) {
  store_->RestoreRevision(revision_);
  if (compacted > Revision{} && compacted > store_->compacted()) {
    Store::Garbage garbage = store_->Compact(compacted);
    std::move(garbage.superseded.begin(), garbage.superseded.end(),
              std::back_inserter(result_.garbage.superseded));
    std::move(garbage.tombstones.begin(), garbage.tombstones.end(),
              std::back_inserter(result_.garbage.tombstones));
    std::move(garbage.last_tombstones.begin(), garbage.last_tombstones.end(),
              std::back_inserter(result_.garbage.last_tombstones));
  }
}

}  // namespace jetd::revision
