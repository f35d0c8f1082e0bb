// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/watch_log.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "base/strings.h"

namespace jetd::conformance::differential {

std::string WatchItem::Text() const {
  if (compacted) {
    pb::WatchResponse response;
    response.ParseFromString(bytes);
    return response.ShortDebugString();
  }
  mvccpb::Event event;
  event.ParseFromString(bytes);
  return event.ShortDebugString().substr(0, 2000);
}

void WatchLog::Violated(const std::string& what, const pb::WatchResponse& response) {
  if (violation_.empty()) {
    violation_ = Cat(what, ": ", response.ShortDebugString().substr(0, 2000));
  }
}

void WatchLog::AddEvents(Sequence& sequence, pb::WatchResponse& response) {
  const int64_t first = response.events(0).kv().mod_revision();
  if (first == sequence.last_event && !sequence.in_fragment) {
    Violated("a revision is split between responses", response);
  }
  for (const mvccpb::Event& event : response.events()) {
    const int64_t revision = event.kv().mod_revision();
    if (revision < sequence.last_event) Violated("events out of order", response);
    if (revision <= sequence.progress) Violated("an event after its progress", response);
    sequence.last_event = revision;
    sequence.items.push_back({revision, event.SerializeAsString(), false});
    ++sequence.counts.events;
  }
  if (response.header().revision() < sequence.last_event) {
    Violated("a header older than its events", response);
  }
  sequence.in_fragment = response.fragment();
  if (response.fragment()) ++fragments_;
}

void WatchLog::AddProgress(const pb::WatchResponse& response) {
  const int64_t revision = response.header().revision();
  if (response.watch_id() == -1) {
    for (auto& [id, sequence] : sequences_) {
      sequence.progress = std::max(sequence.progress, revision);
    }
    progress_.push_back(response);
    return;
  }
  Sequence& sequence = sequences_[response.watch_id()];
  if (revision < sequence.last_event) Violated("a progress older than its events", response);
  sequence.progress = std::max(sequence.progress, revision);
  sequence.notified = revision;
}

void WatchLog::Add(pb::WatchResponse response) {
  MutexLock lock(mutex_);
  if (response.created()) {
    if (!response.canceled()) {
      // A watch that takes over an id starts anew.
      Sequence& sequence = sequences_[response.watch_id()];
      sequence.last_event = sequence.progress = 0;
    }
    created_.push_back(std::move(response));
  } else if (response.canceled() && response.compact_revision() != 0) {
    Sequence& sequence = sequences_[response.watch_id()];
    sequence.items.push_back({response.compact_revision(), response.SerializeAsString(), true});
    ++sequence.counts.compacted;
  } else if (response.canceled()) {
    canceled_.push_back(std::move(response));
  } else if (response.events().empty()) {
    AddProgress(response);
  } else {
    AddEvents(sequences_[response.watch_id()], response);
  }
  changed_.NotifyAll();
}

void WatchLog::End(const absl::Status& status) {
  MutexLock lock(mutex_);
  end_ = status;
  changed_.NotifyAll();
}

absl::StatusOr<pb::WatchResponse> WatchLog::WaitCreated(size_t count, Deadline deadline) {
  MutexLock lock(mutex_);
  while (created_.size() < count) {
    if (end_.has_value()) {
      return end_->ok() ? absl::AbortedError("the stream ended") : *end_;
    }
    if (!changed_.WaitUntil(mutex_, deadline) && created_.size() < count) {
      return absl::DeadlineExceededError("no answer to a create");
    }
  }
  return created_[count - 1];
}

absl::StatusOr<pb::WatchResponse> WatchLog::WaitCanceled(size_t count, Deadline deadline) {
  MutexLock lock(mutex_);
  while (canceled_.size() < count) {
    if (!changed_.WaitUntil(mutex_, deadline) && canceled_.size() < count) {
      return absl::DeadlineExceededError("no answer to a cancel");
    }
  }
  return canceled_[count - 1];
}

std::optional<pb::WatchResponse> WatchLog::WaitProgress(size_t count, Deadline deadline) {
  MutexLock lock(mutex_);
  while (progress_.size() <= count) {
    if (!changed_.WaitUntil(mutex_, deadline) && progress_.size() <= count) return std::nullopt;
  }
  return progress_.back();
}

size_t WatchLog::progress_count() {
  MutexLock lock(mutex_);
  return progress_.size();
}

bool WatchLog::WaitNotification(int64_t watch_id, int64_t revision, Deadline deadline) {
  MutexLock lock(mutex_);
  while (sequences_[watch_id].notified < revision) {
    if (!changed_.WaitUntil(mutex_, deadline) && sequences_[watch_id].notified < revision) {
      return false;
    }
  }
  return true;
}

bool WatchLog::WaitEvents(int64_t watch_id, Expected expected, Deadline deadline) {
  MutexLock lock(mutex_);
  const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Expected& counts = sequences_[watch_id].counts;
    return counts.events >= expected.events && counts.compacted >= expected.compacted;
  };
  while (!enough()) {
    if (!changed_.WaitUntil(mutex_, deadline) && !enough()) return false;
  }
  return sequences_[watch_id].counts == expected;
}

std::vector<WatchItem> WatchLog::Take(int64_t watch_id) {
  MutexLock lock(mutex_);
  return std::exchange(sequences_[watch_id].items, {});
}

WatchLog::Expected WatchLog::Counts(int64_t watch_id) {
  MutexLock lock(mutex_);
  return sequences_[watch_id].counts;
}

std::string WatchLog::violation() {
  MutexLock lock(mutex_);
  return violation_;
}

size_t WatchLog::fragments() {
  MutexLock lock(mutex_);
  return fragments_;
}

}  // namespace jetd::conformance::differential
