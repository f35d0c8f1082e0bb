// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_LINEAR_SEARCH_H_
#define JETD_CONFORMANCE_HISTORY_LINEAR_SEARCH_H_

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

#include "conformance/history/operation.h"

namespace jetd::conformance::history {

// What a few keys hold, by position in their group.
using Values = std::vector<ValueId>;

// An operation on a few keys, in values alone: it is either what a client was answered, or what a
// request of unknown fate would do.
struct GroupOp {
  struct Guard {
    size_t key = 0;
    ValueId value = kAbsent;
    bool equal = true;
  };
  struct Part {
    Action::Kind kind = Action::Kind::kGet;
    size_t first = 0, last = 0;
    ValueId value = kAbsent;
    // What the answer says that the keys held before, one for each; empty: it does not say.
    Values before{};
    int64_t deleted = -1;  // -1: the answer does not say
  };
  // kHold, kFail: the answer says that all guards held, that not all did, and `parts` is what was
  // done. kAny: it cannot be judged by these keys. kDecide: they choose `parts` or `otherwise`.
  enum class Guarding { kHold, kFail, kAny, kDecide };

  int64_t call_ns = 0;
  int64_t return_ns = std::numeric_limits<int64_t>::max();
  Guarding guarding = Guarding::kAny;
  std::vector<Guard> guards{};
  std::vector<Part> parts{};
  std::vector<Part> otherwise{};
};

// Takes the step. False: in this state the answer could not have been given; `values` is then
// undefined.
[[nodiscard]] bool Step(const GroupOp& op, Values& values);

// LinearSearch looks for an order of operations on a few keys that explains all answers and keeps
// real time: an operation that returned before another was called comes first. It trusts nothing
// that the server says about order, revisions least of all.
//
// It is the search of Wing and Gong with Lowe's memory of where it has been, with three things that
// let it run over histories of any length:
//   - the history is cut wherever nothing is under way; each piece starts from every state in which
//     the one before could have ended;
//   - an operation that is possible now and, by its answer, changes nothing is taken at once:
//     waiting for it never helps;
//   - operations of unknown fate are optional; of two ways to the same place, the one that used
//     fewer of them is enough.
// One thread.
class LinearSearch {
 public:
  static constexpr size_t kMaxOpen = 256;
  enum class Verdict { kLinearizable, kNot, kUndecided };

  // `budget`: so many places in one piece are looked at before the search gives up.
  LinearSearch(Values initial, size_t budget);

  // `ops` were answered; sorted by call. `open` may have happened after their call, all before the
  // end of this history, or not at all; at most kMaxOpen of them count, more are undecided. May be
  // called again with what comes after.
  [[nodiscard]] Verdict Check(const std::vector<GroupOp>& ops, const std::vector<GroupOp>& open);

  // After kNot: the furthest that the search came: what the keys held, and the operations, by
  // position, none of which could be next.
  struct Stuck {
    Values values;
    std::vector<size_t> next;
  };
  [[nodiscard]] const Stuck& stuck() const { return stuck_; }

  // Go on from this state, after kNot or kUndecided.
  void Reset(Values values);
  // Those in which the history so far may have ended.
  [[nodiscard]] std::set<Values> Ends() const;
  [[nodiscard]] size_t visited() const { return visited_; }

 private:
  using Used = std::bitset<kMaxOpen>;
  struct Config {
    Values values;
    Used used;
  };
  struct Piece;
  struct Place;

  [[nodiscard]] Verdict CheckPiece(Piece& piece);
  void Expand(Piece& piece, const Place& place);
  void NoteStuck(Piece& piece, const Place& place, const std::vector<size_t>& next);

  const size_t budget_;
  std::vector<Config> configs_;
  Stuck stuck_;
  size_t visited_ = 0;
};

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_LINEAR_SEARCH_H_
