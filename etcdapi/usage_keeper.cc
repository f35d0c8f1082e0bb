// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/usage_keeper.h"

#include <utility>

#include "base/log.h"
#include "base/random_id.h"
#include "base/strings.h"

namespace jetd::etcdapi {
UsageKeeper::UsageKeeper(Executor* executor, Sources sources)
    : executor_(executor), sources_(std::move(sources)), tried_at_(executor->Now()) {
  before_.record = RandomId();
  before_.began_ms = before_.time_ms = executor_->WallNowMs();
}

UsageKeeper::~UsageKeeper() {
  if (timer_ != 0) executor_->Cancel(timer_);
}

bool UsageKeeper::Begin() {
  if (begun_) return !sources_.root.empty();
  const std::optional<UsageOwner> owner = sources_.owner();
  if (!owner.has_value()) return false;
  begun_ = true;
  before_.owner = *owner;
  if (sources_.root.empty()) {
    log::Info("usage is counted from this start on: there is no data folder to keep it in");
    return false;
  }
  Open();
  return true;
}

void UsageKeeper::Open() {
  auto record = UsageRecord::Open(sources_.root, before_.owner, before_.began_ms);
  TellOnce(record.status());
  if (!record.ok()) return;
  record_ = *std::move(record);
  // What this process has counted so far comes on top, and so is kept with the next sample.
  before_ = record_->newest();
  if (record_->lost()) {
    log::Warn("usage is counted anew: nothing in {} can be read", record_->folder());
  }
}

void UsageKeeper::TellOnce(const absl::Status& status) {
  if (!status.ok() && !failing_) {
    log::Warn("what was used is not kept, and will be tried again: {}", MessageOf(status));
  }
  failing_ = !status.ok();
}

void UsageKeeper::LookCloser() {
  if (!Begin()) return;
  const bool asked = sources_.messages() != messages_;
  if (!asked && executor_->Now() - tried_at_ < kIdlePause) return;
  timer_ = executor_->RunAfter(kPause, [this] {
    timer_ = 0;
    Save();
  });
}

void UsageKeeper::Save() {
  if (!Begin()) return;
  tried_at_ = executor_->Now();
  if (record_ == nullptr) Open();
  if (record_ == nullptr) return;
  const uint64_t messages = sources_.messages();
  UsageCounters all = before_.all;
  AddTo(sources_.counters(), &all);
  const absl::Status saved = record_->Append(executor_->WallNowMs(), all);
  if (saved.ok()) messages_ = messages;
  TellOnce(saved);
}

}  // namespace jetd::etcdapi
