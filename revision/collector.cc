// SPDX-License-Identifier: Apache-2.0
#include "revision/collector.h"

#include <algorithm>
#include <utility>

namespace jetd::revision {
namespace {

// Ascending: neighbours lie in the same block of the stream.
void Order(std::vector<StreamSeq>* seqs) {
  std::sort(seqs->begin(), seqs->end());
  seqs->erase(std::unique(seqs->begin(), seqs->end()), seqs->end());
}

}  // namespace

Collector::Collector(Executor* executor, jetstream::Log* log, Options options)
    : executor_(executor), log_(log), options_(options), pause_(options.pause) {}

Collector::~Collector() { executor_->Cancel(timer_); }

void Collector::AppendWaiting(std::vector<StreamSeq>* hidden,
                              std::vector<StreamSeq>* markers) const {
  for (const Batch& batch : batches_) {
    hidden->insert(hidden->end(), batch.hidden.begin(), batch.hidden.end());
    markers->insert(markers->end(), batch.markers.begin(), batch.markers.end());
  }
}

void Collector::Add(Batch batch) {
  Order(&batch.hidden);
  Order(&batch.markers);
  waiting_ += batch.hidden.size() + batch.markers.size();
  batches_.push_back(std::move(batch));
  if (!running_) Schedule(pause_);
}

void Collector::Suspend() {
  suspended_ = true;
  running_ = false;
  ++epoch_;
  executor_->Cancel(timer_);
}

void Collector::Resume() {
  if (!suspended_) return;
  suspended_ = false;
  Schedule(pause_);
}

void Collector::Forget() {
  Suspend();
  batches_.clear();
  waiting_ = position_ = 0;
  step_ = Step::kHidden;
}

void Collector::Schedule(std::chrono::nanoseconds delay) {
  if (suspended_ || batches_.empty()) return;
  running_ = true;
  timer_ = executor_->RunAfter(delay, [this] { Work(); });
}

void Collector::Work() {
  running_ = false;
  if (suspended_ || batches_.empty()) return;
  Batch& batch = batches_.front();
  if (step_ == Step::kHidden && position_ >= batch.hidden.size()) {
    position_ = 0;
    step_ = batch.markers.empty() ? Step::kMarkers : Step::kSync;
  }
  if (step_ == Step::kSync) {
    running_ = true;
    log_->SyncDeletes([this, epoch = epoch_](const absl::Status& status) {
      if (epoch != epoch_) return;
      if (status.ok()) step_ = Step::kMarkers;
      Schedule(status.ok() ? std::chrono::nanoseconds(pause_)
                           : std::chrono::nanoseconds(options_.retry));
    });
    return;
  }
  const auto& list = step_ == Step::kHidden ? batch.hidden : batch.markers;
  if (position_ < list.size()) {
    StartWindow(list);
  } else {
    FinishBatch();
  }
}

void Collector::StartWindow(const std::vector<StreamSeq>& seqs) {
  running_ = true;
  failed_ = false;
  const Pace pace = NextPace();
  pause_ = pace.pause;
  window_size_ = outstanding_ = std::min(pace.window, seqs.size() - position_);
  for (size_t i = 0; i < window_size_; ++i) {
    log_->Delete(seqs[position_ + i],
                 [this, epoch = epoch_](const absl::Status& status) { OnDeleted(epoch, status); });
  }
}

Collector::Pace Collector::NextPace() {
  calm_ = std::exchange(wrote_, false) ? 0 : std::min(calm_ + 1, options_.calm_windows);
  if (calm_ == options_.calm_windows) return {options_.max_window, options_.least_pause};
  const auto windows = static_cast<size_t>(options_.horizon / options_.pause);
  const size_t wanted = std::max(waiting() / windows, options_.window);
  if (wanted <= options_.max_window) return {wanted, options_.pause};
  const auto closer = static_cast<int64_t>(wanted / options_.max_window);
  return {options_.max_window, std::max(options_.least_pause, options_.pause / closer)};
}

void Collector::OnDeleted(uint64_t epoch, const absl::Status& status) {
  if (epoch != epoch_) return;
  if (!status.ok()) failed_ = true;
  if (--outstanding_ > 0) return;
  if (!failed_) {
    position_ += window_size_;
    deleted_ += window_size_;
  }
  Schedule(failed_ ? std::chrono::nanoseconds(options_.retry) : std::chrono::nanoseconds(pause_));
}

void Collector::FinishBatch() {
  waiting_ -= batches_.front().hidden.size() + batches_.front().markers.size();
  auto done = std::move(batches_.front().done);
  batches_.pop_front();
  step_ = Step::kHidden;
  position_ = 0;
  if (done) done();
  if (!running_) Schedule(pause_);
}

}  // namespace jetd::revision
