// SPDX-License-Identifier: Apache-2.0
#include "conformance/mirrors/client_log.h"

#include <algorithm>
#include <utility>

namespace jetd::conformance {
namespace {

std::vector<std::string> KeysOf(const Moment& moment, int64_t lease) {
  std::vector<std::string> keys;
  for (const auto& [key, at] : moment.keys) {
    if (at.lease == lease) keys.push_back(key);
  }
  return keys;
}

bool ChangesKeys(const ClientLog::Step& step, const Moment& moment) {
  if (!step.writes.empty()) return true;
  const auto there = [&moment](const std::string& key) { return moment.keys.contains(key); };
  if (std::any_of(step.deletes.begin(), step.deletes.end(), there)) return true;
  return step.revoke != 0 && !KeysOf(moment, step.revoke).empty();
}

}  // namespace

void ClientLog::Apply(const Step& step, Moment* moment) {
  if (ChangesKeys(step, *moment)) ++moment->revision;
  if (step.grant != 0) moment->leases[step.grant] = step.ttl_s;
  if (step.revoke != 0) {
    for (const std::string& key : KeysOf(*moment, step.revoke)) moment->keys.erase(key);
    moment->leases.erase(step.revoke);
  }
  for (const std::string& key : step.deletes) moment->keys.erase(key);
  for (const Write& write : step.writes) {
    Moment::Key& key = moment->keys[write.key];
    if (key.version == 0) key.create = moment->revision;
    key.mod = moment->revision;
    ++key.version;
    key.value = write.value;
    key.lease = write.lease;
  }
}

void ClientLog::Do(Step step) {
  for (const Write& write : step.writes) last_change_[write.key] = steps_.size();
  for (const std::string& key : step.deletes) {
    if (now_.keys.contains(key)) last_change_[key] = steps_.size();
  }
  if (step.revoke != 0) {
    for (const std::string& key : KeysOf(now_, step.revoke)) last_change_[key] = steps_.size();
  }
  Apply(step, &now_);
  steps_.push_back(std::move(step));
  revisions_.push_back(now_.revision);
}

int64_t ClientLog::RevisionAfter(const Step& step) const {
  return now_.revision + (ChangesKeys(step, now_) ? 1 : 0);
}

size_t ClientLog::LastStepOf(int64_t revision) const {
  const auto behind = std::upper_bound(revisions_.begin(), revisions_.end(), revision);
  return static_cast<size_t>(behind - revisions_.begin()) - 1;
}

size_t ClientLog::LastChangeOf(const std::string& key) const {
  const auto found = last_change_.find(key);
  return found == last_change_.end() ? steps_.size() : found->second;
}

void ClientLog::Replay(const std::vector<size_t>& wanted,
                       const std::function<void(size_t step, const Moment&)>& see) const {
  Moment moment;
  size_t done = 0;
  for (const size_t step : wanted) {
    for (; done <= step; ++done) Apply(steps_[done], &moment);
    see(step, moment);
  }
}

bool ClientLog::Doctor(size_t step) {
  if (steps_[step].writes.empty()) return false;
  steps_[step].writes.front().value += " and more";
  return true;
}

}  // namespace jetd::conformance
