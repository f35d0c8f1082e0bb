// SPDX-License-Identifier: Apache-2.0
#include "revision/alarm_set.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "base/error.h"

namespace jetd::revision {

using jetstream::Alarm;
using jetstream::AlarmType;

namespace {

constexpr uint64_t kPutOverheadBytes = 256;

uint64_t CostOfPut(const PutOp& put) {
  return kPutOverheadBytes + put.key.size() + put.value.size();
}

uint64_t CostOfBranch(const std::vector<Op>& ops) {
  uint64_t cost = 0;
  for (const Op& op : ops) {
    if (const auto* put = std::get_if<PutOp>(&op.v)) cost += CostOfPut(*put);
  }
  return cost;
}

bool OnlyRanges(const std::vector<Op>& ops) {
  return std::all_of(ops.begin(), ops.end(),
                     [](const Op& op) { return std::holds_alternative<RangeOp>(op.v); });
}

// What etcd answers without asking its members.
bool IsPlainRead(const Op& op) {
  if (const auto* txn = std::get_if<TxnOp>(&op.v)) {
    return OnlyRanges(txn->success) && OnlyRanges(txn->failure);
  }
  return std::holds_alternative<RangeOp>(op.v);
}

}  // namespace

uint64_t CostOf(const Op& op) {
  if (const auto* put = std::get_if<PutOp>(&op.v)) return CostOfPut(*put);
  const auto* txn = std::get_if<TxnOp>(&op.v);
  if (txn == nullptr) return 0;
  return std::max(CostOfBranch(txn->success), CostOfBranch(txn->failure));
}

AlarmSet::AlarmSet(std::vector<Alarm> alarms) : alarms_(std::move(alarms)) {
  std::sort(alarms_.begin(), alarms_.end());
  alarms_.erase(std::unique(alarms_.begin(), alarms_.end()), alarms_.end());
}

bool AlarmSet::Raise(const Alarm& alarm) {
  const auto at = std::lower_bound(alarms_.begin(), alarms_.end(), alarm);
  if (at != alarms_.end() && *at == alarm) return false;
  alarms_.insert(at, alarm);
  return true;
}

bool AlarmSet::Disarm(const Alarm& alarm) { return std::erase(alarms_, alarm) > 0; }

std::vector<Alarm> AlarmSet::OfEtcd() const {
  std::vector<Alarm> alarms;
  std::copy_if(alarms_.begin(), alarms_.end(), std::back_inserter(alarms),
               [](const Alarm& alarm) { return alarm.type != AlarmType::kMirror; });
  return alarms;
}

bool AlarmSet::Has(AlarmType type) const {
  return std::any_of(alarms_.begin(), alarms_.end(),
                     [type](const Alarm& alarm) { return alarm.type == type; });
}

absl::Status AlarmSet::RefusalOf(const Op& op) const {
  if (alarms_.empty() || IsPlainRead(op)) return absl::OkStatus();
  if (auto status = RefusalOfRemoval(); !status.ok()) return status;
  return Has(AlarmType::kNoSpace) && CostOf(op) > 0 ? MakeError(Errc::kNoSpace) : absl::OkStatus();
}

absl::Status AlarmSet::RefusalOfGrant() const {
  if (auto status = RefusalOfRemoval(); !status.ok()) return status;
  return Has(AlarmType::kNoSpace) ? MakeError(Errc::kNoSpace) : absl::OkStatus();
}

absl::Status AlarmSet::RefusalOfRemoval() const {
  return Has(AlarmType::kCorrupt) ? MakeError(Errc::kCorrupt) : absl::OkStatus();
}

}  // namespace jetd::revision
