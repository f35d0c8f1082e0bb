// SPDX-License-Identifier: Apache-2.0
#include "revision/follower.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace jetd::revision {

using jetstream::DecodeAlarms;
using jetstream::DecodeCompact;
using jetstream::DecodeHeader;
using jetstream::DecodeLease;
using jetstream::DecodeTerm;
using jetstream::SeqRange;
using Kind = jetstream::SubjectCodec::Kind;

namespace {

absl::Status Broken(StreamSeq at, std::string_view what) {
  return MakeError(Errc::kCorrupt, Cat("at sequence ", at.value(), " of the stream: ", what));
}

}  // namespace

void Follower::Start(StreamSeq position, Term term, StreamSeq term_seq) {
  position_ = read_ = applied_ = position;
  ForgetGaps();
  term_ = term;
  term_seq_ = term_seq;
  ForgetTerms();
  DropHeld();
}

void Follower::DropHeld() {
  held_.clear();
  held_bytes_ = tried_bytes_ = 0;
  read_ = position_;
}

void Follower::Hold(const jetstream::Record& record) {
  if (witness_.TakenBy(record)) witness_taken_ = true;
  if (record.seq <= read_) return;
  read_ = record.seq;
  Held& held = held_.emplace_back();
  held.seq = record.seq;
  held.time_ns = record.time_ns;
  auto subject = codec_->Decode(record.subject);
  const auto header = DecodeHeader(record.header);
  held.ours = subject.ok() && header.ok();
  if (held.ours) {
    held.header = *header;
    held.kind = subject->kind;
    held.lease = subject->lease;
    held.is_delete = record.is_delete;
    held.key = std::move(subject->key);
    held.payload = std::string(record.payload);
  }
  held_bytes_ += held.bytes();
}

void Follower::Pop(size_t count) {
  for (; count > 0; --count) {
    held_bytes_ -= held_.front().bytes();
    held_.pop_front();
  }
}

void Follower::NoteGapBelow(StreamSeq seq) {
  if (seq <= position_.Next()) return;
  if (gap_ == StreamSeq{}) gap_ = position_.Next();
  newest_gap_ = seq.Prev();
}

bool Follower::IsTerm(const Held& held) const { return held.ours && held.kind == Kind::kTerm; }

