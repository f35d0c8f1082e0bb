// SPDX-License-Identifier: Apache-2.0
//
// The start: the replay, and what earlier leaders left behind.
#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "revision/committer_impl.h"

namespace jetd::revision {

using jetstream::SeqRange;

void Committer::Impl::StartReplay() {
  phase = Phase::kReplaying;
  waiting_for = "the replay of the stream";
  if (!replay) {
    replay = std::make_unique<Replay>(log, &*codec, Active());
    if (fresh != nullptr) replay->set_witness(shown_newest);
    if (!options.checkpoint_path.empty()) replay->set_checkpoint(options.checkpoint_path, info);
  }
  replay->Run([this, number = ++reading](absl::StatusOr<Replay::Result> result) {
    if (number == reading && !stopped) OnReplayed(std::move(result));
  });
}

void Committer::Impl::OnReplayed(absl::StatusOr<Replay::Result> result) {
  if (!result.ok()) {
    const Errc why = GetErrc(result.status());
    if (why != Errc::kUnavailable && why != Errc::kTimeout) {
      Fatal(result.status());
      return;
    }
    waiting_for = Cat("the replay of the stream: ", MessageOf(result.status()));
    RetryAfter(std::chrono::milliseconds(100), &Impl::StartReplay);
    return;
  }
  // A start that waits for room replays every second, and finds the same.
  const bool news = result->last > replayed_last || replayed_last == StreamSeq{};
  replayed_last = result->last;
  last_markers.clear();
  if (news) {
    log::Info("replayed {} records up to sequence {}: revision {}, {} keys, {} leases{}",
              log::As("records", result->records), log::As("sequence", result->last.value()),
              log::As("revision", Active()->committed().value()),
              log::As("keys", Active()->stats().keys), log::As("leases", Active()->lease_count()),
              log::Event("replayed"));
  }
  counters.replayed_records = result->records;
  if (news && result->foreign > 0) {
    log::Warn("{} records in the bucket were not written by jetd; they are ignored and voided",
              result->foreign);
    counters.foreign_records = std::max<uint64_t>(counters.foreign_records, result->foreign);
  }
  for (const SeqRange& range : news ? result->voids : std::vector<SeqRange>()) {
    log::Warn("the records at {}..{} were not written to their end or by others: voiding them",
              range.first.value(), range.last.value());
  }
  term = result->term;
  system = result->system;
  alarms = newest_alarms = AlarmSet(result->alarms);
  committed_seq = result->last;
  named_voids = std::move(result->named);
  ActiveNewest() = result->newest;
  shown_taken = result->witness_taken;
  chain.Reset(result->last);
  replayed = *std::move(result);
  AskMirrors();
}

// What earlier leaders left behind; removed once this one leads.
void Committer::Impl::CollectAtStart() {
  Replay::Result result = std::exchange(replayed, {});
  // What never counted no mirror is waited for.
  if (!result.dead.empty()) {
    collector.Add({.hidden = std::move(result.dead), .markers = {}, .done = nullptr});
  }
  // The leader before may have held back what its list leaves out.
  if (!result.unlisted.empty()) {
    gate.Add({.hidden = std::move(result.unlisted), .markers = {}, .done = nullptr},
             RemovalGate::Kind::kSuperseded);
  }
  if (!result.unlisted_markers.empty()) {
    gate.Add({.hidden = std::move(result.unlisted_markers), .markers = {}, .done = nullptr},
             RemovalGate::Kind::kLastMarkers);
  }
  Collector::Batch batch;
  batch.hidden = std::move(result.garbage.superseded);
  batch.markers = std::move(result.garbage.tombstones);
  std::move(result.garbage.last_tombstones.begin(), result.garbage.last_tombstones.end(),
            std::back_inserter(last_markers));
  TakeGoneLeases(&batch);
  if (batch.hidden.empty() && batch.markers.empty()) return;
  gate.Add(std::move(batch), RemovalGate::Kind::kSuperseded);
}

// Somebody else's record took the place of the term record. Until ours is in the stream another
// member may lead, so what is there counts: read on from where the replay stopped.
void Committer::Impl::ContendAgain() {
  phase = replay != nullptr ? Phase::kReplaying : Phase::kFollowing;
  if (peers != nullptr) peers->Rest();
  waiting_for = no_space ? "room in the stream" : "its turn to take over";
  ++reading;
  chain.Reset(chain.landed());
  term_record.reset();
  if (no_space) {
    // What committed compactions and term records made superfluous may be removed by anybody,
    // leader or not; it may be all the room there is. Once: each replay names it again.
    if (collector.waiting() + gate.held() == 0) CollectAtStart();
    ResumeRemoval();
  }
  const auto delay = std::exchange(no_space, false) ? std::chrono::seconds(1)
                     : std::exchange(busy, false)   ? std::chrono::milliseconds(20)
                                                    : std::chrono::milliseconds(0);
  RetryAfter(delay, replay != nullptr ? &Impl::StartReplay : &Impl::FollowAgain);
}

}  // namespace jetd::revision
