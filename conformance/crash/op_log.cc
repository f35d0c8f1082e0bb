// SPDX-License-Identifier: Apache-2.0
#include "conformance/crash/op_log.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/strings.h"

namespace jetd::conformance {
namespace {

constexpr size_t kMaxViolations = 50;

std::string Name(const WriteOp& op) { return Cat("write ", op.number, " of writer ", op.writer); }

std::string Name(const HistoryEvent& event) {
  return Cat(event.is_delete ? "delete of " : "put of ", event.key, " at revision ",
             event.revision);
}

}  // namespace

OpLog::OpLog(const std::vector<WriteOp>& ops) : ops_(ops) {}

void OpLog::Violation(const std::string& text) {
  if (violations_.size() < kMaxViolations) violations_.push_back(text);
}

std::vector<std::string> OpLog::Check(const std::vector<HistoryEvent>& history,
                                      const std::map<std::string, FinalKey>& final_state) {
  IndexHistory(history);
  for (const WriteOp& op : ops_) CheckOp(op);
  for (const auto& [key, events] : by_key_) CheckOrder(key, events);
  CheckVersions(history);
  std::map<std::string, FinalKey> expected;
  for (const HistoryEvent& event : history) {
    if (event.is_delete) {
      expected.erase(event.key);
    } else {
      expected[event.key] = {event.value, event.create_revision, event.revision, event.version};
    }
  }
  for (const auto& [key, value] : expected) {
    const auto found = final_state.find(key);
    if (found == final_state.end())
      Violation(Cat(key, " is missing at the end"));
    else if (!(found->second == value))
      Violation(Cat(key, " has another value at the end"));
  }
  for (const auto& [key, value] : final_state) {
    if (expected.count(key) == 0) Violation(Cat(key, " is there at the end, against the history"));
  }
  return violations_;
}

void OpLog::IndexHistory(const std::vector<HistoryEvent>& history) {
  int64_t last = 0;
  for (const HistoryEvent& event : history) {
    if (event.revision < last) Violation(Cat(Name(event), " comes after revision ", last));
    if (last != 0 && event.revision > last + 1) {
      Violation(Cat("no event between the revisions ", last, " and ", event.revision));
    }
    last = std::max(last, event.revision);
    if (!by_place_.emplace(std::pair(event.key, event.revision), &event).second) {
      Violation(Cat("two events: ", Name(event)));
    }
    by_key_[event.key].push_back(&event);
    if (event.is_delete) continue;
    const auto [other, fresh] = by_value_.emplace(event.value, &event);
    if (!fresh) Violation(Cat("one write twice: ", Name(event), " and ", Name(*other->second)));
  }
}

// The revision where the puts of `op` are, 0 if they are not.
int64_t OpLog::LandingOfPuts(const WriteOp& op) {
  std::set<int64_t> places;
  for (const KeyWrite& write : op.keys) {
    if (write.is_delete) continue;
    const auto found = by_value_.find(write.value);
    if (found == by_value_.end()) {
      places.insert(0);
      continue;
    }
    if (found->second->key != write.key) {
      Violation(Cat(Name(op), " is at another key: ", Name(*found->second)));
    }
    made_by_[found->second] = op.number;
    places.insert(found->second->revision);
  }
  if (places.size() > 1) {
    Violation(Cat(Name(op), " is torn: revisions ", *places.begin(), " and ", *places.rbegin(),
                  " (0: missing)"));
  }
  return places.empty() ? 0 : *places.rbegin();
}

void OpLog::CheckOp(const WriteOp& op) {
  const int64_t landed = LandingOfPuts(op);
  switch (op.outcome) {
    case Outcome::kAcked:
      ++counts_.acked;
      CheckAcked(op, landed);
      return;
    case Outcome::kRefused:
      ++counts_.refused;
      if (landed != 0) Violation(Cat(Name(op), " was refused (", op.error, ") and is there"));
      return;
    case Outcome::kUnknown:
      break;
  }
  ++counts_.unknown;
  if (landed != 0) ++counts_.unknown_landed;
  const bool has_put = std::any_of(op.keys.begin(), op.keys.end(),
                                   [](const KeyWrite& write) { return !write.is_delete; });
  for (const KeyWrite& write : op.keys) {
    if (!write.is_delete) continue;
    if (!has_put) {
      open_deletes_[write.key].push_back(op.number);
    } else if (landed != 0) {
      // Part of a transaction that is there: its event, if the key was there, is beside it.
      const auto found = by_place_.find({write.key, landed});
      if (found != by_place_.end()) made_by_[found->second] = op.number;
    }
  }
}

void OpLog::CheckAcked(const WriteOp& op, int64_t landed) {
  for (const KeyWrite& write : op.keys) {
    const auto found = by_place_.find({write.key, op.revision});
    if (!write.had_effect) continue;
    if (found == by_place_.end()) {
      Violation(Cat(Name(op), " was answered with revision ", op.revision, " and ", write.key,
                    landed == 0 ? " is missing there" : " is elsewhere"));
    } else if (found->second->is_delete != write.is_delete || found->second->value != write.value) {
      Violation(Cat(Name(op), " was answered, and another write is there: ", Name(*found->second)));
    } else {
      made_by_[found->second] = op.number;
    }
  }
}

// Events of a key come in their writer's order, and each was made by somebody.
void OpLog::CheckOrder(const std::string& key, const std::vector<const HistoryEvent*>& events) {
  int previous = -1;
  std::vector<int>& open = open_deletes_[key];
  std::sort(open.begin(), open.end());
  for (const HistoryEvent* event : events) {
    const auto made = made_by_.find(event);
    int number = -1;
    if (made != made_by_.end()) {
      number = made->second;
    } else if (event->is_delete) {
      // One of the deletes of unknown fate, the first that can be it.
      const auto candidate = std::upper_bound(open.begin(), open.end(), previous);
      if (candidate != open.end()) number = *candidate;
    }
    if (number < 0) {
      Violation(Cat("nobody's: ", Name(*event)));
    } else if (number <= previous) {
      Violation(Cat(Name(*event), ": write ", number, " comes after write ", previous));
    }
    previous = std::max(previous, number);
  }
}

// The events of the same key before `event`, newest first, a few of them.
std::string OpLog::Before(const HistoryEvent& event) const {
  std::string text;
  int count = 0;
  const std::vector<const HistoryEvent*>& events = by_key_.at(event.key);
  for (auto it = events.rbegin(); it != events.rend() && count < 4; ++it) {
    if ((*it)->revision >= event.revision) continue;
    CatTo(text, count == 0 ? "" : ", ", (*it)->is_delete ? "delete " : "put ", (*it)->revision);
    ++count;
  }
  return count == 0 ? "nothing" : text;
}

void OpLog::CheckVersions(const std::vector<HistoryEvent>& history) {
  std::map<std::string_view, FinalKey> now;
  for (const HistoryEvent& event : history) {
    const auto before = now.find(event.key);
    if (event.is_delete) {
      if (before == now.end())
        Violation(Cat("nothing to delete: ", Name(event)));
      else
        now.erase(before);
      continue;
    }
    const int64_t version = before == now.end() ? 1 : before->second.version + 1;
    const int64_t created = before == now.end() ? event.revision : before->second.create_revision;
    if (event.version != version || event.create_revision != created) {
      Violation(Cat(Name(event), " has version ", event.version, " and create revision ",
                    event.create_revision, ", not ", version, " and ", created,
                    "; before it: ", Before(event)));
    }
    now[event.key] = {"", created, event.revision, version};
  }
}

}  // namespace jetd::conformance
