// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_READ_QUEUE_H_
#define JETD_REVISION_READ_QUEUE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "base/duration_histogram.h"
#include "base/executor.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "revision/chain.h"

namespace jetd::revision {

// ReadQueue holds what must not be answered before a barrier: proof, asked for after the request
// arrived, that nobody appended anything that is not applied here. The ack of a record sent after
// the arrival is such proof for free; otherwise one round trip is asked for, and all that wait
// share it. One is in flight at a time, so that under load each carries many reads.
//
// Engine thread only.
class ReadQueue {
 public:
  using DoneFn = std::function<void(absl::Status)>;
  // The stream was longer than predicted: somebody else wrote.
  using ForeignFn = std::function<void(StreamSeq last)>;
  // The stream was shorter than what had landed: it lost its tail.
  using LostFn = std::function<void(StreamSeq last)>;

  ReadQueue(Executor* executor, jetstream::Log* log, const Chain* chain, ForeignFn foreign,
            LostFn lost)
      : executor_(executor),
        log_(log),
        chain_(chain),
        foreign_(std::move(foreign)),
        lost_(std::move(lost)) {}
  ~ReadQueue() { executor_->Cancel(retry_); }

  // `done` is called after proof, or with an error. Never from inside this call.
  void Wait(DoneFn done);
  // A record landed at `seq`.
  void OnAppended(StreamSeq seq);
  // Sends a barrier if somebody waits whom nothing in flight will free. Call at the end of a round,
  // while connected, and leading or with nothing in flight.
  void Flush();
  // True if somebody waits whom nothing in flight will free.
  [[nodiscard]] bool uncovered() const {
    return !waiters_.empty() && waiters_.back().after >= chain_->sent();
  }
  // On a replicated stream a refusal proves nothing: a stream leader that lost its followers
  // answers by itself for many seconds. There the owner appends a barrier record when reads are
  // uncovered, and Flush sends nothing but probes.
  void set_by_record(bool by_record) { by_record_ = by_record; }
  // Sends a barrier although nobody waits: a hint said that somebody else may have written.
  void Probe() {
    WantProbe();
    Flush();
  }
  // With the next Flush.
  void WantProbe() { probe_ = true; }
  // What was in flight proves nothing any more; those who wait wait on. Call when the chain breaks,
  // and again when it goes on.
  void Restart();
  // Everybody who waits, in order; they wait elsewhere from now on.
  [[nodiscard]] std::vector<DoneFn> TakeAll();
  // Everybody who waits gets `why`.
  void FailAll(const absl::Status& why);

  [[nodiscard]] size_t size() const { return waiters_.size(); }
  // A barrier of this queue's is on its way, other than a record.
  [[nodiscard]] bool in_flight() const { return in_flight_; }
  // Those that were answered, whatever the answer proves.
  [[nodiscard]] uint64_t barriers_answered() const { return barriers_answered_; }
  [[nodiscard]] uint64_t barriers_sent() const { return barriers_sent_; }
  [[nodiscard]] uint64_t released() const { return released_; }
  [[nodiscard]] const DurationHistogram& round_trips() const { return round_trips_; }
  // How long the last one took, and when its answer came.
  [[nodiscard]] std::chrono::nanoseconds last_round_trip() const { return last_round_trip_; }
  [[nodiscard]] MonoTime last_answer() const { return last_answer_; }

 private:
  struct Waiter {
    uint64_t number;
    StreamSeq after;  // sent() at its arrival
    DoneFn done;
  };
  // What a barrier was asked with.
  struct Asked {
    uint64_t epoch;
    uint64_t upto;  // number of the newest waiter
    StreamSeq sent, landed;
    MonoTime at;
  };
  void OnBarrier(const Asked& asked, absl::StatusOr<StreamSeq> last);
  void ReleaseFront();

  Executor* const executor_;
  jetstream::Log* const log_;
  const Chain* const chain_;
  const ForeignFn foreign_;
  const LostFn lost_;
  std::deque<Waiter> waiters_;
  uint64_t next_number_ = 1;
  uint64_t epoch_ = 0;
  bool in_flight_ = false;
  bool probe_ = false;
  bool by_record_ = false;
  TimerId retry_ = 0;
  uint64_t barriers_sent_ = 0;
  uint64_t barriers_answered_ = 0;
  uint64_t released_ = 0;
  DurationHistogram round_trips_;
  std::chrono::nanoseconds last_round_trip_{0};
  MonoTime last_answer_{0};
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_READ_QUEUE_H_
