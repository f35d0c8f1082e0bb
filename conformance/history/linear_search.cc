// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/linear_search.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace jetd::conformance::history {
namespace {

bool Holds(const GroupOp::Guard& guard, const Values& values) {
  return (values[guard.key] == guard.value) == guard.equal;
}

bool Do(const GroupOp::Part& part, Values& values) {
  int64_t deleted = 0;
  for (size_t key = part.first; key <= part.last; ++key) {
    ValueId& value = values[key];
    if (!part.before.empty() && part.before[key - part.first] != value) return false;
    if (part.kind == Action::Kind::kPut) {
      value = part.value;
    } else if (part.kind == Action::Kind::kDelete && value != kAbsent) {
      value = kAbsent;
      ++deleted;
    }
  }
  return part.deleted < 0 || part.deleted == deleted;
}

// Whether the answer tells what was changed, so that it is the same wherever it is possible.
bool IsSettled(const GroupOp& op) {
  return std::all_of(op.parts.begin(), op.parts.end(), [](const GroupOp::Part& part) {
    return part.kind != Action::Kind::kDelete || part.deleted >= 0 || !part.before.empty();
  });
}

template <typename T>
void AppendBytes(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

bool Step(const GroupOp& op, Values& values) {
  const bool hold = std::all_of(op.guards.begin(), op.guards.end(),
                                [&](const GroupOp::Guard& guard) { return Holds(guard, values); });
  if (op.guarding == GroupOp::Guarding::kHold && !hold) return false;
  if (op.guarding == GroupOp::Guarding::kFail && hold) return false;
  const bool other = op.guarding == GroupOp::Guarding::kDecide && !hold;
  const std::vector<GroupOp::Part>& parts = other ? op.otherwise : op.parts;
  return std::all_of(parts.begin(), parts.end(),
                     [&](const GroupOp::Part& part) { return Do(part, values); });
}

// How far a search has come in a piece: all below `first_undone` and those of `done` are behind it.
struct LinearSearch::Place {
  size_t first_undone = 0;
  std::vector<bool> done;  // of first_undone and those after it; ends with true or is empty
  Used used;
  Values values;

  [[nodiscard]] bool IsDone(size_t op) const {
    return op < first_undone || (op - first_undone < done.size() && done[op - first_undone]);
  }
  void MarkDone(size_t op) {
    const size_t at = op - first_undone;
    if (at >= done.size()) done.resize(at + 1);
    done[at] = true;
    size_t prefix = 0;
    while (prefix < done.size() && done[prefix]) ++prefix;
    done.erase(done.begin(), done.begin() + static_cast<std::ptrdiff_t>(prefix));
    first_undone += prefix;
  }
  // Without `used`, which is compared on its own.
  [[nodiscard]] std::string Name() const {
    std::string name;
    AppendBytes(name, first_undone);
    AppendBytes(name, done.size());
    for (const ValueId value : values) AppendBytes(name, value);
    uint8_t byte = 0;
    for (size_t i = 0; i < done.size(); ++i) {
      byte = static_cast<uint8_t>(byte << 1U | (done[i] ? 1U : 0U));
      if (i % 8 == 7 || i + 1 == done.size()) {
        name.push_back(static_cast<char>(std::exchange(byte, 0)));
      }
    }
    return name;
  }
};

// Operations between two moments at which nothing was under way.
struct LinearSearch::Piece {
  const std::vector<GroupOp>& ops;
  const std::vector<GroupOp>& open;
  size_t first = 0, end = 0;  // of ops

  std::vector<Place> to_visit{};
  absl::flat_hash_map<std::string, std::vector<Used>> seen{};
  std::vector<Config> ends{};
  size_t furthest = 0;

  // Unless a way there that used no more is known.
  void Visit(Place place) {
    std::vector<Used>& known = seen[place.Name()];
    for (const Used& used : known) {
      if ((used & ~place.used).none()) return;
    }
    known.push_back(place.used);
    to_visit.push_back(std::move(place));
  }
};

LinearSearch::LinearSearch(Values initial, size_t budget) : budget_(budget) {
  Reset(std::move(initial));
}

void LinearSearch::Reset(Values values) { configs_ = {{std::move(values), {}}}; }

std::set<Values> LinearSearch::Ends() const {
  std::set<Values> ends;
  for (const Config& config : configs_) ends.insert(config.values);
  return ends;
}

LinearSearch::Verdict LinearSearch::Check(const std::vector<GroupOp>& ops,
                                          const std::vector<GroupOp>& open) {
  if (open.size() > kMaxOpen) return Verdict::kUndecided;
  for (size_t first = 0; first < ops.size();) {
    size_t end = first;
    int64_t busy_until = ops[first].return_ns;
    while (end < ops.size() && ops[end].call_ns <= busy_until) {
      busy_until = std::max(busy_until, ops[end++].return_ns);
    }
    Piece piece{.ops = ops, .open = open, .first = first, .end = end};
    if (const Verdict verdict = CheckPiece(piece); verdict != Verdict::kLinearizable) {
      return verdict;
    }
    configs_ = std::move(piece.ends);
    first = end;
  }
  // What was not used by now happened at the end, or not in this history.
  Piece tail{.ops = ops, .open = open, .first = ops.size(), .end = ops.size()};
  const Verdict verdict = CheckPiece(tail);
  configs_.clear();
  std::set<Values> ends;
  for (const Config& config : tail.ends) ends.insert(config.values);
  for (const Values& values : ends) configs_.push_back({values, {}});
  return verdict;
}

LinearSearch::Verdict LinearSearch::CheckPiece(Piece& piece) {
  stuck_ = {};
  for (const Config& config : configs_) {
    piece.Visit(
        {.first_undone = piece.first, .done = {}, .used = config.used, .values = config.values});
  }
  size_t places = 0;
  while (!piece.to_visit.empty()) {
    if (++places > budget_) return Verdict::kUndecided;
    const Place place = std::move(piece.to_visit.back());
    piece.to_visit.pop_back();
    Expand(piece, place);
  }
  visited_ += places;
  return piece.ends.empty() ? Verdict::kNot : Verdict::kLinearizable;
}

// Puts all places that can come next on the list. Those that use an operation of unknown fate go
// below the others, so that ways without them are found first.
void LinearSearch::Expand(Piece& piece, const Place& place) {
  if (place.first_undone == piece.end) piece.ends.push_back({place.values, place.used});
  int64_t first_return = std::numeric_limits<int64_t>::max();
  std::vector<size_t> candidates;
  for (size_t i = place.first_undone; i < piece.end && piece.ops[i].call_ns <= first_return; ++i) {
    if (place.IsDone(i)) continue;
    first_return = std::min(first_return, piece.ops[i].return_ns);
    candidates.push_back(i);
  }
  std::vector<Place> next;
  for (const size_t i : candidates) {
    Place after = place;
    if (!Step(piece.ops[i], after.values)) continue;
    const bool changes_nothing = IsSettled(piece.ops[i]) && after.values == place.values;
    after.MarkDone(i);
    if (changes_nothing) {
      piece.Visit(std::move(after));
      return;
    }
    next.push_back(std::move(after));
  }
  if (next.empty() && !candidates.empty()) NoteStuck(piece, place, candidates);
  // Between this piece and the next they are the next piece's matter.
  const bool may_use_open = !candidates.empty() || piece.end == piece.ops.size();
  for (size_t i = 0; may_use_open && i < piece.open.size(); ++i) {
    if (place.used[i] || piece.open[i].call_ns > first_return) continue;
    Place after = place;
    if (!Step(piece.open[i], after.values) || after.values == place.values) continue;
    after.used.set(i);
    piece.Visit(std::move(after));
  }
  for (auto it = next.rbegin(); it != next.rend(); ++it) piece.Visit(std::move(*it));
}

void LinearSearch::NoteStuck(Piece& piece, const Place& place, const std::vector<size_t>& next) {
  size_t done = place.first_undone - piece.first;
  done += static_cast<size_t>(std::count(place.done.begin(), place.done.end(), true));
  if (!stuck_.next.empty() && done <= piece.furthest) return;
  piece.furthest = done;
  stuck_ = {place.values, next};
}

}  // namespace jetd::conformance::history
