// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/model.h"

#include <algorithm>
#include <map>

namespace jetd::conformance::history {
namespace {

bool Holds(const Compare& compare, const KeyState& state) {
  switch (compare.target) {
    case Compare::Target::kMod:
      return (state.mod == compare.expected.mod) == compare.equal;
    case Compare::Target::kValue:
      // Without a key nothing is equal and nothing unequal.
      return state.value != kAbsent && (state.value == compare.expected.value) == compare.equal;
    case Compare::Target::kVersion:
      return (state.version == compare.expected.version) == compare.equal;
    case Compare::Target::kCreate:
      return (state.create == compare.expected.create) == compare.equal;
  }
  return false;
}

// The state with what the transaction has changed so far on top.
class View {
 public:
  View(const State& state, int64_t revision) : state_(state), revision_(revision) {}

  [[nodiscard]] const KeyState& Get(KeyId key) const {
    const auto found = changed_.find(key);
    return found == changed_.end() ? state_[key] : found->second;
  }

  void Put(KeyId key, ValueId value, std::vector<Change>& changes) {
    const KeyState& before = Get(key);
    const bool there = before.value != kAbsent;
    const KeyState after{.value = value,
                         .create = there ? before.create : revision_,
                         .mod = revision_,
                         .version = there ? before.version + 1 : 1};
    changed_[key] = after;
    changes.push_back({key, after});
  }

  void Delete(KeyId key, std::vector<Change>& changes) {
    changed_[key] = {};
    changes.push_back({key, {.mod = revision_}});
  }

 private:
  const State& state_;
  const int64_t revision_;
  std::map<KeyId, KeyState> changed_;
};

ActionAnswer Do(const Action& action, View& view, std::vector<Change>& changes) {
  ActionAnswer answer;
  for (KeyId key = action.first; key <= action.last; ++key) {
    const KeyState& before = view.Get(key);
    const bool there = before.value != kAbsent;
    if (there && (action.kind == Action::Kind::kGet || action.prev_kv)) {
      answer.kvs.emplace_back(key, before);
    }
    if (action.kind == Action::Kind::kPut) {
      view.Put(key, action.value, changes);
    } else if (action.kind == Action::Kind::kDelete && there) {
      view.Delete(key, changes);
      ++answer.deleted;
    }
  }
  return answer;
}

}  // namespace

Effect Execute(const Request& request, const State& state, int64_t revision) {
  Effect effect;
  effect.succeeded =
      std::all_of(request.compares.begin(), request.compares.end(),
                  [&](const Compare& compare) { return Holds(compare, state[compare.key]); });
  View view(state, revision);
  for (const Action& action : effect.succeeded ? request.success : request.failure) {
    effect.answers.push_back(Do(action, view, effect.changes));
  }
  return effect;
}

void Apply(const std::vector<Change>& changes, State& state) {
  for (const Change& change : changes) {
    state[change.key] = change.state.value == kAbsent ? KeyState{} : change.state;
  }
}

bool CanChange(const Request& request) {
  const auto writes = [](const Action& action) { return action.kind != Action::Kind::kGet; };
  return std::any_of(request.success.begin(), request.success.end(), writes) ||
         std::any_of(request.failure.begin(), request.failure.end(), writes);
}

const std::vector<Action>& Taken(const Operation& operation) {
  return operation.succeeded ? operation.request.success : operation.request.failure;
}

bool SaysItChanged(const Operation& operation) {
  for (const Action& action : Taken(operation)) {
    if (action.kind == Action::Kind::kPut) return true;
  }
  return std::any_of(operation.answers.begin(), operation.answers.end(),
                     [](const ActionAnswer& answer) { return answer.deleted > 0; });
}

}  // namespace jetd::conformance::history
