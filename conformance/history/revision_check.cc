// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/revision_check.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/strings.h"

namespace jetd::conformance::history {
namespace {

template <typename Fn>
void ForEachPut(const Request& request, const Fn& fn) {
  for (const auto* actions : {&request.success, &request.failure}) {
    for (const Action& action : *actions) {
      if (action.kind == Action::Kind::kPut) fn(action.value);
    }
  }
}

// How many keys it may change: of several deletes that may have been it, the one that can do least
// else is the safe choice.
KeyId Width(const Request& request) {
  KeyId width = 0;
  for (const auto* actions : {&request.success, &request.failure}) {
    for (const Action& action : *actions) width += action.last - action.first + 1;
  }
  return width;
}

}  // namespace

// What was seen before a moment.
class RevisionCheck::Floors {
 public:
  Floors(int64_t before, const Window& window) : before_(before) {
    seen_ = window.sightings;
    for (const Operation& operation : window.operations) {
      if (operation.fate == Fate::kAnswered) {
        seen_.push_back({operation.return_ns, operation.revision});
      }
    }
    std::sort(seen_.begin(), seen_.end(),
              [](const Sighting& a, const Sighting& b) { return a.time_ns < b.time_ns; });
    int64_t highest = before;
    for (Sighting& sighting : seen_) {
      highest = sighting.revision = std::max(highest, sighting.revision);
    }
  }

  [[nodiscard]] int64_t At(int64_t time_ns) const {
    const auto next = std::lower_bound(
        seen_.begin(), seen_.end(), time_ns,
        [](const Sighting& sighting, int64_t time) { return sighting.time_ns < time; });
    return next == seen_.begin() ? before_ : std::prev(next)->revision;
  }
  [[nodiscard]] int64_t AtEnd() const { return At(std::numeric_limits<int64_t>::max()); }

