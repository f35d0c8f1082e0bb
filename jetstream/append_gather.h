// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_APPEND_GATHER_H_
#define JETD_JETSTREAM_APPEND_GATHER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>

#include "base/executor.h"

namespace jetd::jetstream {

// AppendGather decides when appends are sent to a nats-server whose files are synced from outside.
// What is appended while a sync runs is answered after the next one at the earliest, so there is no
// hurry: such appends wait for each other, and cost client and server one wake-up together instead
// of one each. They go when the sync is done, before its answers are given, so that the server
// works while the answers are written:
//
//   sync of 8 records ───────────────────┐   9th … 16th append: wait
//                                        └─> all 8 sent, then the 8 answers, then the next sync
//
// Only where there is company to wait for: after a sync of few records appends go at once. And not
// for ever: up to kMaxRecords and kMaxBytes, and, by the owner's timer, kMaxWait.
//
// Thread rules: its owner's thread. The owner calls EndRound at the end of every round.
class AppendGather {
 public:
  static constexpr size_t kCompany = 4;
  static constexpr size_t kMaxRecords = 16;
  static constexpr size_t kMaxBytes = 128UL << 10;
  static constexpr std::chrono::milliseconds kMaxWait{2};

  // `send` sends all that was published. `executor` outlives this.
  AppendGather(Executor* executor, std::function<void()> send)
      : executor_(executor), send_(std::move(send)) {}
  ~AppendGather() { StopTimer(); }
  AppendGather(const AppendGather&) = delete;
  AppendGather& operator=(const AppendGather&) = delete;

  // A sync that makes `records` more of them durable has begun.
  void OnSyncStarted(size_t records) {
    syncing_ = true;
    company_ = records >= kCompany;
  }
  // Sends what has waited. Nothing happens if no sync has begun.
  void OnSyncDone() {
    if (std::exchange(syncing_, false)) Send();
  }
  void OnAppend(size_t bytes) {
    ++records_;
    bytes_ += bytes;
  }
  // Sends, unless the `published` messages that were not sent yet are appends that may wait.
  void EndRound(size_t published) {
    if (!MayWait(published)) {
      Send();
    } else if (timer_ == 0) {
      timer_ = executor_->RunAfter(kMaxWait, [this] {
        timer_ = 0;
        Send();
      });
    }
  }

 private:
  [[nodiscard]] bool MayWait(size_t published) const {
    return syncing_ && company_ && published == records_ && records_ > 0 &&
           records_ < kMaxRecords && bytes_ < kMaxBytes;
  }
  void Send() {
    StopTimer();
    records_ = bytes_ = 0;
    send_();
  }
  void StopTimer() {
    if (timer_ != 0) executor_->Cancel(std::exchange(timer_, 0));
  }

  Executor* const executor_;
  const std::function<void()> send_;
  bool syncing_ = false;
  bool company_ = false;
  size_t records_ = 0;
  size_t bytes_ = 0;
  TimerId timer_ = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_APPEND_GATHER_H_