// What is void is named by a term record behind it; so these are looked at first.
absl::Status Follower::NoteVoids(StreamSeq upto) {
  voids_.DropUpTo(position_);
  for (const Held& held : held_) {
    if (held.seq > upto) break;
    if (!IsTerm(held)) continue;
    if (auto status = NoteVoidsOf(held.seq, held.payload); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Follower::NoteVoidsOf(StreamSeq term, std::string_view payload) {
  const auto record = DecodeTerm(payload);
  if (!record.ok()) return Broken(term, MessageOf(record.status()));
  for (const SeqRange& range : record->voids) {
    if (range.first <= applied_ && range.last > StreamSeq{} && range.last >= applied_) {
      return Broken(term, "a term record voids what was applied here");
    }
    if (range.last > position_) voids_.Add(range);
  }
  return absl::OkStatus();
}

// A foreign one says nothing.
absl::Status Follower::NoteTerm(const jetstream::Record& record) {
  if (record.seq <= position_ || !DecodeHeader(record.header).ok()) return absl::OkStatus();
  return NoteVoidsOf(record.seq, record.payload);
}

absl::StatusOr<Follower::Group> Follower::GroupAt(size_t first, StreamSeq upto) const {
  Group group = {&held_[first]};
  const Held& head = held_[first];
  if (head.header.index != 1) return Broken(head.seq, "a transaction begins in its middle");
  while (group.back()->header.index < head.header.count) {
    const StreamSeq wanted = group.back()->seq.Next();
    const size_t at = first + group.size();
    if (at == held_.size()) {
      if (read_ >= wanted) return Broken(wanted, "a transaction is cut short");
      return Group();
    }
    const Held& next = held_[at];
    if (next.seq > upto) return Group();
    if (next.seq != wanted || !next.ours || next.header.index != group.size() + 1 ||
        next.header.count != head.header.count || next.header.revision != head.header.revision ||
        next.header.term != head.header.term) {
      return Broken(wanted, "a transaction is cut short");
    }
    group.push_back(&next);
  }
  return group;
}

absl::Status Follower::Apply(StreamSeq upto) {
  tried_bytes_ = 0;
  if (auto status = NoteVoids(upto); !status.ok()) return status;
  while (!held_.empty() && held_.front().seq <= upto) {
    const Held& front = held_.front();
    NoteGapBelow(front.seq);
    if (voids_.Contains(front.seq)) {
      position_ = front.seq;
      Pop(1);
      continue;
    }
    if (!front.ours || front.header.term < term_) {
      return Broken(front.seq, "a foreign record that no term record voids");
    }
    const auto group = GroupAt(0, upto);
    if (!group.ok()) return group.status();
    if (group->empty()) {
      tried_bytes_ = held_bytes_;
      return absl::OkStatus();
    }
    term_ = front.header.term;
    if (auto status = ApplyGroup(*group); !status.ok()) return status;
    position_ = applied_ = group->back()->seq;
    Pop(group->size());
  }
  // What is deleted at the end is passed too.
  const StreamSeq passed = std::min(upto, read_);
  if ((held_.empty() || held_.front().seq > upto) && passed > position_) {
    NoteGapBelow(passed.Next());
    position_ = passed;
  }
  return absl::OkStatus();
}

absl::Status Follower::ApplyGroup(const Group& group) {
  const Held& front = *group.front();
  // A change says itself which revision it makes. What changes nothing names the newest one.
  const bool has_keys = std::any_of(group.begin(), group.end(),
                                    [](const Held* held) { return held->kind == Kind::kKey; });
  if (!has_keys && front.header.revision > store_->committed()) {
    return Broken(front.seq, Cat("revision ", front.header.revision.value(), " was before it, not ",
                                 store_->committed().value()));
  }
  switch (front.kind) {
    case Kind::kTerm:
      return ApplyTerm(front);
    case Kind::kCompact:
      return ApplyCompaction(front);
    case Kind::kAlarm:
      return ApplyAlarms(front);
    case Kind::kLive:
      system_->live.push_back(front.seq);
      events_->OnFollowedList();
      return absl::OkStatus();
    case Kind::kBarrier:
      return absl::OkStatus();
    case Kind::kOther:
      return Broken(front.seq, "a record of a later version");
    case Kind::kKey:
    case Kind::kLease:
      break;
  }
  store_->Begin();
  absl::Status status;
  for (const Held* held : group) {
    status = held->kind == Kind::kKey     ? ApplyChange(*held)
             : held->kind == Kind::kLease ? ApplyLease(*held)
                                          : Broken(held->seq, "a record of another kind");
    if (!status.ok()) break;
  }
  if (!status.ok()) {
    store_->Abort();
    return status;
  }
  if (store_->End()) store_->CommitOldest();
  for (const Held* held : group) {
    if (held->kind == Kind::kKey) newest_ = {held->seq, held->time_ns};
  }
  const auto& changes = store_->txn_changes();
  if (!changes.empty()) events_->OnFollowedCommit(front.header.revision, changes);
  for (const Held* held : group) {
    if (held->kind != Kind::kLease) continue;
    if (held->is_delete) {
      events_->OnFollowedGone(held->lease);
    } else {
      events_->OnFollowedGrant(held->lease, store_->FindLease(held->lease)->ttl_s);
    }
  }
  return absl::OkStatus();
}

// The leader has evaluated it, so what comes out here is what its header says; anything else means
// that something before it is missing.
absl::Status Follower::ApplyChange(const Held& held) {
  if (held.header.revision != store_->txn_revision()) {
    return Broken(held.seq, Cat("revision ", held.header.revision.value(), " instead of ",
                                store_->txn_revision().value()));
  }
  if (held.is_delete) {
    if (store_->Delete({.key = held.key, .end = {}}, held.seq) != 1) {
      return Broken(held.seq, "a deletion of a key that is not there");
    }
    return absl::OkStatus();
  }
  if (held.header.lease != LeaseId{} && !store_->FindLease(held.header.lease).has_value()) {
    return Broken(held.seq, "a put with a lease that is not there");
  }
  const Change& change = store_->Put(held.key, held.payload, held.header.lease, held.seq);
  if (change.kv->version() != held.header.version ||
      change.kv->create_revision() != held.header.create_revision) {
    return Broken(held.seq, "a put of another version");
  }
  return absl::OkStatus();
}

absl::Status Follower::ApplyLease(const Held& held) {
  const bool there = store_->FindLease(held.lease).has_value();
  if (there != held.is_delete) {
    return Broken(held.seq, there ? "a lease is granted twice" : "a lease that is not there goes");
  }
  if (!held.is_delete) {
    const auto lease = DecodeLease(held.payload);
    if (!lease.ok()) return Broken(held.seq, "a lease record cannot be read");
    store_->GrantLease(held.lease, lease->ttl_s);
    system_->leases[held.lease] = held.seq;
    return absl::OkStatus();
  }
  if (!store_->LeaseKeys(held.lease).empty())
    return Broken(held.seq, "a lease goes before its keys");
  store_->RevokeLease(held.lease);
  const auto grant = system_->leases.find(held.lease);
  const StreamSeq granted = grant == system_->leases.end() ? StreamSeq{} : grant->second;
  system_->gone_leases.push_back({held.header.revision, granted, held.seq});
  if (grant != system_->leases.end()) system_->leases.erase(grant);
  return absl::OkStatus();
}

absl::Status Follower::ApplyTerm(const Held& held) {
  const auto term = DecodeTerm(held.payload);
  if (!term.ok()) return Broken(held.seq, MessageOf(term.status()));
  if (system_->term != StreamSeq{}) system_->superseded.push_back(system_->term);
  system_->term = term->voids.empty() ? held.seq : StreamSeq{};
  term_seq_ = held.seq;
  events_->OnFollowedTerm(*term);
  return absl::OkStatus();
}

absl::Status Follower::ApplyAlarms(const Held& held) {
  auto alarms = DecodeAlarms(held.payload);
  if (!alarms.ok()) return Broken(held.seq, "a record of alarms cannot be read");
  if (system_->alarm != StreamSeq{}) system_->superseded.push_back(system_->alarm);
  system_->alarm = held.seq;
  events_->OnFollowedAlarms(std::move(alarms->alarms));
  return absl::OkStatus();
}

absl::Status Follower::ApplyCompaction(const Held& held) {
  const auto compact = DecodeCompact(held.payload);
  if (!compact.ok()) return Broken(held.seq, "a compaction record cannot be read");
  if (gap_ != StreamSeq{} && gap_ <= compact->bound) {
    return Broken(held.seq, "records below a compaction were removed before they were read here");
  }
  if (!store_->CheckCompact(compact->revision).ok()) {
    return Broken(held.seq, "a compaction at a revision that cannot be compacted");
  }
  store_->StartCompact(compact->revision);
  if (system_->compact != StreamSeq{}) system_->superseded.push_back(system_->compact);
  system_->compact = held.seq;
  events_->OnFollowedCompaction(compact->revision);
  return absl::OkStatus();
}

absl::StatusOr<Follower::End> Follower::Judge(StreamSeq last) const {
  End end;
  end.revision = store_->committed();
  end.term = term_;
  end.term_seq = term_seq_;
  Voids voids = voids_;
  for (const Held& held : held_) {
    if (!IsTerm(held)) continue;
    const auto term = DecodeTerm(held.payload);
    if (!term.ok()) return Broken(held.seq, MessageOf(term.status()));
    voids.Add(term->voids);
  }
  StreamSeq next = position_.Next();
  StreamSeq gap = gap_;
  StreamSeq hole;              // a foreign record: nothing counts from here to the next term record
  const Held* open = nullptr;  // the last record of a transaction that is not whole yet
  StreamSeq opened;            // and its first
  for (const Held& held : held_) {
    if (gap == StreamSeq{} && held.seq > next) gap = next;
    next = held.seq.Next();
    if (voids.Contains(held.seq)) continue;
    if (held.ours && held.kind == Kind::kCompact && gap != StreamSeq{}) {
      const auto compact = DecodeCompact(held.payload);
      if (!compact.ok() || gap <= compact->bound) {
        return Broken(held.seq, "records were removed before they were read here");
      }
    }
    if (held.ours && held.kind == Kind::kOther) {
      return Broken(held.seq, "a record of a later version");
    }
    if (IsTerm(held) && held.header.term >= end.term) {
      if (hole != StreamSeq{} || open != nullptr) {
        return Broken(held.seq, "a term record does not void what lies before it");
      }
      end.leader = *DecodeTerm(held.payload);
      end.term = held.header.term;
      end.term_seq = held.seq;
      continue;
    }
    if (hole != StreamSeq{}) continue;
    if (!held.ours || held.header.term < end.term) {
      hole = open != nullptr ? opened : held.seq;
      open = nullptr;
      continue;
    }
    end.term = held.header.term;
    const bool first = held.header.index == 1;
    if (first != (open == nullptr) || (open != nullptr && held.seq != open->seq.Next())) {
      return Broken(held.seq, "a transaction is cut short, and no term record voids it");
    }
    if (first) opened = held.seq;
    open = held.header.index < held.header.count ? &held : nullptr;
    if (open == nullptr) end.revision = std::max(end.revision, held.header.revision);
  }
  if (hole != StreamSeq{}) {
    end.voids.push_back({hole, last});
  } else if (open != nullptr) {
    end.voids.push_back({opened, open->seq});
  }
  return end;
}

}  // namespace jetd::revision
