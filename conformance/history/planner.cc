// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/planner.h"

#include <algorithm>

namespace jetd::conformance::history {

Planner::Planner(const KeySpace* keys, uint32_t client, uint64_t seed)
    : keys_(keys), client_(client), random_(seed), seen_(keys->size()) {}

Request Planner::Next() {
  part_ = 0;
  Request request;
  const uint64_t kind = Roll(100);
  if (kind < 33) {
    request = Read();
  } else if (kind < 55) {
    request = Single(Put(static_cast<KeyId>(Roll(keys_->size()))));
  } else if (kind < 61) {
    const auto key = static_cast<KeyId>(Roll(keys_->size()));
    request = Single(Delete(key, key));
  } else if (kind < 63) {
    const KeyId first = FirstOfGroup();
    request = Single(Delete(first, first + static_cast<KeyId>(keys_->group_size()) - 1));
  } else if (kind < 84) {
    request = UpdateOne();
  } else if (kind < 96) {
    request = ChangeGroup();
  } else {
    request = ChangeGroups();
  }
  ++planned_;
  return request;
}

void Planner::Learn(const Operation& operation) {
  if (operation.fate != Fate::kAnswered || !operation.malformed.empty()) return;
  revision_ = std::max(revision_, operation.revision);
  if (operation.request.at_revision != 0) return;
  const std::vector<Action>& taken = Taken(operation);
  for (size_t i = 0; i < taken.size(); ++i) {
    const Action& action = taken[i];
    if (action.kind == Action::Kind::kPut) {
      // Version and creation are known to those who read it.
      seen_[action.first] = {.value = action.value, .mod = operation.revision};
      continue;
    }
    for (KeyId key = action.first; key <= action.last; ++key) seen_[key] = {};
    if (action.kind == Action::Kind::kDelete) continue;
    for (const auto& [key, state] : operation.answers[i].kvs) seen_[key] = state;
  }
}

KeyId Planner::FirstOfGroup() {
  return static_cast<KeyId>(Roll(keys_->groups()) * keys_->group_size());
}

Action Planner::Get(KeyId first, KeyId last) const {
  return {.kind = Action::Kind::kGet, .first = first, .last = last};
}

Action Planner::Put(KeyId key) {
  return {.kind = Action::Kind::kPut,
          .first = key,
          .last = key,
          .value = MakeValueId(client_, planned_, part_++),
          .prev_kv = Roll(2) == 0};
}

Action Planner::Delete(KeyId first, KeyId last) {
  return {.kind = Action::Kind::kDelete, .first = first, .last = last, .prev_kv = Roll(2) == 0};
}

Request Planner::Single(const Action& action) const {
  Request request;
  request.success = {action};
  return request;
}

Request Planner::Read() {
  const uint64_t what = Roll(33);
  if (what == 0) return Single(Get(0, static_cast<KeyId>(keys_->size()) - 1));
  Request request;
  if (what < 9) {
    const KeyId first = FirstOfGroup();
    request = Single(Get(first, first + static_cast<KeyId>(keys_->group_size()) - 1));
  } else {
    const auto key = static_cast<KeyId>(Roll(keys_->size()));
    request = Single(Get(key, key));
  }
  if (what % 4 == 1) request.serializable = true;
  // A past that is not long gone.
  if (what % 10 == 2 && revision_ > 60) {
    request.at_revision = revision_ - static_cast<int64_t>(Roll(50));
  }
  return request;
}

// A guard that holds if the key is as this client knows it.
Compare Planner::MakeCompare(KeyId key) {
  Compare compare{.key = key, .target = Compare::Target::kMod, .expected = seen_[key]};
  const uint64_t how = Roll(6);
  if (compare.expected.value == kAbsent) {
    if (how == 0) compare.target = Compare::Target::kVersion;
    if (how == 1) compare.target = Compare::Target::kCreate;
  } else if (how == 0) {
    compare.target = Compare::Target::kValue;
  }
  if (how == 5) compare.equal = false;
  return compare;
}

// As kube-apiserver creates, updates and deletes.
Request Planner::UpdateOne() {
  const auto key = static_cast<KeyId>(Roll(keys_->size()));
  Request request;
  request.txn = true;
  request.compares = {{.key = key, .target = Compare::Target::kMod, .expected = seen_[key]}};
  const bool there = seen_[key].value != kAbsent;
  if (there && Roll(5) == 0) {
    // Beside it, what tells this delete from others.
    const auto next = static_cast<KeyId>(key % keys_->group_size() == 0 ? key + 1 : key - 1);
    request.success = {Delete(key, key), Put(next)};
  } else {
    request.success = {Put(key)};
  }
  request.failure = {Get(key, key)};
  return request;
}

std::vector<Action> Planner::GroupBranch(KeyId first) {
  const auto size = static_cast<KeyId>(keys_->group_size());
  std::vector<Action> actions;
  if (Roll(2) == 0) actions.push_back(Get(first, first + size - 1));
  // No key is written twice.
  const KeyId erased = Roll(3) == 0 ? static_cast<KeyId>(Roll(size)) : size;
  if (erased < size) actions.push_back(Delete(first + erased, first + erased));
  const auto must = static_cast<KeyId>(Roll(size));
  for (KeyId i = 0; i < size; ++i) {
    const bool chosen = i == must || Roll(3) == 0 || (erased == must && i == (must + 1) % size);
    if (chosen && i != erased) actions.push_back(Put(first + i));
  }
  if (Roll(2) == 0) {
    const KeyId key = first + static_cast<KeyId>(Roll(size));
    actions.push_back(Get(key, key));
  }
  return actions;
}

Request Planner::ChangeGroup() {
  const KeyId first = FirstOfGroup();
  const auto size = static_cast<KeyId>(keys_->group_size());
  Request request;
  request.txn = true;
  for (uint64_t i = Roll(3); i > 0; --i) {
    request.compares.push_back(MakeCompare(first + static_cast<KeyId>(Roll(size))));
  }
  request.success = GroupBranch(first);
  if (Roll(3) == 0) {
    request.failure = GroupBranch(first);
  } else {
    request.failure = {Get(first, first + size - 1)};
  }
  return request;
}

// Reads and writes of several groups, now and then behind a guard on one of them.
Request Planner::ChangeGroups() {
  const auto size = static_cast<KeyId>(keys_->group_size());
  Request request;
  request.txn = true;
  std::vector<KeyId> groups = {FirstOfGroup(), FirstOfGroup(), FirstOfGroup()};
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  if (Roll(2) == 0) request.compares = {MakeCompare(groups[0])};
  for (const KeyId first : groups) {
    request.success.push_back(Put(first + static_cast<KeyId>(Roll(size))));
    if (Roll(2) == 0) request.success.push_back(Get(first, first + size - 1));
  }
  request.failure = {Get(groups.front(), groups.back() + size - 1)};
  return request;
}

}  // namespace jetd::conformance::history
