// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_DRIVER_H_
#define JETD_BENCH_DRIVER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "bench/histogram.h"
#include "bench/phase_spec.h"
#include "etcdclient/caller.h"

namespace jetd::bench {

// The steady clock, in nanoseconds.
[[nodiscard]] int64_t NowNs();

// How one operation ended.
struct Outcome {
  int64_t items = 1;
  std::string error;  // empty: answered, and the answer is right
};

class Driver;

// One client: one operation under way at a time.
//
// Thread rules: the driver calls every method under its lock, Start also from its pacing thread.
class Worker {
 public:
  virtual ~Worker() = default;

  // Starts the next operation, which was due at `due_ns`. False if there is nothing left to do.
  [[nodiscard]] virtual bool Start(int64_t due_ns) = 0;
  // What came of it. Nothing if the operation goes on with another request.
  [[nodiscard]] virtual std::optional<Outcome> Finish(const absl::Status& status) = 0;
  // Answered follows soon.
  virtual void Cancel() = 0;

 protected:
  // A request of this worker's is answered: for the callbacks of its calls.
  void Answered(const absl::Status& status);

 private:
  friend class Driver;
  Driver* driver_ = nullptr;
  int64_t due_ns_ = 0;
  bool busy_ = false;
};

// What came of a phase. Counted is what ended within the measured time. At a rate, latencies are
// also those of what was due in it and ended later, or not at all: a server that falls behind would
// have its worst left out.
struct DriverResult {
  Histogram latency;
  int64_t ops = 0;
  int64_t items = 0;
  int64_t errors = 0;
  std::string first_error;
};

// Driver keeps workers busy: closed loop (each starts its next operation when it has the answer to
// the last), or open loop at a rate, where an operation is due at its time whatever the server
// does, waits for a worker that is free, and has its latency counted from when it was due.
//
//   warm-up ──on_begin── measured: seconds, or ops ──on_end── until all is answered
//
// Thread rules: Run on one thread, which must be the only one to run the caller.
class Driver {
 public:
  struct Hooks {
    std::function<void()> on_begin{};
    std::function<void()> on_end{};
  };

  Driver(etcdclient::Caller* caller, const PhaseSpec& spec, Hooks hooks)
      : caller_(caller), spec_(spec), hooks_(std::move(hooks)) {}

  [[nodiscard]] DriverResult Run(const std::vector<std::unique_ptr<Worker>>& workers);

 private:
  friend class Worker;
  enum class State { kWarmUp, kMeasured, kEnding };

  void OnAnswer(Worker* worker, const absl::Status& status);
  void StartOne(Worker* worker, int64_t due_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Free(Worker* worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool WorkLeft() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Body of the pacing thread.
  void Pace(int64_t start_ns, int64_t end_ns);
  void Measure();
  void WaitForAnswers(const std::vector<std::unique_ptr<Worker>>& workers);

  etcdclient::Caller* const caller_;
  const PhaseSpec spec_;
  const Hooks hooks_;

  Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kWarmUp;
  DriverResult result_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker*> free_ ABSL_GUARDED_BY(mutex_);
  std::deque<int64_t> due_ ABSL_GUARDED_BY(mutex_);  // open loop: nobody was free
  int64_t started_ ABSL_GUARDED_BY(mutex_) = 0;
  int under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  int retired_ ABSL_GUARDED_BY(mutex_) = 0;  // workers that have nothing left to do
  int worker_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace jetd::bench

#endif  // JETD_BENCH_DRIVER_H_
