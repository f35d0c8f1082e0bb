// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/usage_keeper.h"

#include <utility>

#include "base/log.h"
#include "base/random_id.h"
#include "base/strings.h"

namespace jetd::etcdapi {
UsageKeeper::UsageKeeper(Executor* executor, Sources sources)
    : executor_(executor), sources_(std::move(sources)), saved_at_(executor->Now()) {
  before_.record = RandomId();
  before_.began_ms = before_.time_ms = executor_->WallNowMs();
}

UsageKeeper::~UsageKeeper() {
  if (timer_ != 0) executor_->Cancel(timer_);
}

void UsageKeeper::Open() {
  const std::optional<UsageOwner> owner = sources_.owner();
  if (!owner.has_value()) return;
  opened_ = true;
  before_.owner = *owner;
  if (sources_.root.empty()) {
    log::Info("usage is counted from this start on: there is no data folder to keep it in");
    return;
  }
  auto record = UsageRecord::Open(sources_.root, *owner, before_.began_ms);
  if (!record.ok()) {
    log::Warn("usage is counted from this start on: {}", MessageOf(record.status()));
    return;
  }
  record_ = *std::move(record);
  before_ = record_->newest();
  if (record_->lost()) {
    log::Warn("usage is counted anew: nothing in {} can be read", record_->folder());
  }
}

void UsageKeeper::LookCloser() {
  if (!opened_) Open();
  if (record_ == nullptr) return;
  const bool asked = sources_.messages() != messages_;
  if (!asked && executor_->Now() - saved_at_ < kIdlePause) return;
  timer_ = executor_->RunAfter(kPause, [this] {
    timer_ = 0;
    Save();
  });
}

void UsageKeeper::Save() {
  if (!opened_) Open();
  if (record_ == nullptr) return;
  messages_ = sources_.messages();
  saved_at_ = executor_->Now();
  UsageCounters all = before_.all;
  AddTo(sources_.counters(), &all);
  const absl::Status saved = record_->Append(executor_->WallNowMs(), all);
  if (!saved.ok() && !failing_) {
    log::Warn("what was used is not kept: {}", MessageOf(saved));
  }
  failing_ = !saved.ok();
}

}  // namespace jetd::etcdapi
