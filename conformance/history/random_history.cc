// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/random_history.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace jetd::conformance::history {
namespace {

// Makes requests for one history; what was answered so far gives it something to compare with.
class Maker {
 public:
  Maker(size_t keys, std::mt19937_64& random) : keys_(keys), random_(random), seen_(keys, {{}}) {}

  Request Make(uint32_t client) {
    client_ = client;
    part_ = 0;
    Request request;
    switch (random_() % 6) {
      case 0:
        request.success = {Get()};
        break;
      case 1:
        request.success = {Put(Key())};
        break;
      case 2:
        request.success = {Delete()};
        break;
      default:
        request.txn = true;
        for (uint64_t i = random_() % 3; i > 0; --i) request.compares.push_back(MakeCompare());
        request.success = Branch();
        request.failure = Branch();
    }
    return request;
  }

  void Learn(const std::vector<Change>& changes) {
    for (const Change& change : changes) {
      seen_[change.key].push_back(change.state.value == kAbsent ? KeyState{} : change.state);
    }
  }

 private:
  KeyId Key() { return static_cast<KeyId>(random_() % keys_); }
  Action Span(Action::Kind kind) {
    const KeyId a = Key();
    const KeyId b = random_() % 2 == 0 ? a : Key();
    return {.kind = kind, .first = std::min(a, b), .last = std::max(a, b)};
  }
  Action Get() { return Span(Action::Kind::kGet); }
  // Of one key or all.
  Action Delete() {
    const bool all = random_() % 3 == 0;
    const KeyId key = Key();
    return {.kind = Action::Kind::kDelete,
            .first = all ? 0 : key,
            .last = all ? static_cast<KeyId>(keys_ - 1) : key,
            .prev_kv = random_() % 2 == 0};
  }
  Action Put(KeyId key) {
    return {.kind = Action::Kind::kPut,
            .first = key,
            .last = key,
            .value = MakeValueId(client_, 0, part_++),
            .prev_kv = random_() % 2 == 0};
  }
  Compare MakeCompare() {
    const KeyId key = Key();
    const KeyState& state = seen_[key][random_() % seen_[key].size()];
    Compare compare{.key = key, .target = Compare::Target::kMod, .expected = state};
    if (state.value != kAbsent && random_() % 3 == 0) {
      compare.target = Compare::Target::kValue;
    } else if (state.value == kAbsent && random_() % 2 == 0) {
      compare.target = random_() % 2 == 0 ? Compare::Target::kVersion : Compare::Target::kCreate;
    } else {
      compare.equal = random_() % 4 != 0;
    }
    return compare;
  }
  std::vector<Action> Branch() {
    std::vector<Action> actions;
    if (random_() % 2 == 0) actions.push_back(Get());
    // A key is written once in a transaction, and what deletes also puts.
    if (random_() % 3 == 0) {
      Action erase = Span(Action::Kind::kDelete);
      erase.prev_kv = random_() % 2 == 0;
      if (erase.first > 0 || erase.last + 1 < keys_) {
        actions.push_back(erase);
        actions.push_back(Put(erase.first > 0 ? erase.first - 1 : erase.last + 1));
      }
    } else {
      for (KeyId key = 0; key < keys_; ++key) {
        if (random_() % 3 == 0) actions.push_back(Put(key));
      }
    }
    if (random_() % 3 == 0) actions.push_back(Get());
    return actions;
  }

