// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/expectation.h"

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "base/strings.h"

namespace jetd::conformance::sim {
namespace {

using revision::Compare;

class Evaluation {
 public:
  Evaluation(const Ledger& ledger, Revision before) : ledger_(ledger), before_(before) {}

  [[nodiscard]] bool Holds(const Comparison& comparison) const {
    const Version* v = ledger_.Live(comparison.key, before_);
    int64_t number = 0;
    switch (comparison.target) {
      case Compare::Target::kValue:
        if (v == nullptr) return false;
        return Decide(comparison.result, v->value.compare(comparison.value));
      case Compare::Target::kVersion:
        number = v == nullptr ? 0 : v->version;
        break;
      case Compare::Target::kCreate:
        number = v == nullptr ? 0 : v->create.value();
        break;
      case Compare::Target::kMod:
        number = v == nullptr ? 0 : v->mod.value();
        break;
      case Compare::Target::kLease:
        number = v == nullptr ? 0 : v->lease.value();
        break;
    }
    return Decide(comparison.result, number - comparison.number);
  }

  Expectation::Result Run(const Action& action) {
    Expectation::Result result;
    result.action = &action;
    const std::map<std::string, Version> there = Now(action);
    for (const auto& [key, v] : there) result.kvs.push_back(v);
    result.count = static_cast<int64_t>(there.size());
    if (action.kind == Action::Kind::kPut) {
      Put(action, there);
    } else if (action.kind == Action::Kind::kDelete) {
      for (const auto& [key, v] : there) Delete(key);
    }
    return result;
  }

  std::vector<Version> TakeChanges() { return std::move(changes_); }

 private:
  static bool Decide(Compare::Result result, int64_t difference) {
    switch (result) {
      case Compare::Result::kEqual:
        return difference == 0;
      case Compare::Result::kGreater:
        return difference > 0;
      case Compare::Result::kLess:
        return difference < 0;
      case Compare::Result::kNotEqual:
        break;
    }
    return difference != 0;
  }

  // What lives in the action's range, the changes so far included.
  [[nodiscard]] std::map<std::string, Version> Now(const Action& action) const {
    std::map<std::string, Version> there;
    for (const Version* v : ledger_.LiveIn(action.key, action.end, before_)) there[v->key] = *v;
    const revision::KeyRange range{action.key, action.end};
    for (const Version& v : changes_) {
      if (!range.Contains(v.key)) continue;
      there.erase(v.key);
      if (!v.tombstone) there[v.key] = v;
    }
    return there;
  }

  void Put(const Action& action, const std::map<std::string, Version>& there) {
    Version v;
    v.key = action.key;
    v.value = action.value;
    v.lease = action.lease;
    const bool replaces = !there.empty();
    v.create = replaces ? there.begin()->second.create : before_.Next();
    v.version = replaces ? there.begin()->second.version + 1 : 1;
    Change(std::move(v));
  }

  void Delete(const std::string& key) {
    Version v;
    v.key = key;
    v.tombstone = true;
    Change(std::move(v));
  }

  void Change(Version v) {
    v.mod = before_.Next();
    v.sub = static_cast<uint32_t>(changes_.size());
    changes_.push_back(std::move(v));
  }

  const Ledger& ledger_;
  const Revision before_;
  std::vector<Version> changes_;
};

std::string Name(const revision::KvRef& kv) {
  return kv ? Cat(std::string(kv->key()), "@", kv->mod_revision().value()) : "nothing";
}

std::string DifferentKvs(const std::vector<Version>& expected,
                         const std::vector<revision::KvRef>& kvs, bool with_values) {
  for (size_t i = 0; i < std::max(expected.size(), kvs.size()); ++i) {
    if (i == expected.size()) return Cat(Name(kvs[i]), ", which is too many");
    if (i == kvs.size()) return Cat("no ", ToString(expected[i]));
    if (!Same(expected[i], *kvs[i], with_values)) {
      return Cat(Name(kvs[i]), ", not ", ToString(expected[i]));
    }
  }
  return {};
}

std::string DifferentRange(const Action& range, std::vector<Version> kvs,
                           const revision::RangeResult& answer) {
  const auto count = static_cast<int64_t>(kvs.size());
  if (answer.count != count) return Cat("a count of ", answer.count, ", not ", count);
  if (range.count_only) return answer.kvs.empty() ? "" : "keys where the count was asked for";
  const bool more = range.limit > 0 && count > range.limit;
  if (more) kvs.resize(static_cast<size_t>(range.limit));
  if (answer.more != more) return more ? "not that there is more" : "that there is more";
  return DifferentKvs(kvs, answer.kvs, !range.keys_only);
}

std::string DifferentResult(const Expectation::Result& expected, const revision::OpResult& answer) {
  const Action& action = *expected.action;
  if (action.kind == Action::Kind::kRange) {
    const auto* range = std::get_if<revision::RangeResult>(&answer.v);
    return range == nullptr ? "no range" : DifferentRange(action, expected.kvs, *range);
  }
  const std::vector<Version> replaced = action.prev_kv ? expected.kvs : std::vector<Version>();
  if (action.kind == Action::Kind::kDelete) {
    const auto* deleted = std::get_if<revision::DeleteResult>(&answer.v);
    if (deleted == nullptr) return "no delete";
    if (deleted->deleted != expected.count) {
      return Cat(deleted->deleted, " deleted, not ", expected.count);
    }
    return DifferentKvs(replaced, deleted->prev_kvs, /*with_values=*/true);
  }
  const auto* put = std::get_if<revision::PutResult>(&answer.v);
  if (put == nullptr) return "no put";
  std::vector<revision::KvRef> prev;
  if (put->prev) prev.push_back(put->prev);
  return DifferentKvs(replaced, prev, /*with_values=*/true);
}

}  // namespace

Expectation Expect(const Request& request, const Ledger& ledger, Revision before) {
  Expectation expected;
  Evaluation evaluation(ledger, before);
  for (const Comparison& comparison : request.compares) {
    expected.succeeded = expected.succeeded && evaluation.Holds(comparison);
  }
  for (const Action& action : expected.succeeded ? request.success : request.failure) {
    expected.results.push_back(evaluation.Run(action));
  }
  expected.changes = evaluation.TakeChanges();
  return expected;
}

std::string Difference(const Request& request, const Expectation& expected,
                       const revision::OpResult& answer) {
  if (!request.txn) return DifferentResult(expected.results.front(), answer);
  const auto* txn = std::get_if<revision::TxnResult>(&answer.v);
  if (txn == nullptr) return "no transaction";
  if (txn->succeeded != expected.succeeded) {
    return txn->succeeded ? "that its compares hold" : "that its compares do not hold";
  }
  if (txn->responses.size() != expected.results.size()) return "another number of results";
  for (size_t i = 0; i < expected.results.size(); ++i) {
    std::string different = DifferentResult(expected.results[i], txn->responses[i]);
    if (!different.empty()) return Cat("in result ", i, " ", different);
  }
  return {};
}

std::string Difference(const Action& range, const std::vector<const Version*>& kvs,
                       const revision::RangeResult& answer) {
  std::vector<Version> versions;
  versions.reserve(kvs.size());
  for (const Version* v : kvs) versions.push_back(*v);
  return DifferentRange(range, std::move(versions), answer);
}

Revision RevisionOf(const revision::OpResult& answer) {
  return std::visit([](const auto& result) { return result.revision; }, answer.v);
}

}  // namespace jetd::conformance::sim
