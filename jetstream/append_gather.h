// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_APPEND_GATHER_H_
#define JETD_JETSTREAM_APPEND_GATHER_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>

#include "base/executor.h"

namespace jetd::jetstream {

// AppendGather decides when appends are sent to a nats-server whose files are synced from outside.
// Each group that is sent costs a wake-up of the server, one of the client and a sync, whatever its
// size, so appends wait for each other where that costs nobody much:
//
// - From when a group was sent until the sync that makes it durable is done. What is appended then
//   is answered after the next one at the earliest.
// - For a moment after it. Those whose appends it made durable are answered now, and will mostly
//   append again; without the moment, two halves of the clients take turns for ever:
//
//     sync of 8 ───────────┐ 8 answers
//       4 appends wait     └─ up to kPause for 5 more, which makes 9 of 12, then all are sent
//
// Only where there is company to wait for: after a sync of few records appends go at once. Where
// the pause passes in vain it is left out the next times, more of them each time. And not for ever:
// up to kMaxRecords and kMaxBytes, and kMaxWait. Nothing waits where nothing is synced.
//
// Where more than kPush appends wait, they are pushed: the server stores them while the others
// come, and is asked for its answer by the last of the group only. So what is saved by groups stays
// saved, and the server's work on a group no longer begins when the group is whole:
//
//   sync of 16 ────────┐ 16 answers
//     9 appends: push 8 ── 8 more: push 8 ── 2 more, which makes 19 of 25: the last 3 are sent
//
// Thread rules: its owner's thread. The owner calls EndRound at the end of every round.
class AppendGather {
 public:
  static constexpr size_t kCompany = 4;
  static constexpr size_t kMaxRecords = 32;
  static constexpr size_t kMaxBytes = 128UL << 10;
  static constexpr size_t kPush = 8;
  static constexpr std::chrono::milliseconds kMaxWait{2};
  static constexpr std::chrono::milliseconds kPause{2};
  static constexpr size_t kMaxLeftOut = 256;

  // `send` sends all that was published, as a group. `push` sends of it what asks for no answer,
  // and returns how many messages that were. `executor` outlives this.
  AppendGather(Executor* executor, std::function<void()> send, std::function<size_t()> push)
      : executor_(executor), send_(std::move(send)), push_(std::move(push)) {}
  ~AppendGather() { StopTimer(); }
  AppendGather(const AppendGather&) = delete;
  AppendGather& operator=(const AppendGather&) = delete;

  // A sync that makes `records` more of them durable has begun.
  void OnSyncStarted(size_t records) {
    phase_ = records >= kCompany ? Phase::kSyncing : Phase::kIdle;
    synced_ = records;
    syncs_ = true;
  }
  // It is done, and its answers are given now.
  void OnSyncDone() {
    if (std::exchange(phase_, Phase::kIdle) != Phase::kSyncing) return;
    StopTimer();
    const size_t writers = synced_ + records_;
    wanted_ = std::min(writers - writers / 4, kMaxRecords);
    if (records_ >= wanted_) return Send();
    if (left_out_ > 0) {
      --left_out_;
      return Send();
    }
    phase_ = Phase::kPausing;
    StartTimer(kPause);
  }
  void OnAppend(size_t bytes) {
    ++records_;
    bytes_ += bytes;
  }
  // Sends, unless the `published` messages that were neither sent nor pushed yet are appends that
  // may wait.
  void EndRound(size_t published) {
    if (MayWait(published)) {
      if (published > kPush) pushed_ += push_();
      if (timer_ == 0) StartTimer(kMaxWait);
      return;
    }
    if (phase_ == Phase::kPausing) {
      if (published == 0 && records_ == 0) return;
      if (records_ >= wanted_) next_left_out_ = 1;
      phase_ = Phase::kIdle;
    }
    Send();
  }

 private:
  // kSyncing: a group with company is on its way, or being synced.
  enum class Phase { kIdle, kSyncing, kPausing };

  [[nodiscard]] bool MayWait(size_t published) const {
    return phase_ != Phase::kIdle && published + pushed_ == records_ && records_ > 0 &&
           records_ < (phase_ == Phase::kPausing ? wanted_ : kMaxRecords) && bytes_ < kMaxBytes;
  }
  void OnTimer() {
    if (phase_ == Phase::kPausing) {
      left_out_ = next_left_out_;
      next_left_out_ = std::min(2 * next_left_out_, kMaxLeftOut);
      phase_ = Phase::kIdle;
    }
    Send();
  }
  void Send() {
    StopTimer();
    if (syncs_ && records_ >= kCompany) phase_ = Phase::kSyncing;
    records_ = bytes_ = pushed_ = 0;
    send_();
  }
  void StartTimer(std::chrono::nanoseconds delay) {
    timer_ = executor_->RunAfter(delay, [this] {
      timer_ = 0;
      OnTimer();
    });
  }
  void StopTimer() {
    if (timer_ != 0) executor_->Cancel(std::exchange(timer_, 0));
  }

  Executor* const executor_;
  const std::function<void()> send_;
  const std::function<size_t()> push_;
  Phase phase_ = Phase::kIdle;
  bool syncs_ = false;  // ever
  size_t synced_ = 0;   // by the newest sync
  size_t records_ = 0;  // appended, and their group not sent
  size_t bytes_ = 0;
  size_t pushed_ = 0;  // of records_
  size_t wanted_ = 0;  // so many end the pause
  // Pauses that are left out still, and how many will be after the next one in vain.
  size_t left_out_ = 0;
  size_t next_left_out_ = 1;
  TimerId timer_ = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_APPEND_GATHER_H_
