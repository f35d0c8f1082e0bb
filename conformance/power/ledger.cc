// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/ledger.h"

#include <algorithm>
#include <set>

#include "base/strings.h"

namespace jetd::conformance::power {
namespace {

constexpr size_t kMaxViolations = 40;

std::string Name(const WriteOp& op) {
  std::string keys;
  for (const KeyWrite& write : op.keys) {
    CatTo(keys, keys.empty() ? "" : ", ", write.is_delete ? "-" : "", write.key);
  }
  return Cat("write ", op.number, " of writer ", op.writer, " (", keys, ")");
}

std::string Name(const HistoryEvent& event) {
  return Cat(event.is_delete ? "delete of " : "put of ", event.key, " at revision ",
             event.revision);
}

}  // namespace

void Ledger::Counts::Add(const Counts& more) {
  acked += more.acked;
  refused += more.refused;
  unknown += more.unknown;
  unknown_landed += more.unknown_landed;
  lost += more.lost;
  came_back += more.came_back;
  half += more.half;
  other += more.other;
}

void Ledger::Wrong(uint64_t* count, const std::string& what) {
  ++*count;
  if (violations_.size() < kMaxViolations) violations_.push_back(what);
}

void Ledger::NoteWrong(std::string_view what) { Wrong(&counts_.other, std::string(what)); }

void Ledger::Settle(const std::vector<WriteOp>& ops, const std::vector<HistoryEvent>& events,
                    const State& found, int64_t head) {
  Round round{.events = events, .found = found, .head = head};
  round.claimed.resize(events.size());
  for (size_t i = 0; i < events.size(); ++i) {
    round.by_place[{events[i].key, events[i].revision}] = i;
    if (events[i].is_delete) continue;
    if (!round.by_value.emplace(events[i].value, i).second) {
      NoteWrong(Cat("one write twice: ", Name(events[i])));
    }
  }
  CheckRevisions(round);
  for (const WriteOp& op : ops) {
    if (op.outcome == Outcome::kAcked) CheckAcked(op, &round);
  }
  // What was answered has its events by now; what is left is of those that were not.
  for (const WriteOp& op : ops) {
    if (op.outcome == Outcome::kUnknown) CheckUnknown(op, &round);
    if (op.outcome == Outcome::kRefused) CheckRefused(op, round);
  }
  for (size_t i = 0; i < events.size(); ++i) {
    if (!round.claimed[i]) NoteWrong(Cat("nobody's: ", Name(events[i])));
  }
  Compare(Fold(round), round);
  state_ = found;
  revision_ = head;
}

void Ledger::CheckRevisions(const Round& round) {
  if (round.head < revision_) {
    NoteWrong(Cat("the revision went back from ", revision_, " to ", round.head));
    return;
  }
  int64_t last = revision_;
  for (const HistoryEvent& event : round.events) {
    if (event.revision < last) NoteWrong(Cat(Name(event), " comes after revision ", last));
    if (event.revision > last + 1) {
      NoteWrong(Cat("no event between the revisions ", last, " and ", event.revision));
    }
    last = std::max(last, event.revision);
  }
  if (last != round.head) {
    NoteWrong(Cat("the revision is ", round.head, ", the newest event has ", last));
  }
}

void Ledger::CheckAcked(const WriteOp& op, Round* round) {
  ++counts_.acked;
  size_t there = 0;
  std::string missing;
  bool back = false;
  for (const KeyWrite& write : op.keys) {
    if (!write.had_effect) continue;
    const auto place = round->by_place.find({write.key, op.revision});
    if (place != round->by_place.end()) {
      const HistoryEvent& event = round->events[place->second];
      if (event.is_delete == write.is_delete && event.value == write.value) {
        round->claimed[place->second] = true;
        ++there;
        continue;
      }
    }
    if (missing.empty()) missing = write.key;
    const auto now = round->found.find(write.key);
    back = back ||
           (write.is_delete && now != round->found.end() && now->second.mod_revision < op.revision);
  }
  if (missing.empty()) return;
  const std::string what =
      Cat(Name(op), " was answered with revision ", op.revision, " and ", missing, " is missing");
  Wrong(there > 0 ? &counts_.half : &counts_.lost, what);
  if (back) Wrong(&counts_.came_back, Cat(missing, " is back; ", what));
}

void Ledger::CheckRefused(const WriteOp& op, const Round& round) {
  ++counts_.refused;
  for (const KeyWrite& write : op.keys) {
    if (!write.is_delete && round.by_value.count(write.value) > 0) {
      NoteWrong(Cat(Name(op), " was refused (", op.error, ") and is there"));
    }
  }
}

int64_t Ledger::LandingOfPuts(const WriteOp& op, Round* round) {
  std::set<int64_t> places;
  for (const KeyWrite& write : op.keys) {
    if (write.is_delete) continue;
    const auto found = round->by_value.find(write.value);
    if (found == round->by_value.end() || round->events[found->second].key != write.key) {
      places.insert(0);
      continue;
    }
    round->claimed[found->second] = true;
    places.insert(round->events[found->second].revision);
  }
  return places.size() == 1 ? *places.begin() : -1;
}

// The revision of a delete of one of its keys that nobody else made, 0 if there is none.
int64_t Ledger::LandingOfDeletes(const WriteOp& op, const Round& round) {
  for (size_t i = round.events.size(); i-- > 0;) {
    const HistoryEvent& event = round.events[i];
    if (!event.is_delete || round.claimed[i]) continue;
    for (const KeyWrite& write : op.keys) {
      if (write.key == event.key) return event.revision;
    }
  }
  return 0;
}

bool Ledger::WasThere(const std::string& key, int64_t before, const Round& round) const {
  bool there = state_.count(key) > 0;
  for (const HistoryEvent& event : round.events) {
    if (event.revision >= before) break;
    if (event.key == key) there = !event.is_delete;
  }
  return there;
}

void Ledger::CheckUnknown(const WriteOp& op, Round* round) {
  ++counts_.unknown;
  const bool has_put = std::any_of(op.keys.begin(), op.keys.end(),
                                   [](const KeyWrite& write) { return !write.is_delete; });
  int64_t landed = has_put ? LandingOfPuts(op, round) : 0;
  bool half = landed < 0;
  if (landed == 0) {
    landed = LandingOfDeletes(op, *round);
    half = has_put && landed != 0;
  }
  if (landed == 0) return;
  ++counts_.unknown_landed;
  for (const KeyWrite& write : op.keys) {
    if (!write.is_delete) continue;
    const auto place = round->by_place.find({write.key, landed});
    if (place != round->by_place.end() && round->events[place->second].is_delete) {
      round->claimed[place->second] = true;
    } else {
      half = half || WasThere(write.key, landed, *round);
    }
  }
  if (half) Wrong(&counts_.half, Cat(Name(op), ", not answered, is there in part"));
}

Ledger::State Ledger::Fold(const Round& round) {
  State now = state_;
  for (const HistoryEvent& event : round.events) {
    const auto before = now.find(event.key);
    if (event.is_delete) {
      if (before == now.end()) {
        NoteWrong(Cat("nothing to delete: ", Name(event)));
      } else {
        now.erase(before);
      }
      continue;
    }
    const int64_t version = before == now.end() ? 1 : before->second.version + 1;
    const int64_t created = before == now.end() ? event.revision : before->second.create_revision;
    if (event.version != version || event.create_revision != created) {
      NoteWrong(Cat(Name(event), " has version ", event.version, " and create revision ",
                    event.create_revision, ", not ", version, " and ", created));
    }
    now[event.key] = {event.value, event.create_revision, event.revision, event.version};
  }
  return now;
}

void Ledger::Compare(const State& expected, const Round& round) {
  for (const auto& [key, value] : expected) {
    const auto now = round.found.find(key);
    if (now == round.found.end()) {
      Wrong(&counts_.lost, Cat(key, " of revision ", value.mod_revision, " is missing now"));
    } else if (!(now->second == value)) {
      Wrong(&counts_.lost, Cat(key, " has revision ", now->second.mod_revision,
                               " and another value now, not that of ", value.mod_revision));
    }
  }
  for (const auto& [key, value] : round.found) {
    if (expected.count(key) > 0) continue;
    Wrong(&counts_.came_back, Cat(key, " of revision ", value.mod_revision, " is there now"));
  }
}

}  // namespace jetd::conformance::power
