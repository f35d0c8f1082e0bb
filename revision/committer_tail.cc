// SPDX-License-Identifier: Apache-2.0
//
// The tail of the stream, as a follower reads it, holds it and applies it (follower.h):
//
//   the tail comes ─> held ─> applied, when a leader has announced it and what is void of it is
//   known
//                      └ too much of it: the term records are read ahead, and it goes on at once
#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "revision/committer_impl.h"

namespace jetd::revision {
namespace {

constexpr std::chrono::milliseconds kTryAgain{100};
// For a leader whose topic is not known to all servers of a cluster yet.
constexpr std::chrono::milliseconds kGraceOfNewTerm{250};
// Of Options::max_held_bytes: what is held of what is announced, before the term records are read
// ahead; and then, before it is applied.
constexpr size_t kHeldAhead = 8;
constexpr size_t kHeldPieces = 64;

}  // namespace

void Committer::Impl::StartTail() {
  tail = std::make_shared<char>();
  jetstream::Log::ReadOptions options_of_tail;
  options_of_tail.from = follower->read().Next();
  options_of_tail.follow = true;
  options_of_tail.wanted = tail;
  const auto wanted = std::weak_ptr<char>(tail);
  log->Read(
      options_of_tail,
      [this, wanted](const jetstream::Record& record) {
        if (!wanted.expired()) OnFollowed(record);
      },
      [this, wanted](const absl::StatusOr<StreamSeq>& end) {
        if (wanted.expired() || stopped) return;
        waiting_for = Cat("the tail of the stream: ", MessageOf(end.status()));
        tail.reset();
        RetryAfter(kTryAgain, &Impl::FollowAgain);
      });
}

void Committer::Impl::OnFollowed(const jetstream::Record& record) {
  follower->Hold(record);
  if (record.subject == codec->TermSubject() && !record.header.empty()) {
    const auto other = jetstream::DecodeTerm(record.payload);
    if (other.ok() && other->term > followed->term) {
      // If the stream went back meanwhile, that is where it goes on in another way: what was read
      // ahead is read again if need be.
      terms_ahead.reset();
      follower->ForgetTerms();
      FollowLeader(*other, kGraceOfNewTerm);
      return;
    }
  }
  if (follower->position() < goal) {
    goal <= follower->read() ? ApplyAnnounced() : HoldLess();
  } else if (follower->held_bytes() > options.max_held_bytes) {
    log::Warn("{} bytes wait for the leader's word: reading them later", follower->held_bytes());
    RetryAfter(kTryAgain, &Impl::FollowAgain);
    tail.reset();
    follower->DropHeld();
  }
}

// A replay would hold nothing either; but it is of the whole stream, and while it lasts as much may
// be committed again.
void Committer::Impl::HoldLess() {
  if (goal <= follower->terms_read()) {
    if (WorthATry()) ApplyAnnounced();
    return;
  }
  const size_t held = follower->held_bytes();
  if (held <= options.max_held_bytes / kHeldAhead) return;
  ReadTerms();
  if (held <= options.max_held_bytes || tail == nullptr) return;
  // It takes long. What was held is read once more when they are known.
  tail.reset();
  follower->DropHeld();
}

// What is held of a transaction that is not whole yet is gone over with each try, and it may be
// 100,000 keys of one lease: so the next try is made when a piece more has come.
bool Committer::Impl::WorthATry() const {
  return goal <= follower->read() ||
         follower->untried_bytes() > options.max_held_bytes / kHeldPieces;
}

void Committer::Impl::ReadTerms() {
  if (terms_ahead != nullptr) return;
  terms_ahead = std::make_shared<char>();
  jetstream::Log::ReadOptions terms;
  terms.from = follower->position().Next();
  terms.subjects = {codec->TermSubject()};
  const auto wanted = std::weak_ptr<char>(terms_ahead);
  auto odd = std::make_shared<absl::Status>();
  log->Read(
      terms,
      [this, wanted, odd](const jetstream::Record& record) {
        if (!wanted.expired()) odd->Update(follower->NoteTerm(record));
      },
      [this, wanted, odd](const absl::StatusOr<StreamSeq>& last) {
        if (wanted.expired() || stopped) return;
        terms_ahead.reset();
        if (!odd->ok()) return Rebuild(*odd);
        if (last.ok()) {
          follower->NoteTermsRead(*last);
          if (tail == nullptr) StartTail();
          ApplyAnnounced();
        } else if (tail == nullptr) {
          waiting_for = Cat("the term records: ", MessageOf(last.status()));
          RetryAfter(kTryAgain, &Impl::FollowAgain);
        }
      });
}

// Whoever announces a sequence has named all that is void up to there, by term records at or below
// it. So nothing below is shown before these are known: it may be void. They are when all of it is
// read, or when they were read ahead (Follower). Under load the newest announcement is always ahead
// of what is read, so one is kept until it is reached.
//
//   announced 9, read up to 7     goal 9, nothing is applied
//   announced 12, then 15         the goal stays
//   read up to 11                 all up to 9 is applied; goal 15
//   announced 900; ... read ahead up to 950, read up to 40
//                                 all up to 40 is applied; goal 900
//
// Only a goal that is reached shows a store that nobody has seen: what was announced to whoever
// read the one before is in it.
void Committer::Impl::ApplyAnnounced() {
  if (phase != Phase::kFollowing || follower == nullptr) return;
  if (goal <= follower->position()) goal = announced;
  StreamSeq reached;  // the newest goal that was
  StreamSeq applied;
  absl::Status status;
  while (status.ok() && goal <= follower->terms_read() &&
         applied < std::min(goal, follower->read()) && WorthATry()) {
    counters.held_looked_at += follower->held_records();
    applied = std::min(goal, follower->read());
    status = follower->Apply(applied);
    if (applied < goal) continue;
    reached = goal;
    goal = std::max(goal, announced);
  }
  committed_seq = follower->position();
  term = follower->term();
  if (!status.ok()) return Rebuild(status);
  if (follower->read() < goal) StartFollowTick();
  SettleGap();
  if (!shown && peers->found() && reached >= follow_start) Show();
  ReleaseApplied();
}

// What is committed and does not come may be deleted; then nothing tells that it was passed.
void Committer::Impl::CatchUp() {
  if (catching_up || phase != Phase::kFollowing || tail == nullptr) return;
  catching_up = true;
  jetstream::Log::ReadOptions rest;
  rest.from = follower->read().Next();
  const auto wanted = std::weak_ptr<char>(tail);
  log->Read(
      rest,
      [this, wanted](const jetstream::Record& record) {
        if (!wanted.expired()) OnFollowed(record);
      },
      [this, wanted](const absl::StatusOr<StreamSeq>& last) {
        catching_up = false;
        if (!last.ok() || wanted.expired()) return;
        follower->NoteRead(*last);
        ApplyAnnounced();
      });
}

}  // namespace jetd::revision
