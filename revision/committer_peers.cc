// SPDX-License-Identifier: Apache-2.0
//
// What members ask of each other: the leader's word for reads, who is there, and handing over.
#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "revision/committer_impl.h"

namespace jetd::revision {
namespace {

constexpr std::chrono::milliseconds kTick{100};
// A successor that has not taken over by then: the leader goes on.
constexpr std::chrono::seconds kHandOverPatience{1};
// A member that was superseded, and never hears who did it: so long it stands by. Members that may
// write to the stream but not to each other would take the lead from each other for ever.
constexpr std::chrono::seconds kDeafPatience{30};

}  // namespace

// ---- The leader's side --------------------------------------------------------------------------

void Committer::Impl::OnBarrierAsked(std::function<void(absl::StatusOr<StreamSeq>)> done) {
  AfterRoundTrip([this, done = std::move(done)](const absl::Status& status) {
    if (status.ok()) {
      done(committed_seq);
    } else {
      done(status);
    }
  });
}

void Committer::Impl::HandOver(uint64_t to, DoneFn done) {
  const auto answer = [this, &done](absl::Status status) {
    executor->Defer([done = std::move(done), status = std::move(status)] { done(status); });
  };
  if (peers == nullptr || phase != Phase::kLeading || handed_over) {
    return answer(MakeError(Errc::kNoLeader, "this member does not lead"));
  }
  if (to == options.member_id) return answer(absl::OkStatus());
  if (to == 0) to = peers->AnyFollower();
  if (!peers->IsFollower(to)) {
    return answer(MakeError(Errc::kNoLeader, "the successor does not follow"));
  }
  // What has come is done before.
  Pump();
  successor = to;
  handed_over = std::move(done);
  hand_over_timer = executor->RunAfter(kHandOverPatience, [this] {
    hand_over_timer = 0;
    EndHandOver(MakeError(Errc::kTimeout, "the successor did not take over"));
  });
  if (pending.empty()) NameSuccessor();
}

void Committer::Impl::NameSuccessor() {
  if (successor != 0) peers->NameSuccessor(std::exchange(successor, 0));
}

void Committer::Impl::EndHandOver(const absl::Status& status) {
  executor->Cancel(std::exchange(hand_over_timer, 0));
  successor = 0;
  if (handed_over) std::exchange(handed_over, nullptr)(status);
  SchedulePump();
}

// ---- The follower's side ------------------------------------------------------------------------

void Committer::Impl::OnAnnounced(StreamSeq committed) {
  if (committed <= announced && shown) return;
  announced = std::max(announced, committed);
  ApplyAnnounced();
}

void Committer::Impl::OnLeaderFound() {
  superseded.reset();
  if (phase == Phase::kReplaying) {
    StartFollowing();
  } else if (phase == Phase::kFollowing) {
    if (std::exchange(went_back, false)) {
      return Rebuild(MakeError(Errc::kCorrupt, "the stream went back"));
    }
    ApplyAnnounced();
  }
  if (shown) Content();
}

void Committer::Impl::OnLeaderGone(const absl::Status& why) {
  if (stopped) return;
  if (superseded.has_value() && GetErrc(why) == Errc::kTimeout &&
      executor->Now() - *superseded < kDeafPatience) {
    waiting_for = Cat("a word of member ", followed->member_name,
                      ", which took over; may all members use the subjects _jetd.", info.bucket,
                      ".lead.* and _jetd.", info.bucket, ".news?");
    log::Warn("waiting for {}{}", log::As("waiting_for", waiting_for), log::Event("waiting"));
    StartPatience();
    peers->Follow(followed->term, std::chrono::nanoseconds(0));
    return;
  }
  log::Warn("the leader of term {}, member {}: {}{}", log::As("term", followed->term.value()),
            log::As("leader", followed->member_name), log::As("reason", MessageOf(why)),
            log::Event("leader_gone"));
  StartPatience();
  if (phase == Phase::kReplaying) {
    Contend();
  } else if (phase == Phase::kFollowing) {
    TakeOver();
  }
}

void Committer::Impl::OnSuccession() {
  if (phase != Phase::kFollowing) return;
  log::Info("taking over, as member {} asks{}", log::As("leader", followed->member_name),
            log::Event("taking_over"));
  TakeOver();
}

void Committer::Impl::ReadElsewhere(DoneFn done) {
  absl::Status refusal = Refusal();
  if (refusal.ok() && reads_elsewhere.size() >= limits::kMaxWaitingReads) {
    refusal = MakeError(Errc::kTooManyRequests);
  }
  if (!refusal.ok()) {
    executor->Defer([done = std::move(done), refusal] { done(refusal); });
    return;
  }
  reads_elsewhere.push_back({executor->Now(), std::move(done)});
  StartFollowTick();
  if (asking) return;
  asking = true;
  executor->Defer([this] { AskForReads(); });
}

// One question at a time; all that wait when it is asked share it.
void Committer::Impl::AskForReads() {
  asking = phase == Phase::kFollowing && !reads_elsewhere.empty() && peers->found();
  if (!asking) return;
  auto asked = std::make_shared<std::vector<Waiting>>(std::exchange(reads_elsewhere, {}));
  peers->AskBarrier([this, asked](const absl::StatusOr<Peers::Committed>& committed) {
    asking = false;
    if (stopped) {
      for (Waiting& read : *asked) read.done(MakeError(Errc::kStopped));
      return;
    }
    if (!committed.ok()) {
      if (holds) {
        for (Waiting& read : *asked) AfterRoundTrip(std::move(read.done));
        return;
      }
      // The tick asks again, or gives up.
      reads_elsewhere.insert(reads_elsewhere.begin(), std::make_move_iterator(asked->begin()),
                             std::make_move_iterator(asked->end()));
      StartFollowTick();
      return;
    }
    for (Waiting& read : *asked) {
      read.revision = committed->revision;
      until_applied.emplace(committed->seq, std::move(read));
    }
    OnAnnounced(committed->seq);
    ReleaseApplied();
    if (!reads_elsewhere.empty()) AskForReads();
  });
}

void Committer::Impl::WaitApplied(const Peers::Committed& upto, DoneFn done) {
  until_applied.emplace(upto.seq, Waiting{executor->Now(), std::move(done), upto.revision});
  StartFollowTick();
  executor->Defer([this] { ReleaseApplied(); });
  if (phase == Phase::kFollowing) OnAnnounced(upto.seq);
}

void Committer::Impl::ReleaseApplied() {
  if (!holds && !shown) return;
  while (!until_applied.empty() && until_applied.begin()->first <= Readable()) {
    if (!holds && until_applied.begin()->second.revision > store->committed()) {
      return Rebuild(MakeError(Errc::kCorrupt, "records were removed before they were read here"));
    }
    const Waiting first = std::move(until_applied.extract(until_applied.begin()).mapped());
    first.done(absl::OkStatus());
  }
  LookBehindGap();
}

// Behind a gap something may be missing that a compaction further on has superseded (Follower).
StreamSeq Committer::Impl::Readable() const {
  if (follower == nullptr || follower->gap() == StreamSeq{}) return committed_seq;
  return std::min(committed_seq, follower->gap().Prev());
}

// Whoever removed what lay there had that compaction in the stream before. So it lies at or below
// the stream's end of now, or there is none.
void Committer::Impl::LookBehindGap() {
  if (follower == nullptr || follower->gap() == StreamSeq{} || looking || tail == nullptr ||
      gap_until != StreamSeq{}) {
    return;
  }
  looking = true;
  log->State([this, wanted = std::weak_ptr<char>(tail),
              gap = follower->newest_gap()](const absl::StatusOr<jetstream::StreamState>& state) {
    looking = false;
    if (!state.ok() || wanted.expired()) return;  // the next announcement asks again
    gap_looked_at = gap;
    gap_until = state->last;
    ApplyAnnounced();
  });
}

void Committer::Impl::SettleGap() {
  if (gap_until == StreamSeq{} || follower->position() < gap_until) return;
  gap_until = StreamSeq{};
  if (follower->newest_gap() == gap_looked_at) follower->ForgetGaps();
}

void Committer::Impl::StartFollowTick() {
  if (follow_tick != 0) return;
  goal_of_tick = goal;
  read_of_tick = follower != nullptr ? follower->read() : StreamSeq{};
  follow_tick = executor->RunAfter(kTick, [this] {
    follow_tick = 0;
    FollowTick();
  });
}

void Committer::Impl::FollowTick() {
  const MonoTime since = executor->Now() - limits::kUnavailableAfter;
  // Oldest first.
  const auto in_time = std::find_if(reads_elsewhere.begin(), reads_elsewhere.end(),
                                    [since](const Waiting& read) { return read.since > since; });
  std::vector<Waiting> late(std::make_move_iterator(reads_elsewhere.begin()),
                            std::make_move_iterator(in_time));
  reads_elsewhere.erase(reads_elsewhere.begin(), in_time);
  for (const Waiting& read : late) read.done(MakeError(Errc::kNoLeader, waiting_for));
  late.clear();
  MonoTime oldest = executor->Now();
  for (auto it = until_applied.begin(); it != until_applied.end();) {
    oldest = std::min(oldest, it->second.since);
    if (it->second.since > since) {
      ++it;
      continue;
    }
    late.push_back(std::move(it->second));
    it = until_applied.erase(it);
  }
  for (const Waiting& one : late) one.done(MakeError(Errc::kTimeout, waiting_for));
  if (!asking && !reads_elsewhere.empty()) AskForReads();
  const bool behind = phase == Phase::kFollowing && follower != nullptr && follower->read() < goal;
  // A tail that comes needs no help: a second reading would bring all of it twice.
  const bool stands = follower != nullptr && follower->read() == read_of_tick;
  const bool waits = !until_applied.empty() && executor->Now() - oldest >= kTick;
  if (stands && (waits || (behind && goal == goal_of_tick))) CatchUp();
  if (!reads_elsewhere.empty() || !until_applied.empty() || behind) StartFollowTick();
}

void Committer::Impl::FailElsewhere(const absl::Status& why) {
  for (const Waiting& read : std::exchange(reads_elsewhere, {})) read.done(why);
  for (const auto& [seq, one] : std::exchange(until_applied, {})) {
    one.done(MakeError(Errc::kTimeout, MessageOf(why)));
  }
  if (stopped && handed_over) EndHandOver(why);
}

// ---- The public face ----------------------------------------------------------------------------

bool Committer::elsewhere() const { return impl_->Elsewhere(); }

bool Committer::has_leader() const {
  if (impl_->phase != Phase::kFollowing) return serving() || impl_->ReadsGoOn();
  return impl_->shown && impl_->peers->found();
}

void Committer::WaitApplied(const Peers::Committed& upto, DoneFn done) {
  impl_->WaitApplied(upto, std::move(done));
}

void Committer::HandOver(uint64_t successor, DoneFn done) {
  impl_->HandOver(successor, std::move(done));
}

}  // namespace jetd::revision
