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
  timings.acked.Observe(executor->Now() - watched.sent);
}

void Committer::Impl::WatchDurable(StreamSeq seq) {
  if (!watched.acked || seq < watched.seq) return;
  const std::chrono::nanoseconds took = executor->Now() - watched.sent;
  timings.durable.Observe(took);
  if (took > limits::kSlowCommit) ++timings.slow;
  watched = {};
}

Committer::Timings Committer::timings() const {
  Timings timings = impl_->timings;
  timings.barrier = impl_->reads.round_trips();
  return timings;
}

}  // namespace jetd::revision
