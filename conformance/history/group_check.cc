// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/group_check.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "base/strings.h"

namespace jetd::conformance::history {
namespace {

// Keys first..last, with the answer if there is one.
class Projection {
 public:
  Projection(KeyId first, KeyId last) : first_(first), last_(last) {}

  [[nodiscard]] bool Has(KeyId key) const { return key >= first_ && key <= last_; }

  [[nodiscard]] std::vector<GroupOp::Guard> Guards(const Request& request) const {
    std::vector<GroupOp::Guard> guards;
    for (const Compare& compare : request.compares) {
      if (!Has(compare.key)) continue;
      guards.push_back({compare.key - first_, compare.expected.value, compare.equal});
    }
    return guards;
  }

  [[nodiscard]] std::vector<GroupOp::Part> Parts(const std::vector<Action>& actions,
                                                 const std::vector<ActionAnswer>* answers) const {
    std::vector<GroupOp::Part> parts;
    for (size_t i = 0; i < actions.size(); ++i) {
      const Action& action = actions[i];
      if (action.last < first_ || action.first > last_) continue;
      const KeyId first = std::max(action.first, first_);
      const KeyId last = std::min(action.last, last_);
      GroupOp::Part part{.kind = action.kind,
                         .first = first - first_,
                         .last = last - first_,
                         .value = action.value};
      if (answers != nullptr) AddAnswer(action, (*answers)[i], first, last, part);
      parts.push_back(std::move(part));
    }
    return parts;
  }

 private:
  static void AddAnswer(const Action& action, const ActionAnswer& answer, KeyId first, KeyId last,
                        GroupOp::Part& part) {
    if (action.kind == Action::Kind::kGet || action.prev_kv) {
      part.before.assign(last - first + 1, kAbsent);
      for (const auto& [key, state] : answer.kvs) {
        if (key >= first && key <= last) part.before[key - first] = state.value;
      }
    }
    const bool whole = action.first == first && action.last == last;
    if (action.kind == Action::Kind::kDelete && whole) part.deleted = answer.deleted;
  }

  const KeyId first_, last_;
};

// Everything about time but the unknown return.
GroupOp Timed(const Operation& operation) {
  GroupOp op;
  op.call_ns = operation.call_ns;
  if (operation.fate == Fate::kAnswered) op.return_ns = operation.return_ns;
  return op;
}

std::vector<GroupOp> OnGroupUnknown(const Operation& operation, const Projection& keys) {
  const Request& request = operation.request;
  GroupOp op = Timed(operation);
  op.guards = keys.Guards(request);
  op.parts = keys.Parts(request.success, nullptr);
  op.otherwise = keys.Parts(request.failure, nullptr);
  if (op.parts.empty() && op.otherwise.empty()) return {};
  if (op.guards.size() == request.compares.size()) {
    op.guarding = GroupOp::Guarding::kDecide;
    return {op};
  }
  op.guards.clear();
  GroupOp other = op;
  other.parts = std::exchange(op.otherwise, {});
  other.otherwise.clear();
  return {op, other};
}

}  // namespace

std::vector<GroupOp> OnGroup(const Operation& operation, KeyId first, KeyId last) {
  const Request& request = operation.request;
  if (request.serializable || request.at_revision != 0) return {};
  if (operation.fate == Fate::kRefused || !operation.malformed.empty()) return {};
  const Projection keys(first, last);
  if (operation.fate == Fate::kUnknown) return OnGroupUnknown(operation, keys);
  GroupOp op = Timed(operation);
  op.guards = keys.Guards(request);
  op.parts = keys.Parts(Taken(operation), &operation.answers);
  if (operation.succeeded) {
    op.guarding = GroupOp::Guarding::kHold;
  } else if (op.guards.size() == request.compares.size()) {
    op.guarding = GroupOp::Guarding::kFail;
  } else {
    op.guards.clear();
  }
  if (op.parts.empty() && op.guards.empty()) return {};
  return {op};
}

GroupCheck::GroupCheck(size_t keys, size_t group_size, size_t budget) : group_size_(group_size) {
  for (size_t first = 0; first < keys; first += group_size) {
    searches_.emplace_back(Values(group_size, kAbsent), budget);
  }
}

size_t GroupCheck::visited() const {
  return std::accumulate(
      searches_.begin(), searches_.end(), size_t{0},
      [](size_t sum, const LinearSearch& search) { return sum + search.visited(); });
}

// The operations that may concern each group.
std::vector<GroupCheck::Sources> GroupCheck::Sort(const std::vector<Operation>& operations) const {
  std::vector<Sources> sources(searches_.size());
  for (const Operation& operation : operations) {
    const auto add = [&](KeyId first, KeyId last) {
      for (size_t group = first / group_size_; group <= last / group_size_; ++group) {
        Sources& of_group = sources[group];
        if (of_group.empty() || of_group.back() != &operation) of_group.push_back(&operation);
      }
    };
    const Request& request = operation.request;
    for (const Compare& compare : request.compares) add(compare.key, compare.key);
    for (const Action& action : request.success) add(action.first, action.last);
    for (const Action& action : request.failure) add(action.first, action.last);
  }
  return sources;
}

void GroupCheck::Check(const std::vector<Operation>& operations,
                       const std::vector<Operation>& landed, const State& end) {
  const std::vector<Sources> answered = Sort(operations);
  const std::vector<Sources> open = Sort(landed);
  for (size_t group = 0; group < searches_.size(); ++group) {
    CheckGroup(group, answered[group], open[group], end);
  }
}

void GroupCheck::CheckGroup(size_t group, const Sources& answered, const Sources& landed,
                            const State& end) {
  const auto first = static_cast<KeyId>(group * group_size_);
  const auto last = static_cast<KeyId>(first + group_size_ - 1);
  struct Sourced {
    GroupOp op;
    const Operation* source;
  };
  std::vector<Sourced> sourced;
  for (const Operation* operation : answered) {
    if (operation->fate != Fate::kAnswered) continue;
    for (GroupOp& op : OnGroup(*operation, first, last)) {
      sourced.push_back({std::move(op), operation});
    }
  }
  std::stable_sort(sourced.begin(), sourced.end(),
                   [](const Sourced& a, const Sourced& b) { return a.op.call_ns < b.op.call_ns; });
  std::vector<GroupOp> ops;
  for (Sourced& one : sourced) ops.push_back(std::move(one.op));
  std::vector<GroupOp> open;
  for (const Operation* operation : landed) {
    for (GroupOp& op : OnGroup(*operation, first, last)) open.push_back(std::move(op));
  }
  LinearSearch& search = searches_[group];
  const LinearSearch::Verdict verdict = search.Check(ops, open);
  if (verdict == LinearSearch::Verdict::kLinearizable) return;
  Values values;
  for (KeyId key = first; key <= last; ++key) values.push_back(end[key].value);
  search.Reset(std::move(values));
  if (verdict == LinearSearch::Verdict::kUndecided) {
    ++undecided_;
    return;
  }
  std::string text = Cat("keys ", first, " to ", last, " held");
  for (const ValueId value : search.stuck().values) CatTo(text, " ", ValueText(value));
  text += ", and none of these can be next:";
  for (const size_t next : search.stuck().next) CatTo(text, "\n    ", Text(*sourced[next].source));
  violations_.Add("not linearizable", text);
}

}  // namespace jetd::conformance::history
