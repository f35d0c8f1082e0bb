// SPDX-License-Identifier: Apache-2.0
//
// How long a record takes to its ack and to its commit: of one at a time.
#include "revision/committer_impl.h"

namespace jetd::revision {

void Committer::Impl::Watch() {
  if (watched.seq != StreamSeq{} || chain.unanswered() == 0) return;
  watched = {.seq = chain.sent(), .sent = executor->Now()};
}

void Committer::Impl::WatchAcked(StreamSeq seq) {
  if (watched.seq == StreamSeq{} || watched.acked || seq < watched.seq) return;
  watched.acked = true;
  const MonoTime now = executor->Now();
  timings.acked.Observe(now - watched.sent);
  timings.last_acked = {now - watched.sent, now};
}

void Committer::Impl::WatchDurable(StreamSeq seq) {
  if (!watched.acked || seq < watched.seq) return;
  const MonoTime now = executor->Now();
  const std::chrono::nanoseconds took = now - watched.sent;
  timings.durable.Observe(took);
  timings.last_durable = {took, now};
  if (took > limits::kSlowCommit) ++timings.slow;
  watched = {};
}

void Committer::Impl::WatchRoom(bool known) {
  if (known == !room_wanted.has_value()) return;
  const MonoTime now = executor->Now();
  if (known) {
    timings.last_room = {now - *room_wanted, now};
    room_wanted.reset();
  } else {
    room_wanted = now;
  }
}

Committer::Timings Committer::timings() const {
  Timings timings = impl_->timings;
  timings.barrier = impl_->reads.round_trips();
  timings.last_barrier = {impl_->reads.last_round_trip(), impl_->reads.last_answer()};
  return timings;
}

}  // namespace jetd::revision
