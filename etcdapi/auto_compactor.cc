// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/auto_compactor.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

using std::chrono::nanoseconds;
using Mode = AutoCompaction::Mode;

constexpr nanoseconds kRevisionTick = std::chrono::minutes(5);
constexpr nanoseconds kLongestInterval = std::chrono::hours(1);
constexpr int kNotesPerInterval = 10;

nanoseconds IntervalOf(const AutoCompaction& rule) {
  return std::min(rule.period, kLongestInterval);
}

nanoseconds TickOf(const AutoCompaction& rule) {
  if (rule.mode == Mode::kRevision) return kRevisionTick;
  return std::max<nanoseconds>(IntervalOf(rule) / kNotesPerInterval, std::chrono::milliseconds(1));
}

}  // namespace

AutoCompactor::AutoCompactor(Executor* executor, const AutoCompaction& rule, RevisionFn newest,
                             CompactFn compact)
    : executor_(executor),
      rule_(rule),
      newest_(std::move(newest)),
      compact_(std::move(compact)),
      tick_(TickOf(rule)) {}

AutoCompactor::~AutoCompactor() { executor_->Cancel(timer_); }

void AutoCompactor::Start() {
  if (rule_.mode == Mode::kOff) return;
  last_success_ = executor_->Now();
  Note();
  timer_ = executor_->RunAfter(tick_, [this] { Tick(); });
}

void AutoCompactor::Note() {
  if (rule_.mode != Mode::kPeriodic) return;
  notes_.push_back(newest_());
  // The oldest note is the revision of a period ago.
  const auto kept = static_cast<size_t>(rule_.period / tick_) + 1;
  if (notes_.size() > kept) notes_.pop_front();
}

void AutoCompactor::Tick() {
  timer_ = executor_->RunAfter(tick_, [this] { Tick(); });
  if (compacting_) return;
  const std::optional<Revision> due =
      rule_.mode == Mode::kPeriodic ? DuePeriodic() : DueByRevision();
  if (due.has_value()) {
    compacting_ = true;
    compact_(*due, [this, due, alive = std::weak_ptr<bool>(alive_)](const absl::Status& status) {
      if (!alive.expired()) OnDone(*due, status);
    });
  }
  Note();
}

std::optional<Revision> AutoCompactor::DuePeriodic() {
  const nanoseconds wait = first_period_over_ ? IntervalOf(rule_) : rule_.period;
  if (executor_->Now() - last_success_ < wait) return std::nullopt;
  first_period_over_ = true;
  return notes_.front();
}

std::optional<Revision> AutoCompactor::DueByRevision() const {
  const Revision due(newest_().value() - rule_.revisions);
  if (due.value() <= 0 || due == previous_) return std::nullopt;
  return due;
}

void AutoCompactor::OnDone(Revision revision, const absl::Status& status) {
  compacting_ = false;
  // One that was compacted already, by a client perhaps, is as good.
  if (status.ok() || GetErrc(status) == Errc::kCompacted) {
    last_success_ = executor_->Now();
    previous_ = revision;
    if (status.ok()) {
      log::Info("auto compaction at revision {}{}", log::As("revision", revision.value()),
                log::Event("auto_compaction"));
    }
    return;
  }
  log::Warn("auto compaction at revision {} failed: {}{}", log::As("revision", revision.value()),
            log::As("reason", MessageOf(status)), log::Event("auto_compaction_failed"));
}

}  // namespace jetd::etcdapi
