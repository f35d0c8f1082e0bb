// SPDX-License-Identifier: Apache-2.0
#include "bench/driver.h"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::bench {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// An answer that takes longer does not come.
constexpr int64_t kPatienceNs = 60'000'000'000;
// A phase that goes wrong this often is not worth its time.
constexpr int64_t kMaxErrors = 10'000;

steady_clock::time_point TimeOf(int64_t ns) { return steady_clock::time_point(nanoseconds(ns)); }

int64_t Nanoseconds(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

}  // namespace

int64_t NowNs() {
  return std::chrono::duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

void Worker::Answered(const absl::Status& status) { driver_->OnAnswer(this, status); }

bool Driver::WorkLeft() const {
  if (state_ == State::kEnding || result_.errors >= kMaxErrors) return false;
  return spec_.ops == 0 || started_ < spec_.ops;
}

void Driver::StartOne(Worker* worker, int64_t due_ns) {
  worker->driver_ = this;
  worker->due_ns_ = due_ns;
  if (!worker->Start(due_ns)) {
    ++retired_;
    return;
  }
  worker->busy_ = true;
  ++started_;
  ++under_way_;
}

void Driver::Free(Worker* worker) {
  if (!WorkLeft()) return;
  if (spec_.rate == 0) {
    StartOne(worker, NowNs());
  } else if (!due_.empty()) {
    const int64_t due_ns = due_.front();
    due_.pop_front();
    StartOne(worker, due_ns);
  } else {
    free_.push_back(worker);
  }
}

void Driver::OnAnswer(Worker* worker, const absl::Status& status) {
  MutexLock lock(mutex_);
  auto outcome = worker->Finish(status);
  if (!outcome.has_value()) return;
  worker->busy_ = false;
  --under_way_;
  if (!outcome->error.empty()) {
    if (result_.errors++ == 0) result_.first_error = std::move(outcome->error);
  } else if (state_ == State::kMeasured) {
    result_.latency.Add(NowNs() - worker->due_ns_);
    ++result_.ops;
    result_.items += outcome->items;
  } else if (state_ == State::kEnding && spec_.rate > 0) {
    result_.latency.Add(NowNs() - worker->due_ns_);
  }
  Free(worker);
}

void Driver::Pace(int64_t start_ns, int64_t end_ns) {
  prctl(PR_SET_TIMERSLACK, 1);  // of this thread; the default is 50 µs
  const double interval_ns = 1e9 / spec_.rate;
  for (int64_t i = 0;; ++i) {
    const int64_t due_ns = start_ns + static_cast<int64_t>(static_cast<double>(i) * interval_ns);
    if (due_ns >= end_ns) return;
    std::this_thread::sleep_until(TimeOf(due_ns));
    MutexLock lock(mutex_);
    if (!WorkLeft() || retired_ == worker_count_) return;
    if (free_.empty()) {
      due_.push_back(due_ns);
      continue;
    }
    Worker* const worker = free_.back();
    free_.pop_back();
    StartOne(worker, due_ns);
  }
}

void Driver::Measure() {
  if (hooks_.on_begin) hooks_.on_begin();
  MutexLock lock(mutex_);
  if (state_ == State::kWarmUp) state_ = State::kMeasured;
}

DriverResult Driver::Run(const std::vector<std::unique_ptr<Worker>>& workers) {
  const int64_t start_ns = NowNs();
  const int64_t begin_ns = start_ns + Nanoseconds(spec_.warmup_seconds);
  const int64_t end_ns = spec_.ops > 0 ? INT64_MAX : begin_ns + Nanoseconds(spec_.seconds);
  bool measured = begin_ns <= start_ns;
  if (measured) Measure();
  {
    MutexLock lock(mutex_);
    worker_count_ = static_cast<int>(workers.size());
    for (const auto& worker : workers) {
      if (spec_.rate > 0) {
        free_.push_back(worker.get());
      } else if (WorkLeft()) {
        StartOne(worker.get(), NowNs());
      }
    }
  }
  std::thread pacer;
  if (spec_.rate > 0) pacer = std::thread([&] { Pace(start_ns, end_ns); });
  while (true) {
    if (!measured && NowNs() >= begin_ns) {
      measured = true;
      Measure();
    }
    const bool over = NowNs() >= end_ns;
    // All that was due has been handed out, however late its thread is.
    if (over && pacer.joinable()) pacer.join();
    {
      MutexLock lock(mutex_);
      const bool all_done = under_way_ == 0 && (spec_.rate == 0 || retired_ == worker_count_ ||
                                                (spec_.ops > 0 && started_ >= spec_.ops));
      if (over || all_done || result_.errors >= kMaxErrors) {
        // Nobody was free for these: so long they have waited at the least.
        for (const int64_t due_ns : due_) result_.latency.Add(NowNs() - due_ns);
        state_ = State::kEnding;
        break;
      }
    }
    // Looks around now and then: work may run out without a callback.
    const int64_t next_ns = std::min(measured ? end_ns : begin_ns, NowNs() + 100'000'000);
    (void)caller_->RunOnce(TimeOf(next_ns));
  }
  if (!measured) Measure();  // there was no more work than the warm-up took
  if (hooks_.on_end) hooks_.on_end();
  if (pacer.joinable()) pacer.join();
  WaitForAnswers(workers);
  MutexLock lock(mutex_);
  return std::move(result_);
}

void Driver::WaitForAnswers(const std::vector<std::unique_ptr<Worker>>& workers) {
  const int64_t patient_until_ns = NowNs() + kPatienceNs;
  bool canceled = false;
  while (true) {
    {
      MutexLock lock(mutex_);
      if (under_way_ == 0) return;
      JETD_CHECK(NowNs() < patient_until_ns + kPatienceNs) << "a canceled call does not end";
      if (!canceled && NowNs() >= patient_until_ns) {
        canceled = true;
        for (const auto& worker : workers) {
          if (worker->busy_) worker->Cancel();
        }
      }
    }
    (void)caller_->RunOnce(TimeOf(NowNs() + 100'000'000));
  }
}

}  // namespace jetd::bench
