// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_SYNC_TURN_H_
#define JETD_JETSTREAM_SYNC_TURN_H_

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "base/executor.h"
#include "base/types.h"

namespace jetd::jetstream {

// SyncTurn decides when the next sync of a stream's files begins. What was sent together comes back
// in several acks, and a sync at the first of them would leave the rest for another one:
//
//   sent 5 … 12     acks 5 … 7     8 … 12
//                   wait           sync of 8
//
// It waits for what was on its way when the first ack came, or when the sync before ended, and for
// nothing that was sent later; and not longer than kPatience, since an append may be refused.
//
// Thread rules: its owner's thread.
class SyncTurn {
 public:
  static constexpr std::chrono::milliseconds kPatience{1};

  // `start` begins a sync, by and by, of all up to appended(). `executor` outlives this.
  SyncTurn(Executor* executor, std::function<void()> start)
      : executor_(executor), start_(std::move(start)) {}
  ~SyncTurn() { StopTimer(); }
  SyncTurn(const SyncTurn&) = delete;
  SyncTurn& operator=(const SyncTurn&) = delete;

  // All up to `seq` is on its way.
  void OnSent(StreamSeq seq) { sent_ = seq; }
  // All up to `seq` was appended, and is to be synced.
  void Request(StreamSeq seq) {
    appended_ = std::max(appended_, seq);
    if (!syncing_) Await(sent_);
  }
  // The sync that start() began is done; it covered all up to `synced`. Then `then` runs, which may
  // send, and after it the next turn is thought of; or, if it returns false, this may be gone.
  template <typename Fn>
  void OnSynced(StreamSeq synced, Fn&& then) {
    const StreamSeq sent = sent_;
    syncing_ = false;
    if (then() && appended_ > synced && !syncing_) Await(sent);
  }

  [[nodiscard]] StreamSeq appended() const { return appended_; }

 private:
  void Await(StreamSeq upto) {
    if (timer_ == 0) awaited_ = upto;
    if (appended_ >= awaited_) return Start();
    if (timer_ != 0) return;
    timer_ = executor_->RunAfter(kPatience, [this] {
      timer_ = 0;
      Start();
    });
  }
  void Start() {
    StopTimer();
    syncing_ = true;
    start_();
  }
  void StopTimer() {
    if (timer_ != 0) executor_->Cancel(std::exchange(timer_, 0));
  }

  Executor* const executor_;
  const std::function<void()> start_;
  StreamSeq sent_, appended_;
  StreamSeq awaited_;  // while the timer runs
  bool syncing_ = false;
  TimerId timer_ = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_SYNC_TURN_H_
