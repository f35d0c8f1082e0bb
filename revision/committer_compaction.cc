// SPDX-License-Identifier: Apache-2.0
//
// What a compaction leaves: the store drops it in steps, and then the stream, unless a mirror has
// not copied it yet.
#include <utility>
#include <vector>

#include "base/strings.h"
#include "revision/committer_impl.h"

namespace jetd::revision {
namespace {

// Compactions whose garbage is remembered, should the leader die before it has removed it. What is
// forgotten too early is found by the next start that reads the whole stream.
constexpr size_t kGarbageKept = 2;

}  // namespace

void Committer::Impl::SuspendRemoval() {
  mirror_audit.Suspend();
  gate.Suspend();
  collector.Suspend();
}

void Committer::Impl::ResumeRemoval() {
  collector.Resume();
  gate.Resume();
  mirror_audit.Resume();
}

void Committer::Impl::AskMirrors() {
  if (!log->MayHaveMirrors()) return AskLeader();
  // Whoever takes over does not wait for many questions to another domain: what a mirror is worth,
  // the gate finds out.
  log->Mirrors(
      {.terms = jetstream::MirrorsQuestion::Terms::kNewest},
      [this, number = reading](const absl::StatusOr<std::vector<jetstream::MirrorState>>& mirrors) {
        if (number != reading || stopped) return;
        if (!mirrors.ok()) {
          waiting_for = Cat("the stream's mirrors: ", MessageOf(mirrors.status()));
          RetryAfter(std::chrono::milliseconds(100), &Impl::AskMirrors);
          return;
        }
        gate.Note(*mirrors);
        for (const jetstream::MirrorState& mirror : *mirrors) {
          if (mirror.fit == jetstream::MirrorState::Fit::kPromoted) return OnPromoted(mirror);
        }
        AskLeader();
      });
}

void Committer::Impl::OnPromoted(const jetstream::MirrorState& mirror) {
  Fatal(absl::FailedPreconditionError(
      Cat("the mirror of this bucket in the JetStream domain ", mirror.domain,
          " is the primary now (", mirror.what,
          "). Serve that one; this stream comes back as a mirror of it only: docs/OPERATIONS.md, "
          "\"When a domain is lost\"")));
}

void Committer::Impl::TakeGoneLeases(Collector::Batch* batch) {
  std::erase_if(system.gone_leases, [&](const SystemRecords::GoneLease& lease) {
    if (lease.revision > Active()->compacted()) return false;
    if (lease.grant != StreamSeq{}) batch->hidden.push_back(lease.grant);
    last_markers.push_back(lease.gone);
    return true;
  });
}

void Committer::Impl::CompactMore() {
  compact_timer = 0;
  if (!Active()->CompactStep(limits::kCompactStepChanges, &garbage)) {
    // A timer that is due, not Defer: sockets and requests get their turn in between.
    compact_timer = executor->RunAt(executor->Now(), [this] { CompactMore(); });
    return;
  }
  Collector::Batch batch;
  batch.hidden = std::exchange(garbage.superseded, {});
  batch.markers = std::exchange(garbage.tombstones, {});
  for (const StreamSeq seq : std::exchange(garbage.last_tombstones, {})) {
    last_markers.push_back(seq);
  }
  Collector::Batch own;
  own.hidden = std::exchange(system.superseded, {});
  TakeGoneLeases(&batch);
  if (!physical.empty()) {
    removing.insert(removing.end(), physical.begin(), physical.end());
    batch.done = [this, entries = std::exchange(physical, {})] {
      for (const auto& entry : entries) {
        std::erase(removing, entry);
        entry->Answer(absl::OkStatus());
      }
    };
  }
  if (Elsewhere()) return KeepGarbage(std::move(batch), std::move(own));
  // First, so that whoever waits for the batch waits for these too.
  if (!own.hidden.empty()) gate.Add(std::move(own), RemovalGate::Kind::kLastMarkers);
  gate.Add(std::move(batch), RemovalGate::Kind::kSuperseded);
  SurveyIfWorthwhile();
}

// The leader removes it.
void Committer::Impl::KeepGarbage(Collector::Batch batch, Collector::Batch own) {
  if (followed_garbage.size() == kGarbageKept) followed_garbage.pop_front();
  followed_garbage.push_back({std::move(batch), std::move(own)});
}

std::vector<MirrorAudit::State> Committer::mirror_audits() const {
  return impl_->mirror_audit.states();
}

}  // namespace jetd::revision