 private:
  const int64_t before_;
  std::vector<Sighting> seen_;  // by time, each with the highest revision up to it
};

RevisionCheck::RevisionCheck(size_t keys, int64_t revision)
    : state_(keys),
      revision_(revision),
      floor_(revision),
      old_state_(keys),
      old_revision_(revision) {}

void RevisionCheck::Check(const Window& window) {
  const Floors floors(floor_, window);
  landed_.clear();
  Sort(window, floors);

  // Reads of the window before, then this one's truth, revision by revision.
  State old_state = old_state_;
  CheckReadsAt(old_revision_, old_state);
  for (const Transaction& transaction : old_truth_) {
    Apply(transaction.changes, old_state);
    CheckReadsAt(transaction.revision, old_state);
  }
  old_state_ = state_;
  old_revision_ = revision_;
  CheckReadsAt(revision_, state_);
  for (const Transaction& transaction : window.truth) {
    if (transaction.revision != revision_ + 1) {
      violations_.Add("history", Cat(Text(transaction), " follows revision ", revision_));
    }
    CheckTransaction(transaction);
    revision_ = transaction.revision;
    Apply(transaction.changes, state_);
    CheckReadsAt(revision_, state_);
  }
  old_truth_ = window.truth;
  for (; next_write_ < writes_.size(); ++next_write_) {
    violations_.Add("lost write", Cat("the store ends at revision ", revision_, ", without ",
                                      Text(*writes_[next_write_].operation)));
  }
  for (; next_read_ < reads_.size(); ++next_read_) {
    violations_.Add("lost write", Cat("the store ends at revision ", revision_, ", below ",
                                      Text(*reads_[next_read_].operation)));
  }
  floor_ = floors.AtEnd();
  if (floor_ > revision_) {
    violations_.Add("lost write",
                    Cat("revision ", floor_, " was seen; the store ends at ", revision_));
  }
}

// Sorts the operations by what is to be asked of them.
void RevisionCheck::Sort(const Window& window, const Floors& floors) {
  writes_.clear();
  reads_.clear();
  writer_of_.clear();
  next_write_ = next_read_ = 0;
  for (const Operation& operation : window.operations) {
    if (operation.fate == Fate::kUnknown) {
      ++counts_.unknown;
      open_.push_back({operation, floors.At(operation.call_ns)});
      continue;
    }
    ForEachPut(operation.request, [&](ValueId value) { writer_of_[value] = &operation; });
    if (operation.fate == Fate::kRefused) {
      ++counts_.refused;
      continue;
    }
    if (!operation.malformed.empty()) {
      violations_.Add("malformed answer", Cat(operation.malformed, ": ", Text(operation)));
      continue;
    }
    CheckTimes(operation, floors);
    if (SaysItChanged(operation)) {
      ++counts_.writes;
      writes_.push_back({operation.revision, &operation});
      continue;
    }
    ++counts_.reads;
    const int64_t at = operation.request.at_revision;
    const int64_t revision = at == 0 ? operation.revision : at;
    if (revision < old_revision_ && (at != 0 || operation.request.serializable)) {
      ++counts_.too_old;
    } else {
      reads_.push_back({revision, &operation});
    }
  }
  std::stable_sort(writes_.begin(), writes_.end());
  std::stable_sort(reads_.begin(), reads_.end());
}

void RevisionCheck::CheckTimes(const Operation& operation, const Floors& floors) {
  const int64_t floor = floors.At(operation.call_ns);
  if (SaysItChanged(operation)) {
    if (operation.revision <= floor) {
      violations_.Add(
          "order", Cat("revision ", floor, " was seen before the write began: ", Text(operation)));
    }
  } else if (!operation.request.serializable && operation.revision < floor) {
    violations_.Add("stale read",
                    Cat("revision ", floor, " was seen before the read began: ", Text(operation)));
  }
}

void RevisionCheck::CheckReadsAt(int64_t revision, const State& state) {
  for (; next_read_ < reads_.size() && reads_[next_read_].revision <= revision; ++next_read_) {
    CheckRead(*reads_[next_read_].operation, state, revision);
  }
}

void RevisionCheck::CheckRead(const Operation& operation, const State& state, int64_t revision) {
  const Effect effect = Execute(operation.request, state, revision + 1);
  if (effect.succeeded != operation.succeeded || effect.answers != operation.answers ||
      !effect.changes.empty()) {
    std::string expected;
    for (const ActionAnswer& answer : effect.answers) CatTo(expected, " ", Text(answer), ";");
    violations_.Add("wrong read",
                    Cat("at revision ", revision, " there was",
                        effect.succeeded ? "" : " (failing)", expected, " not ", Text(operation)));
  }
}

void RevisionCheck::CheckTransaction(const Transaction& transaction) {
  // Answers below this revision have no transaction of their own any more.
  for (; next_write_ < writes_.size() && writes_[next_write_].revision < transaction.revision;
       ++next_write_) {
    violations_.Add("lost write",
                    Cat("no transaction is left for ", Text(*writes_[next_write_].operation)));
  }
  if (next_write_ == writes_.size() || writes_[next_write_].revision > transaction.revision) {
    CheckUnclaimed(transaction);
    return;
  }
  const Operation& owner = *writes_[next_write_++].operation;
  CheckOwner(owner, transaction);
}

void RevisionCheck::CheckOwner(const Operation& owner, const Transaction& transaction) {
  const Effect effect = Execute(owner.request, state_, transaction.revision);
  if (effect.changes != transaction.changes) {
    violations_.Add("wrong write",
                    Cat(Text(transaction), " is not what was asked for by ", Text(owner)));
  } else if (effect.succeeded != owner.succeeded || effect.answers != owner.answers) {
    violations_.Add("wrong answer", Cat("before ", Text(transaction), ": ", Text(owner)));
  }
}

void RevisionCheck::CheckUnclaimed(const Transaction& transaction) {
  if (ClaimByValue(transaction) || ClaimDelete(transaction)) return;
  for (const Change& change : transaction.changes) {
    const auto writer = writer_of_.find(change.state.value);
    if (writer == writer_of_.end()) continue;
    const Operation& operation = *writer->second;
    violations_.Add(operation.fate == Fate::kRefused ? "refused write" : "write elsewhere",
                    Cat(Text(transaction), " is of ", Text(operation)));
    return;
  }
  violations_.Add("nobody's write", Text(transaction));
}

bool RevisionCheck::ClaimByValue(const Transaction& transaction) {
  for (const Change& change : transaction.changes) {
    if (change.state.value == kAbsent) continue;
    for (size_t i = 0; i < open_.size(); ++i) {
      bool found = false;
      ForEachPut(open_[i].operation.request,
                 [&](ValueId value) { found = found || value == change.state.value; });
      if (!found) continue;
      Claim(i, transaction);
      return true;
    }
    return false;
  }
  return false;
}

bool RevisionCheck::ClaimDelete(const Transaction& transaction) {
  size_t best = open_.size();
  for (size_t i = 0; i < open_.size(); ++i) {
    const Request& request = open_[i].operation.request;
    if (open_[i].floor >= transaction.revision) continue;
    if (best < open_.size() && Width(request) >= Width(open_[best].operation.request)) continue;
    if (Execute(request, state_, transaction.revision).changes == transaction.changes) best = i;
  }
  if (best == open_.size()) return false;
  Claim(best, transaction);
  return true;
}

void RevisionCheck::Claim(size_t open, const Transaction& transaction) {
  const Operation& operation = open_[open].operation;
  if (open_[open].floor >= transaction.revision) {
    violations_.Add("order", Cat("revision ", open_[open].floor, " was seen before it began: ",
                                 Text(operation), " is ", Text(transaction)));
  }
  if (Execute(operation.request, state_, transaction.revision).changes != transaction.changes) {
    violations_.Add("wrong write",
                    Cat(Text(transaction), " is not what was asked for by ", Text(operation)));
  }
  ++counts_.unknown_landed;
  landed_.push_back(std::move(open_[open].operation));
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(open));
}

}  // namespace jetd::conformance::history
