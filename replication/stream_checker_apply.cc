// SPDX-License-Identifier: Apache-2.0
//
// What the records of a stream say: of keys, leases, compactions, and lists of what lives.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/strings.h"
#include "replication/stream_checker.h"

namespace jetd::replication {
namespace {

std::string HexId(LeaseId lease) {
  std::array<char, 16> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(),
                                 static_cast<uint64_t>(lease.value()), 16)
                       .ptr;
  return {text.data(), end};
}

}  // namespace

void StreamChecker::Apply(const Item& item) {
  switch (item.kind) {
    case Kind::kKey:
      return ApplyKey(item);
    case Kind::kLease:
      return ApplyLease(item);
    case Kind::kCompact:
      return ApplyCompact(item);
    case Kind::kLive:
      return ApplyLive(item);
    case Kind::kAlarm:
      return ApplyAlarms(item);
    case Kind::kTerm:
    case Kind::kBarrier:
    case Kind::kOther:
      return;  // judged before
  }
}

// --- keys ---------------------------------------------------------------------------------------

void StreamChecker::ApplyKey(const Item& item) {
  const bool above = item.header.revision > compacted_;
  const KeyHistory::Change change =
      keys_.Apply(item.key, item.header, item.seq, item.is_delete, compacted_);
  if (!change.wrong.empty()) Report(Damage::kKey, item, change.wrong);
  const KeyHistory::Version& before = change.before;
  const bool was_there = before.mod != Revision{} && !before.deleted();
  if (!above && before.mod != Revision{}) {
    ++(before.deleted() ? report_.garbage.markers : report_.garbage.superseded);
  }
  const LeaseId from = was_there && before.mod > compacted_ ? before.lease : LeaseId{};
  const LeaseId to = above && !item.is_delete ? item.header.lease : LeaseId{};
  if (to != LeaseId{} && !leases_[to].there) {
    Report(Damage::kLease, item, Cat("its lease ", HexId(to), " is not there"));
  }
  MoveLease(from, to);
}

// Below the compact revision the change that took a key off its lease may be removed: only those
// above are counted.
void StreamChecker::MoveLease(LeaseId from, LeaseId to) {
  if (from != LeaseId{} && leases_[from].keys > 0) --leases_[from].keys;
  if (to != LeaseId{}) ++leases_[to].keys;
}

// Once all is read, each live key's lease must be there, however old the key is.
void StreamChecker::CheckLiveKeys() {
  std::vector<Item> wrong;
  keys_.Visit([&](const std::string& key, const KeyHistory::Version& newest) {
    if (newest.deleted()) {
      // One of the compact revision itself is still for readers.
      if (newest.mod < compacted_) ++report_.garbage.markers;
      return;
    }
    if (newest.lease == LeaseId{} || newest.mod > compacted_) return;
    const auto lease = leases_.find(newest.lease);
    if (lease != leases_.end() && lease->second.there) return;
    Item& item = wrong.emplace_back();
    item.seq = newest.seq;
    item.header.revision = newest.mod;
    item.header.lease = newest.lease;
    item.key = key;
    item.subject = codec_->EncodeKey(key);
  });
  std::sort(wrong.begin(), wrong.end(), [](const Item& a, const Item& b) { return a.seq < b.seq; });
  for (const Item& item : wrong) {
    Report(Damage::kLease, item,
           Cat("it is alive, and its lease ", HexId(item.header.lease), " is not there"));
  }
}

// --- leases -------------------------------------------------------------------------------------

void StreamChecker::ApplyLease(const Item& item) {
  Lease& lease = leases_[item.lease];
  if (!item.is_delete) {
    const auto granted = jetstream::DecodeLease(item.payload);
    if (!granted.ok()) Report(Damage::kLease, item, std::string(MessageOf(granted.status())));
    if (lease.there) Report(Damage::kLease, item, "it was granted before, and is not gone");
    lease = {.there = true, .keys = 0};
    return;
  }
  const bool above = item.header.revision > compacted_;
  if (above && !lease.there) {
    Report(Damage::kLease, item, "it is gone, and was not granted");
  } else if (above && lease.keys > 0) {
    Report(Damage::kLease, item, Cat("it is gone, with ", lease.keys, " keys on it"));
  }
  if (!above) report_.garbage.markers += lease.there ? 2 : 1;
  lease = {};
}

std::vector<LeaseId> StreamChecker::Leases() const {
  std::vector<LeaseId> ids;
  for (const auto& [id, lease] : leases_) {
    if (lease.there) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

// --- compactions and lists ----------------------------------------------------------------------

void StreamChecker::ApplyCompact(const Item& item) {
  const auto compact = jetstream::DecodeCompact(item.payload);
  if (!compact.ok()) {
    Report(Damage::kCompact, item, std::string(MessageOf(compact.status())));
    return;
  }
  if (compact->revision > item.header.revision) {
    // So a leader goes on whose stream has lost what clients were told of.
    report_.notices.push_back(Cat("at sequence ", item.seq.value(), " revisions up to ",
                                  compact->revision.value(), " were left out behind ",
                                  item.header.revision.value(), ": the stream had gone back"));
  }
  if (compact->bound >= item.seq) {
    Report(Damage::kCompact, item, Cat("its bound ", compact->bound.value(), " is not before it"));
  }
  if (compact_ != StreamSeq{}) {
    ++report_.garbage.own_records;
    if (compact->revision <= compact_revision_) {
      Report(Damage::kCompact, item,
             Cat("it compacts at ", compact->revision.value(), " behind a compaction at ",
                 compact_revision_.value()));
    }
  }
  compact_ = item.seq;
  compact_revision_ = std::max(compact_revision_, compact->revision);
}

void StreamChecker::ApplyAlarms(const Item& item) {
  auto record = jetstream::DecodeAlarms(item.payload);
  if (!record.ok()) {
    Report(Damage::kAlarm, item, std::string(MessageOf(record.status())));
    return;
  }
  if (std::exchange(alarm_, item.seq) != StreamSeq{}) ++report_.garbage.own_records;
  alarms_ = std::move(record->alarms);
}

void StreamChecker::ApplyLive(const Item& item) {
  const auto live = jetstream::DecodeLive(item.payload);
  if (!live.ok()) {
    Report(Damage::kList, item, std::string(MessageOf(live.status())));
    return;
  }
  if (live->range.last >= item.seq) {
    Report(Damage::kList, item,
           Cat("it speaks of ", live->range.last.value(), ", which was not there yet"));
  }
  // The first of a list takes the place of the list before.
  if (live->range.first == StreamSeq(1)) report_.garbage.own_records += std::exchange(lists_, 0);
  ++lists_;
}

}  // namespace jetd::replication
