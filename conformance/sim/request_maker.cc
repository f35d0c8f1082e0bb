// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/request_maker.h"

#include <algorithm>
#include <charconv>

#include "base/strings.h"

namespace jetd::conformance::sim {
namespace {

constexpr size_t kKeys = 10;  // k0 … k9: in the order of their names

}  // namespace

std::optional<uint64_t> RequestMaker::OperationOf(std::string_view value) {
  uint64_t id = 0;
  if (value.empty() || value.front() != 'v') return std::nullopt;
  const auto parsed = std::from_chars(value.data() + 1, value.data() + value.size(), id);
  if (parsed.ec != std::errc()) return std::nullopt;
  return id;
}

std::string RequestMaker::Value(uint64_t id, size_t part) {
  return Cat("v", id, ".", part, std::string(random_->Pick(40), '-'));
}

Action RequestMaker::Change(uint64_t id, size_t part, size_t key, LeaseId lease) {
  Action action;
  action.key = Key(key);
  action.prev_kv = random_->Chance(30);
  if (random_->Chance(25)) {
    action.kind = Action::Kind::kDelete;
    return action;
  }
  action.kind = Action::Kind::kPut;
  action.value = Value(id, part);
  if (random_->Chance(15)) action.lease = lease;
  return action;
}

Comparison RequestMaker::Compare() {
  using Target = revision::Compare::Target;
  using Result = revision::Compare::Result;
  Comparison comparison;
  comparison.key = Key(random_->Pick(kKeys));
  comparison.target = static_cast<Target>(random_->Pick(5));
  comparison.result = random_->Chance(70) ? Result::kEqual : static_cast<Result>(random_->Pick(4));
  // What was true lately may still be.
  const Version* v = ledger_->Live(comparison.key, ledger_->newest());
  const bool true_lately = random_->Chance(75);
  switch (comparison.target) {
    case Target::kVersion:
      comparison.number = v == nullptr ? 0 : v->version;
      break;
    case Target::kCreate:
      comparison.number = v == nullptr ? 0 : v->create.value();
      break;
    case Target::kMod:
      comparison.number = v == nullptr ? 0 : v->mod.value();
      break;
    case Target::kLease:
      comparison.number = v == nullptr ? 0 : v->lease.value();
      break;
    case Target::kValue:
      comparison.value = v == nullptr ? "v0.0" : v->value;
      break;
  }
  if (!true_lately) comparison.number += random_->Between(-1, 1);
  return comparison;
}

std::vector<Action> RequestMaker::Branch(uint64_t id, LeaseId lease, size_t first_part) {
  std::vector<Action> actions;
  const size_t count = 1 + random_->Pick(5);
  // Neighbouring keys, each once.
  const size_t first = random_->Pick(kKeys);
  for (size_t i = 0; i < count; ++i) {
    const size_t key = (first + i) % kKeys;
    if (random_->Chance(20)) {
      Action range;
      range.key = Key(key);
      actions.push_back(range);
    } else {
      actions.push_back(Change(id, first_part + i, key, lease));
    }
  }
  return actions;
}

Request RequestMaker::Write(uint64_t id, LeaseId lease) {
  Request request;
  const size_t what = random_->Pick(100);
  if (what < 55) {
    request.success.push_back(Change(id, 0, random_->Pick(kKeys), lease));
    return request;
  }
  if (what < 60) {
    Action action;
    action.kind = Action::Kind::kDelete;
    action.prev_kv = random_->Chance(30);
    ChooseRange(&action.key, &action.end);
    request.success.push_back(action);
    return request;
  }
  request.txn = true;
  const size_t compares = random_->Pick(3);
  for (size_t i = 0; i < compares; ++i) request.compares.push_back(Compare());
  request.success = Branch(id, lease, 0);
  if (random_->Chance(50)) request.failure = Branch(id, lease, 10);
  return request;
}

void RequestMaker::ChooseRange(std::string* key, std::string* end) {
  if (random_->Chance(20)) {
    *key = "k";
    *end = "l";
    return;
  }
  const size_t first = random_->Pick(kKeys);
  *key = Key(first);
  if (random_->Chance(50)) *end = Key(std::min(first + 1 + random_->Pick(4), kKeys - 1));
  if (*end <= *key) end->clear();
}

Action RequestMaker::Range() {
  Action range;
  ChooseRange(&range.key, &range.end);
  if (random_->Chance(30)) {
    const int64_t newest = ledger_->told().value();
    range.revision = Revision(std::max<int64_t>(newest - random_->Between(0, 30), 1));
  }
  if (random_->Chance(20)) range.limit = random_->Between(1, 4);
  range.serializable = random_->Chance(15);
  range.keys_only = random_->Chance(10);
  range.count_only = random_->Chance(10);
  return range;
}

}  // namespace jetd::conformance::sim