  const size_t keys_;
  std::mt19937_64& random_;
  std::vector<std::vector<KeyState>> seen_;
  uint32_t client_ = 0;
  uint32_t part_ = 0;
};

// Whether an answer of one branch can be one of the other.
bool HaveOneShape(const Request& request) {
  return std::equal(request.success.begin(), request.success.end(), request.failure.begin(),
                    request.failure.end(), [](const Action& a, const Action& b) {
                      return a.kind == b.kind && a.first == b.first && a.last == b.last &&
                             a.prev_kv == b.prev_kv;
                    });
}

bool IsNext(const std::vector<Operation>& operations, uint32_t done, size_t at) {
  for (size_t i = 0; i < operations.size(); ++i) {
    if ((done >> i & 1U) != 0 || operations[i].fate != Fate::kAnswered) continue;
    if (operations[i].return_ns < operations[at].call_ns) return false;
  }
  return true;
}

bool AllAnsweredDone(const std::vector<Operation>& operations, uint32_t done) {
  for (size_t i = 0; i < operations.size(); ++i) {
    if ((done >> i & 1U) == 0 && operations[i].fate == Fate::kAnswered) return false;
  }
  return true;
}

bool Search(const Window& window, uint32_t done, const State& state, size_t at) {
  const std::vector<Operation>& operations = window.operations;
  if (at == window.truth.size() && AllAnsweredDone(operations, done)) return true;
  const int64_t revision = 1 + static_cast<int64_t>(at);
  for (size_t i = 0; i < operations.size(); ++i) {
    const Operation& operation = operations[i];
    if ((done >> i & 1U) != 0 || operation.fate == Fate::kRefused) continue;
    if (!IsNext(operations, done, i)) continue;
    const Effect effect = Execute(operation.request, state, revision + 1);
    const bool changes = !effect.changes.empty();
    if (changes && (at == window.truth.size() || window.truth[at].changes != effect.changes)) {
      continue;
    }
    if (operation.fate == Fate::kAnswered &&
        (effect.succeeded != operation.succeeded || effect.answers != operation.answers ||
         operation.revision != revision + (changes ? 1 : 0))) {
      continue;
    }
    if (operation.fate == Fate::kUnknown && !changes) continue;
    State after = state;
    Apply(effect.changes, after);
    if (Search(window, done | 1U << i, after, changes ? at + 1 : at)) return true;
  }
  return false;
}

// Leaves of a state only what values say.
KeyState OnlyValue(const KeyState& state) {
  if (state.value == kAbsent) return {};
  return {
      .value = state.value, .create = 1, .mod = static_cast<int64_t>(state.value), .version = 1};
}
std::vector<ActionAnswer> OnlyValues(std::vector<ActionAnswer> answers) {
  for (ActionAnswer& answer : answers) {
    for (auto& [key, state] : answer.kvs) state = OnlyValue(state);
  }
  return answers;
}

// `window` has only values in it.
bool SearchValues(const Window& window, uint32_t done, const State& state) {
  const std::vector<Operation>& operations = window.operations;
  if (AllAnsweredDone(operations, done)) return true;
  for (size_t i = 0; i < operations.size(); ++i) {
    const Operation& operation = operations[i];
    if ((done >> i & 1U) != 0 || operation.fate == Fate::kRefused) continue;
    if (!IsNext(operations, done, i)) continue;
    State after = state;
    // Action by action, so that the parts of a transaction see bare values too.
    Request part = operation.request;
    const Effect whole = Execute(part, state, 2);
    part.compares.clear();
    std::vector<ActionAnswer> answers;
    for (const Action& action :
         whole.succeeded ? operation.request.success : operation.request.failure) {
      part.success = {action};
      const Effect effect = Execute(part, after, 2);
      answers.push_back(OnlyValues(effect.answers)[0]);
      Apply(effect.changes, after);
      for (KeyState& key : after) key = OnlyValue(key);
    }
    if (operation.fate == Fate::kAnswered &&
        (whole.succeeded != operation.succeeded || answers != operation.answers)) {
      continue;
    }
    if (SearchValues(window, done | 1U << i, after)) return true;
  }
  return false;
}

}  // namespace

Window MakeHistory(const RandomHistoryOptions& options, std::mt19937_64& random) {
  Window window;
  Maker maker(options.keys, random);
  State state(options.keys);
  int64_t revision = 1;
  const auto spread = static_cast<uint64_t>(options.spread);
  for (size_t i = 0; i < options.operations; ++i) {
    Operation operation;
    operation.client = static_cast<uint32_t>(i);
    const int64_t moment = 1000 + 10 * static_cast<int64_t>(i);
    operation.call_ns = moment - static_cast<int64_t>(random() % spread);
    operation.return_ns = moment + static_cast<int64_t>(random() % spread);
    operation.request = maker.Make(operation.client);
    const bool unknown = random() % 10 < options.unknown;
    operation.fate = unknown ? Fate::kUnknown : Fate::kAnswered;
    if (!unknown || random() % 2 == 0) {
      const Effect effect = Execute(operation.request, state, revision + 1);
      if (!effect.changes.empty()) {
        ++revision;
        Apply(effect.changes, state);
        maker.Learn(effect.changes);
        window.truth.push_back({revision, effect.changes});
      }
      if (!unknown) {
        operation.succeeded = effect.succeeded;
        operation.answers = effect.answers;
        operation.revision = revision;
      }
    }
    window.operations.push_back(std::move(operation));
  }
  return window;
}

void Disturb(Window& window, std::mt19937_64& random) {
  Operation& one = window.operations[random() % window.operations.size()];
  const Operation& other = window.operations[random() % window.operations.size()];
  switch (random() % 6) {
    case 0:
      one.revision += random() % 2 == 0 ? 1 : -1;
      return;
    case 1:  // earlier or later
      one.call_ns += static_cast<int64_t>(random() % 60) - 30;
      one.return_ns = one.call_ns + static_cast<int64_t>(random() % 30);
      return;
    case 2:
      if (HaveOneShape(one.request)) one.succeeded = !one.succeeded;
      return;
    case 3:
      one.fate = Fate::kRefused;
      return;
    case 4:  // a state from elsewhere
      if (one.answers.empty() || one.answers[0].kvs.empty()) return;
      if (other.answers.empty() || other.answers[0].kvs.empty()) return;
      if (one.answers[0].kvs[0].first != other.answers[0].kvs[0].first) return;
      one.answers[0].kvs[0].second = other.answers[0].kvs[0].second;
      return;
    default:
      if (!one.answers.empty() && !one.answers[0].kvs.empty()) one.answers[0].kvs.pop_back();
  }
}

bool SomeOrderMakesTruth(const Window& window, size_t keys) {
  return Search(window, 0, State(keys), 0);
}

bool SomeOrderExplainsValues(const Window& window, size_t keys) {
  Window bare = window;
  for (Operation& operation : bare.operations) {
    operation.answers = OnlyValues(std::move(operation.answers));
    for (Compare& compare : operation.request.compares) {
      compare.expected = OnlyValue(compare.expected);
    }
  }
  return SearchValues(bare, 0, State(keys));
}

}  // namespace jetd::conformance::history
