// SPDX-License-Identifier: Apache-2.0
#include "revision/read_queue.h"

#include <utility>

namespace jetd::revision {

void ReadQueue::Wait(DoneFn done) {
  waiters_.push_back({next_number_++, chain_->sent(), std::move(done)});
}

void ReadQueue::ReleaseFront() {
  // Taken out first: what is called may wait again.
  DoneFn done = std::move(waiters_.front().done);
  waiters_.pop_front();
  ++released_;
  done(absl::OkStatus());
}

void ReadQueue::OnAppended(StreamSeq seq) {
  while (!waiters_.empty() && waiters_.front().after < seq) ReleaseFront();
}

void ReadQueue::Flush() {
  if (in_flight_) return;
  if (!probe_ && (by_record_ || !uncovered())) return;
  probe_ = false;
  in_flight_ = true;
  ++barriers_sent_;
  const Asked asked{epoch_, next_number_ - 1, chain_->sent(), chain_->landed(), executor_->Now()};
  log_->Barrier(
      [this, asked](absl::StatusOr<StreamSeq> last) { OnBarrier(asked, std::move(last)); });
}

void ReadQueue::OnBarrier(const Asked& asked, absl::StatusOr<StreamSeq> last) {
  if (asked.epoch != epoch_) return;
  in_flight_ = false;
  if (!last.ok()) {
    // A lost connection is told elsewhere (and Restart makes this retry idle); a busy server is
    // asked again.
    retry_ = executor_->RunAfter(std::chrono::milliseconds(10), [this, epoch = asked.epoch] {
      if (epoch == epoch_) Flush();
    });
    return;
  }
  last_answer_ = executor_->Now();
  last_round_trip_ = last_answer_ - asked.at;
  round_trips_.Observe(last_round_trip_);
  ++barriers_answered_;
  if (*last > asked.sent) {
    foreign_(*last);
    return;
  }
  if (*last < asked.landed) {
    lost_(*last);
    return;
  }
  while (!by_record_ && !waiters_.empty() && waiters_.front().number <= asked.upto) ReleaseFront();
  Flush();
}

void ReadQueue::Restart() {
  ++epoch_;
  in_flight_ = false;
  // Places above landed() are sent anew; the mark of those who wait must not hide behind them.
  for (Waiter& waiter : waiters_) waiter.after = chain_->sent();
}

std::vector<ReadQueue::DoneFn> ReadQueue::TakeAll() {
  std::vector<DoneFn> all;
  for (Waiter& waiter : waiters_) all.push_back(std::move(waiter.done));
  waiters_.clear();
  return all;
}

void ReadQueue::FailAll(const absl::Status& why) {
  std::deque<Waiter> all = std::exchange(waiters_, {});
  for (Waiter& waiter : all) waiter.done(why);
}

}  // namespace jetd::revision
