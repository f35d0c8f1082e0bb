// SPDX-License-Identifier: Apache-2.0
#include "watch/progress_ticker.h"

#include <cstdint>

#include "watch/watch_stream.h"

namespace jetd::watch {

ProgressTicker::~ProgressTicker() {
  if (timer_ != 0) executor_->Cancel(timer_);
}

MonoTime ProgressTicker::NextTick(const WatchStream& stream) const {
  // The moment of opening, stirred, picks the stream's own part of the tenth.
  const uint64_t stirred = static_cast<uint64_t>(stream.opened_at().count()) * 0x9e3779b97f4a7c15;
  const int64_t jitter_range = interval_.count() / 10 + 1;
  const int64_t period = interval_.count() + static_cast<int64_t>(stirred >> 32) % jitter_range;
  const int64_t passed = (executor_->Now() - stream.opened_at()).count() / period;
  return stream.opened_at() + std::chrono::nanoseconds(period * (passed + 1));
}

void ProgressTicker::List(WatchStream* stream) {
  const MonoTime tick = NextTick(*stream);
  due_[{tick, stream->number()}] = stream;
  ticks_[stream] = tick;
}

void ProgressTicker::Add(WatchStream* stream) {
  List(stream);
  Arm();
}

void ProgressTicker::Remove(WatchStream* stream) {
  auto it = ticks_.find(stream);
  if (it == ticks_.end()) return;
  due_.erase({it->second, stream->number()});
  ticks_.erase(it);
  Arm();
}

void ProgressTicker::Arm() {
  const bool wanted = !due_.empty();
  if (timer_ != 0) {
    if (wanted && due_.begin()->first.first == armed_for_) return;
    executor_->Cancel(timer_);
    timer_ = 0;
  }
  if (!wanted) return;
  armed_for_ = due_.begin()->first.first;
  timer_ = executor_->RunAt(armed_for_, [this] {
    timer_ = 0;
    Tick();
  });
}

void ProgressTicker::Tick() {
  const MonoTime now = executor_->Now();
  while (!due_.empty() && due_.begin()->first.first <= now) {
    WatchStream* stream = due_.begin()->second;
    due_.erase(due_.begin());
    List(stream);
    stream->NotifyProgress();
  }
  Arm();
}

}  // namespace jetd::watch
