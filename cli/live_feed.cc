// SPDX-License-Identifier: Apache-2.0
#include "cli/live_feed.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>
#include <variant>

#include "base/strings.h"
#include "jetstream/record.h"

namespace jetd::cli {
namespace {

using replication::BucketFeed;
using replication::BucketState;
using replication::StateFeed;
using revision::KvBlock;
using revision::KvRef;
using revision::PlannedRecord;
using Kind = jetstream::SubjectCodec::Kind;
using Phase = LiveFollower::Progress::Phase;

constexpr std::chrono::milliseconds kShowPause{200};

absl::Status Differs(const KvBlock& kv, std::string_view how) {
  return MakeStatus(absl::StatusCode::kDataLoss, "key ", kv.key().substr(0, 200),
                    " is not what it is in the old store: ", how);
}

bool Same(const KvBlock& a, const KvBlock& b) {
  return a.value() == b.value() && a.mod_revision() == b.mod_revision() &&
         a.create_revision() == b.create_revision() && a.version() == b.version() &&
         a.lease() == b.lease();
}

}  // namespace

LiveFeed::LiveFeed(Executor* executor, Output* output, const jetstream::SubjectCodec* codec,
                   LiveStore* store, LiveFollower::Options options, Revision bumped,
                   Imported* imported)
    : executor_(executor),
      output_(output),
      codec_(codec),
      bumped_(bumped),
      follow_(options.follow),
      imported_(imported),
      follower_(store, std::move(options)) {
  Show();
}

// ---- Records ------------------------------------------------------------------------------------

absl::StatusOr<BucketFeed::More> LiveFeed::Next(StreamSeq seq, PlannedRecord* record) {
  while (true) {
    if (whole_feed_ != nullptr) {
      const auto more = whole_feed_->Next(seq, record);
      ++given_;
      if (!more.ok() || *more == More::kRecord) return more;
      whole_feed_.reset();
      whole_ = BucketState{};
    }
    if (!next_.empty()) {
      *record = std::move(next_.front());
      next_.pop_front();
      return More::kRecord;
    }
    if (end_.has_value()) return More::kEnd;
    const auto more = Take();
    if (!more.ok() || *more != More::kRecord) return more;
  }
}

// kRecord: there is something to be given now.
absl::StatusOr<BucketFeed::More> LiveFeed::Take() {
  // What was taken before an error counts for nothing.
  if (absl::Status status = follower_.status(); !status.ok()) return status;
  // Also where changes come faster than they are taken: who waits for an idle moment might wait for
  // ever.
  if (begun_ && follow_ && !std::exchange(told_, true)) {
    output_->Say("import",
                 "all keys are written; following. Stop the writers of the old store, then ^C "
                 "cuts over");
  }
  auto item = follower_.Take();
  if (!item.has_value()) return More::kLater;
  if (auto* const whole = std::get_if<LiveFollower::Whole>(&*item)) {
    if (whole->state.revision >= bumped_) return OnChange({.leases = {}, .keys = {}});
    return OnWhole(std::move(*whole));
  }
  if (const auto* const change = std::get_if<LiveFollower::Change>(&*item)) {
    if (absl::Status taken = OnChange(*change); !taken.ok()) return taken;
  } else if (const auto* const leases = std::get_if<LiveFollower::Leases>(&*item)) {
    OnLeases(*leases);
  } else {
    end_ = std::get<LiveFollower::End>(std::move(*item));
  }
  return More::kRecord;
}

BucketFeed::More LiveFeed::OnWhole(LiveFollower::Whole whole) {
  whole_ = std::move(whole.state);
  whole_feed_ = std::make_unique<StateFeed>(codec_, &whole_);
  given_ = 0;
  writing_.emplace("writing", "record");
  if (!std::exchange(begun_, true)) return More::kRecord;
  ++imported_->anew;
  output_->Say("import", Cat(whole.why, "; all is written anew"));
  return More::kAnew;
}

absl::Status LiveFeed::OnChange(const LiveFollower::Change& change) {
  const Revision mod = change.keys.empty() ? bumped_ : change.keys.front()->mod_revision();
  if (mod >= bumped_) {
    return MakeStatus(absl::StatusCode::kOutOfRange, "the old store has come to revision ",
                      mod.value(), ", and --bump lets the new one begin at ", bumped_.value(),
                      "; remove the bucket and begin anew");
  }
  ++imported_->changes;
  for (const auto& lease : change.leases) {
    next_.push_back(replication::LeaseRecordOf(*codec_, lease, mod));
  }
  const auto count = static_cast<uint32_t>(change.keys.size());
  for (const KvRef& kv : change.keys) {
    next_.push_back(replication::KeyRecord(*codec_, kv, count));
  }
  return absl::OkStatus();
}

void LiveFeed::OnLeases(const LiveFollower::Leases& leases) {
  for (const LeaseId id : leases.gone) {
    PlannedRecord record = replication::LeaseRecordOf(*codec_, {id, 0}, leases.revision);
    record.payload.clear();
    record.is_delete = true;
    next_.push_back(std::move(record));
  }
  for (const auto& lease : leases.granted) {
    next_.push_back(replication::LeaseRecordOf(*codec_, lease, leases.revision));
  }
}

// ---- What was written ---------------------------------------------------------------------------

void LiveFeed::BeginReadBack() {
  keys_.clear();
  leases_.clear();
}

void LiveFeed::OnReadBack(const jetstream::Record& record) {
  const auto subject = codec_->Decode(record.subject);
  if (!subject.ok()) return;
  if (subject->kind == Kind::kLease) {
    if (record.is_delete) {
      leases_.erase(subject->lease);
    } else {
      leases_.insert(subject->lease);
    }
  }
  if (subject->kind != Kind::kKey) return;
  if (KvRef kv = replication::KeyOf(*codec_, record)) {
    keys_[subject->key] = std::move(kv);
  } else {
    keys_.erase(subject->key);
  }
}

absl::Status LiveFeed::EndReadBack() {
  const BucketState& wanted = end_->state;
  for (const KvRef& kv : wanted.keys) {
    const auto found = keys_.find(std::string(kv->key()));
    if (found == keys_.end()) return Differs(*kv, "it is missing");
    if (!Same(*found->second, *kv)) return Differs(*kv, "it is another version");
  }
  for (const auto& lease : wanted.leases) {
    if (leases_.contains(lease.id)) continue;
    return MakeStatus(absl::StatusCode::kDataLoss, "lease ", lease.id.value(), " is missing");
  }
  if (keys_.size() != wanted.keys.size() || leases_.size() != wanted.leases.size()) {
    return MakeStatus(absl::StatusCode::kDataLoss, "the old store has ", wanted.keys.size(),
                      " keys and ", wanted.leases.size(), " leases, and ", keys_.size(), " and ",
                      leases_.size(), " were written");
  }
  imported_->newest = end_->newest;
  BucketState& state = imported_->state;
  state = BucketState{};
  state.revision = wanted.revision;
  state.leases = wanted.leases;
  for (const auto& [key, kv] : keys_) state.keys.push_back(kv);
  std::sort(state.keys.begin(), state.keys.end(),
            [](const KvRef& a, const KvRef& b) { return a->mod() < b->mod(); });
  return absl::OkStatus();
}

// ---- How far it is ------------------------------------------------------------------------------

void LiveFeed::Show() {
  const LiveFollower::Progress now = follower_.progress();
  if (whole_feed_ != nullptr) {
    output_->Progress(writing_->Text(given_, whole_.keys.size() + whole_.leases.size()));
  } else if (now.phase == Phase::kReading) {
    output_->Progress(reading_.Text(now.keys, now.of));
  } else if (now.phase == Phase::kComparing) {
    output_->Progress(comparing_.Text(now.keys, now.of));
  } else if (begun_) {
    if (!following_.has_value()) following_.emplace("following", "change");
    const int64_t behind = std::max<int64_t>(0, now.newest.value() - now.seen.value());
    output_->Progress(Cat(following_->Text(imported_->changes, 0), "; at revision ",
                          now.seen.value(), ", ", behind, " behind"));
  }
  executor_->RunAfter(kShowPause, [this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) Show();
  });
}

}  // namespace jetd::cli
