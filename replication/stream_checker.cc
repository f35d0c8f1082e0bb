// SPDX-License-Identifier: Apache-2.0
//
// The order of a stream: voids, terms, groups, revisions, holes. What the records say is checked in
// stream_checker_apply.cc.
#include "replication/stream_checker.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/strings.h"
#include "jetstream/restore_record.h"

namespace jetd::replication {

using jetstream::DecodeHeader;
using jetstream::DecodeTerm;
using jetstream::SeqRange;
using jetstream::TermRecord;

// --- the readings of control records ------------------------------------------------------------

void StreamChecker::OnControl(const jetstream::Record& record) {
  control_ = std::max(control_, record.seq);
  const auto subject = codec_->Decode(record.subject);
  if (!subject.ok() || record.header.empty()) return;
  const bool ours = DecodeHeader(record.header).ok();
  if (subject->kind == Kind::kTerm) {
    const auto term = DecodeTerm(record.payload);
    if (term.ok() && ours) {
      NoteVoids(term->voids);
    } else if (absl::IsFailedPrecondition(term.status())) {
      refused_.Update(MakeStatus(absl::StatusCode::kFailedPrecondition, "the record at sequence ",
                                 record.seq.value(), " is a ", MessageOf(term.status()),
                                 "; check with the jetctl of the jetd that wrote it"));
    }
  } else if (subject->kind == Kind::kCompact) {
    const auto compact = jetstream::DecodeCompact(record.payload);
    if (compact.ok() && ours) {
      compactions_[record.seq] = compact->revision;
      compacted_ = std::max(compacted_, compact->revision);
    }
  } else if (subject->kind == Kind::kLive) {
    auto live = jetstream::DecodeLive(record.payload);
    if (live.ok() && ours) live_.Add(*std::move(live));
  }
}

// Whoever removes records has written one of these before.
void StreamChecker::OnLater(const jetstream::Record& record) {
  const auto subject = codec_->Decode(record.subject);
  if (record.seq <= control_ || !subject.ok() || !DecodeHeader(record.header).ok()) return;
  if (subject->kind != Kind::kTerm) {
    outdated_ = true;
    return;
  }
  const auto term = DecodeTerm(record.payload);
  outdated_ = outdated_ || !term.ok() || !term->voids.empty();
}

void StreamChecker::NoteVoids(const std::vector<SeqRange>& voids) {
  for (const SeqRange& range : voids) {
    StreamSeq& last = voids_[range.first];
    last = std::max(last, range.last);
  }
}

// Ranges may overlap.
bool StreamChecker::IsVoid(StreamSeq seq) const {
  for (auto it = voids_.upper_bound(seq); it != voids_.begin();) {
    --it;
    if (it->second >= seq) return true;
  }
  return false;
}

// --- all records --------------------------------------------------------------------------------

void StreamChecker::Report(Damage damage, const Item& item, std::string what) {
  Problem problem{.damage = damage,
                  .seq = item.seq,
                  .subject = item.subject,
                  .key = item.key,
                  .revision = item.header.revision,
                  .what = std::move(what)};
  if (hole_.has_value()) {
    if (deferred_.size() < CheckReport::kMaxProblems) deferred_.push_back(std::move(problem));
  } else {
    report_.Add(std::move(problem));
  }
}

void StreamChecker::OnRecord(const jetstream::Record& record) {
  if (record.seq <= position_ || !refused_.ok()) return;
  previous_ = std::exchange(position_, record.seq);
  ++report_.records;
  CheckVoids(record);
  if (IsVoid(record.seq)) {
    ++report_.garbage.voided;
    return;
  }
  const auto subject = codec_->Decode(record.subject);
  const auto header = DecodeHeader(record.header);
  if (record.header.empty()) return OnForeign(record, "a record that jetd did not write");
  if (!header.ok()) return OnForeign(record, std::string(MessageOf(header.status())));
  if (!subject.ok()) return OnForeign(record, std::string(MessageOf(subject.status())));
  if ((subject->kind == Kind::kKey || subject->kind == Kind::kLease) && live_.Dead(record.seq)) {
    ++report_.garbage.came_back;
    return;
  }
  if (header->term < term_) {
    return OnForeign(record, Cat("a record of term ", header->term.value(), " behind one of term ",
                                 term_.value()));
  }
  Item item{.seq = record.seq,
            .header = *header,
            .kind = subject->kind,
            .subject = std::string(record.subject),
            .key = subject->key,
            .lease = subject->lease,
            .is_delete = record.is_delete,
            .payload = {}};
  if (item.kind != Kind::kKey) item.payload = std::string(record.payload);
  if (item.kind == Kind::kOther && jetstream::DecodeRestore(item.payload).ok()) {
    refused_ = absl::FailedPreconditionError(
        "the bucket is not whole: run the jetctl restore or import that fills it again, which goes "
        "on, or remove the bucket");
    return;
  }
  if (item.kind == Kind::kOther) {
    refused_ = MakeStatus(absl::StatusCode::kFailedPrecondition, "the record at sequence ",
                          item.seq.value(), ", subject ", item.subject,
                          ", is of a kind that this version does not know; check with the jetctl "
                          "of the jetd that wrote it");
    return;
  }
  if (item.kind == Kind::kTerm) {
    OnTerm(item);
  } else {
    NoteTerm(item);
    Accept(std::move(item));
  }
  term_ = std::max(term_, header->term);
}

// Until a term record voids it, and all behind it.
void StreamChecker::OnForeign(const jetstream::Record& record, const std::string& why) {
  if (hole_.has_value()) {
    ++hole_->records;
    hole_->foreign = true;
    return;
  }
  Item item{.seq = record.seq, .header = {}, .subject = std::string(record.subject)};
  if (const auto subject = codec_->Decode(record.subject); subject.ok()) item.key = subject->key;
  // A group that is not whole by now never will be.
  const std::vector<Item> group = std::exchange(group_, {});
  const Item& first = group.empty() ? item : group.front();
  OpenHole(first, /*foreign=*/true,
           group.empty() ? revision_ : group.front().header.revision.Prev());
  hole_->records += group.size();
  Report(Damage::kForeign, item, why);
}

// `item` is the first record that does not follow.
void StreamChecker::OpenHole(const Item& item, bool foreign, Revision revision) {
  if (hole_.has_value() || (!exclusive_ && !foreign)) return;
  hole_ = Hole{.at = item.seq,
               .before = item.seq == position_ ? previous_ : item.seq.Prev(),
               .revision = revision,
               .foreign = foreign,
               .term = {},
               .records = 1};
}

// It was no power cut: then all that was found behind it is damage, and from here on all counts.
void StreamChecker::ProveHole(const std::string& by) {
  hole_.reset();
  for (Problem& problem : std::exchange(deferred_, {})) {
    CatTo(problem.what, "; ", by);
    report_.Add(std::move(problem));
  }
}

// R7: whoever wrote this had seen that all before it was safe.
bool StreamChecker::Proves(const Item& item) const {
  if (!exclusive_) return false;
  if (item.kind == Kind::kCompact) return true;
  if (hole_->term != Term{} && item.header.term >= hole_->term) return true;
  if (item.kind != Kind::kLive) return false;
  const auto list = jetstream::DecodeLive(item.payload);
  return list.ok() && (list->range.last >= hole_->at ||
                       std::any_of(list->live.begin(), list->live.end(), [this](StreamSeq seq) {
                         return seq > hole_->before && seq < hole_->at;
                       }));
}

// --- terms --------------------------------------------------------------------------------------

// The record of a term may be removed once a later one is there, but not before.
void StreamChecker::NoteTerm(const Item& item) {
  if (item.header.term <= term_record_ || unannounced_.has_value()) return;
  unannounced_ = item;
}

void StreamChecker::CheckTermRecord(const Item& item, const TermRecord& term) {
  if (term.term != item.header.term) {
    Report(
        Damage::kTerm, item,
        Cat("a record of term ", item.header.term.value(), " announces term ", term.term.value()));
  }
  if (term.term <= term_record_ || term.term <= term_) {
    Report(Damage::kTerm, item,
           Cat("term ", term.term.value(), " begins behind term ",
               std::max(term_record_, term_).value(), " (incarnation ", term.incarnation,
               incarnation_.empty() ? "" : ", before it ", incarnation_, ")"));
  }
}

// Whatever else voids it, itself perhaps.
void StreamChecker::CheckVoids(const jetstream::Record& record) {
  const auto subject = codec_->Decode(record.subject);
  if (!subject.ok() || subject->kind != Kind::kTerm || !DecodeHeader(record.header).ok()) return;
  const auto term = DecodeTerm(record.payload);
  if (!term.ok()) return;
  const Item item{.seq = record.seq,
                  .header = *DecodeHeader(record.header),
                  .subject = std::string(record.subject)};
  for (const SeqRange& range : term->voids) {
    if (range.last < item.seq) continue;
    Report(Damage::kVoid, item,
           Cat("it voids ", range.first.value(), "..", range.last.value(),
               ", which was not there yet"));
  }
}

void StreamChecker::OnTerm(const Item& item) {
  const auto term = DecodeTerm(item.payload);
  if (!term.ok()) {
    if (absl::IsFailedPrecondition(term.status())) {
      refused_ = term.status();
    } else {
      Report(Damage::kTerm, item, std::string(MessageOf(term.status())));
    }
    return;
  }
  // It may be newer than the first reading.
  NoteVoids(term->voids);
  if (!group_.empty()) {
    if (IsVoid(group_.front().seq)) {
      report_.garbage.voided += group_.size();
      group_.clear();
    } else {
      EndGroup("a transaction was cut short, and no term record voids it");
    }
  }
  if (hole_.has_value() && IsVoid(hole_->at)) {
    // The first reading did not know, and what lay behind the hole was taken for something.
    outdated_ = true;
    return;
  }
  if (hole_.has_value() && !exclusive_) {
    ProveHole(Cat("the term record at sequence ", item.seq.value(), " does not void it"));
  }
  CheckTermRecord(item, *term);
  CheckRevision(item);
  if (hole_.has_value() && hole_->term == Term{}) hole_->term = term->term;
  term_record_ = std::max(term_record_, term->term);
  incarnation_ = term->incarnation;
  unannounced_.reset();
  if (term_seq_ != StreamSeq{}) ++report_.garbage.own_records;
  // One that voids something is never removed.
  term_seq_ = term->voids.empty() ? item.seq : StreamSeq{};
}

// --- groups and revisions -----------------------------------------------------------------------

void StreamChecker::Accept(Item item) {
  if (item.kind == Kind::kBarrier) {
    ++report_.garbage.barriers;
    return;
  }
  if (hole_.has_value() && Proves(item)) {
    ProveHole(Cat("the record at sequence ", item.seq.value(), " shows that it had been answered"));
  }
  if (hole_.has_value()) {
    ++hole_->records;
    if (hole_->foreign) return;  // it was meant for another place
  }
  AcceptGroup(std::move(item));
}

void StreamChecker::AcceptGroup(Item item) {
  if (!group_.empty()) {
    const Item& last = group_.back();
    const bool continues =
        item.seq == last.seq.Next() && item.header.index == last.header.index + 1 &&
        item.header.count == last.header.count && item.header.revision == last.header.revision &&
        item.header.term == last.header.term;
    if (continues) {
      const bool whole = item.header.index == item.header.count;
      group_.push_back(std::move(item));
      if (!whole) return;
      for (const Item& one : std::exchange(group_, {})) Apply(one);
      return;
    }
    EndGroup("a transaction was cut short, and no term record voids it");
  }
  CheckRevision(item);
  // At or below the compact revision parts of it may be gone.
  if (item.header.count == 1 || item.header.revision <= compacted_) {
    Apply(item);
  } else if (item.header.index == 1) {
    group_.push_back(std::move(item));
  } else {
    // Of one that was cut short, the first that is missing is told of.
    if (std::exchange(cut_, item.header.revision) != item.header.revision) {
      OpenHole(item, /*foreign=*/false, item.header.revision.Prev());
      Report(Damage::kGroup, item,
             Cat("record ", item.header.index, " of ", item.header.count,
                 " of a transaction, and the one before it is not there"));
    }
    Apply(item);
  }
}

// What is there of it is taken, so that the rest of the stream is compared with it.
void StreamChecker::EndGroup(const std::string& why) {
  std::vector<Item> group = std::exchange(group_, {});
  cut_ = group.front().header.revision;
  OpenHole(group.front(), /*foreign=*/false, cut_.Prev());
  Report(Damage::kGroup, group.front(),
         Cat(why, ": ", group.size(), " of ", group.front().header.count, " records are there"));
  for (const Item& one : group) Apply(one);
}

// `item` opens a group, or stands alone. Above the compact revision a key's record has the next
// revision, and jetd's own one that is known.
void StreamChecker::CheckRevision(const Item& item) {
  const Revision before = std::max(revision_, compacted_);
  const Revision now = item.header.revision;
  const bool of_key = item.kind == Kind::kKey;
  if (now <= compacted_) {
    const std::pair change(now, item.header.index);
    if (of_key && change <= change_) {
      Report(Damage::kRevision, item,
             Cat("it comes behind revision ", change_.first.value(), ", change ", change_.second));
    }
    if (of_key) change_ = std::max(change_, change);
    revision_ = std::max(revision_, now);
    return;
  }
  // The rest of a transaction that was cut short.
  const bool rest = item.header.index > 1 && now == revision_;
  const bool right = of_key ? now == before.Next() || rest : now <= before;
  const bool missing = now > (of_key ? before.Next() : before);
  if (missing) {
    OpenHole(item, /*foreign=*/false, before);
    const int64_t first = before.value() + 1;
    const int64_t last = of_key ? now.value() - 1 : now.value();
    Report(Damage::kRevision, item,
           first == last ? Cat("revision ", first, " is missing before it")
                         : Cat("revisions ", first, " to ", last, " are missing before it"));
  } else if (!right) {
    Report(Damage::kRevision, item, Cat("it comes behind revision ", before.value()));
  }
  revision_ = std::max(revision_, now);
}

// --- the end ------------------------------------------------------------------------------------

// One that is void, or lies behind a hole, never was.
Revision StreamChecker::CompactedInTheEnd() const {
  Revision compacted;
  for (const auto& [seq, revision] : compactions_) {
    if (IsVoid(seq) || (hole_.has_value() && seq >= hole_->at)) continue;
    compacted = std::max(compacted, revision);
  }
  return compacted;
}

void StreamChecker::Finish(StreamSeq last) {
  position_ = std::max(position_, last);
  if (!group_.empty()) {
    report_.notices.push_back(
        Cat("the last transaction is not whole (", group_.size(), " of ",
            group_.front().header.count, " records from sequence ", group_.front().seq.value(),
            " on): it was never answered, and is void once another leader begins"));
    revision_ = std::max(Revision(1), group_.front().header.revision.Prev());
  }
  if (unannounced_.has_value() && !hole_.has_value()) {
    Report(Damage::kTerm, *unannounced_,
           Cat("no term record announces its term ", unannounced_->header.term.value()));
  }
  if (hole_.has_value()) {
    revision_ = hole_->revision;
    const std::string what = deferred_.empty() ? std::string() : Cat(" (", deferred_[0].what, ")");
    report_.notices.push_back(Cat("from sequence ", hole_->at.value(), " on ", hole_->records,
                                  " records were never answered", what,
                                  ": they are void once another leader begins"));
  }
  for (const jetstream::Alarm& alarm : alarms_) {
    report_.notices.push_back(Cat("the alarm ", jetstream::ToText(alarm), " is raised"));
  }
  if (!hole_.has_value()) CheckLiveKeys();
  report_.last = position_;
  report_.compacted = CompactedInTheEnd();
  report_.revision = std::max(revision_, report_.compacted);
  report_.term = std::max(term_record_, term_);
  report_.keys = keys_.live();
  report_.leases = Leases().size();
}

}  // namespace jetd::replication
