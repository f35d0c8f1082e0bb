// SPDX-License-Identifier: Apache-2.0
#include "rpc/timer_wheel.h"

#include <algorithm>

namespace jetd::rpc {
namespace {

constexpr MonoTime kTickTime = TimerWheel::kTick;

}  // namespace

TimerWheel::TimerWheel(Executor* executor) : executor_(executor), start_(executor->Now()) {
  for (auto& level : slots_) {
    for (Link& slot : level) slot.prev = slot.next = &slot;
  }
  beyond_.prev = beyond_.next = &beyond_;
}

TimerWheel::~TimerWheel() {
  if (armed_ != 0) executor_->Cancel(armed_);
}

void TimerWheel::Timer::Cancel() {
  if (next == nullptr) return;
  prev->next = next;
  next->prev = prev;
  prev = next = nullptr;
}

// The first tick at whose end `when` is past.
int64_t TimerWheel::TickAt(MonoTime when) const {
  return (when - start_ + kTickTime - MonoTime(1)) / kTickTime;
}

TimerWheel::Link* TimerWheel::SlotOf(int64_t tick) {
  for (int level = 0; level < kLevels; ++level) {
    if (tick >> (kBits * (level + 1)) == now_ >> (kBits * (level + 1))) {
      return &slots_[level][(tick >> (kBits * level)) & (kSlots - 1)];
    }
  }
  return &beyond_;
}

void TimerWheel::Set(Timer* timer, MonoTime when) {
  timer->Cancel();
  // A wheel that nobody used may stand still in the past; the way to now costs nothing where it is
  // empty.
  timer->tick_ = std::max(TickAt(when), now_ + 1);
  Link* slot = SlotOf(timer->tick_);
  timer->next = slot;
  timer->prev = slot->prev;
  slot->prev->next = timer;
  slot->prev = timer;
  if (armed_for_ < 0 || timer->tick_ < armed_for_) Arm();
}

int64_t TimerWheel::NextTick() const {
  for (int level = 0; level < kLevels; ++level) {
    const int64_t here = (now_ >> (kBits * level)) & (kSlots - 1);
    for (int64_t i = here + 1; i < kSlots; ++i) {
      const Link& slot = slots_[level][i];
      if (slot.next == &slot) continue;
      const int64_t base = now_ >> (kBits * (level + 1)) << kBits;
      return (base | i) << (kBits * level);
    }
  }
  constexpr int kReach = kBits * kLevels;
  return beyond_.next == &beyond_ ? -1 : ((now_ >> kReach) + 1) << kReach;
}

void TimerWheel::Arm() {
  const int64_t next = NextTick();
  if (next < 0 || (armed_for_ >= 0 && armed_for_ <= next)) return;
  if (armed_ != 0) executor_->Cancel(armed_);
  armed_for_ = next;
  armed_ = executor_->RunAt(start_ + next * kTickTime, [this] { Turn(); });
}

void TimerWheel::Turn() {
  armed_ = 0;
  armed_for_ = -1;
  const int64_t until = (executor_->Now() - start_) / kTickTime;
  for (int64_t next = NextTick(); next >= 0 && next <= until; next = NextTick()) {
    now_ = next;
    // From the top: what comes down may be due in a slot further down.
    if ((next & ((int64_t{1} << (kBits * kLevels)) - 1)) == 0) EmptyInto(&beyond_);
    for (int level = kLevels - 1; level >= 0; --level) {
      if ((next & ((int64_t{1} << (kBits * level)) - 1)) != 0) continue;
      EmptyInto(&slots_[level][(next >> (kBits * level)) & (kSlots - 1)]);
    }
  }
  now_ = std::max(now_, until);
  Arm();
}

// Runs what is due now, and puts the others where they belong.
void TimerWheel::EmptyInto(Link* slot) {
  // Apart, since what stays beyond comes back into the same slot.
  Link batch{slot->prev, slot->next};
  if (slot->next == slot) return;
  batch.prev->next = batch.next->prev = &batch;
  slot->prev = slot->next = slot;
  while (batch.next != &batch) {
    auto* timer = static_cast<Timer*>(batch.next);
    timer->Cancel();
    if (timer->tick_ <= now_) {
      timer->run_(timer->owner_);  // may destroy others of the batch, which leave it by themselves
      continue;
    }
    Link* lower = SlotOf(timer->tick_);
    timer->next = lower;
    timer->prev = lower->prev;
    lower->prev->next = timer;
    lower->prev = timer;
  }
}

}  // namespace jetd::rpc
