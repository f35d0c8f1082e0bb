// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_POWER_LEDGER_H_
#define JETD_CONFORMANCE_POWER_LEDGER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conformance/crash/op_log.h"

namespace jetd::conformance::power {

// Ledger knows what the store must hold, and judges it each time that it is settled: what was sent
// and answered since the last time, against the events since then and all keys of now.
//
//   settled at revision 7 with {a: "1"};  put a "2" was answered with 8, put b "3" was not answered
//   events: 8 put a "2"                    now {a: "2"}          all is well
//   events: 8 put a "2", 9 put b "3"       now {a: "2", b: "3"}  so it is
//   events: none                           now {a: "1"}          one answered write is lost
//
// Every key belongs to one writer, which writes one after the other and stops at the first write
// whose fate it does not know. So all is known again after each settling; what was found wrong is
// taken as it is then, and counts once.
//
// A plain value.
class Ledger {
 public:
  using State = std::map<std::string, FinalKey>;
  struct Counts {
    uint64_t acked = 0;
    uint64_t refused = 0;
    uint64_t unknown = 0;
    uint64_t unknown_landed = 0;
    uint64_t lost = 0;       // answered, and not there
    uint64_t came_back = 0;  // keys whose deletion was answered, and that are there
    uint64_t half = 0;       // transactions of which a part is there
    uint64_t other = 0;      // all else that is wrong
    [[nodiscard]] uint64_t wrong() const { return lost + came_back + half + other; }
    void Add(const Counts& more);
  };

  // `events` are those of revisions above revision(), in the order of a watch; `found` is what a
  // read at revision `head` shows.
  void Settle(const std::vector<WriteOp>& ops, const std::vector<HistoryEvent>& events,
              const State& found, int64_t head);
  // Something that others found.
  void NoteWrong(std::string_view what);

  [[nodiscard]] int64_t revision() const { return revision_; }
  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }
  // One line each, the first ones of all.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

 private:
  // What is being settled.
  struct Round {
    const std::vector<HistoryEvent>& events;
    const State& found;
    int64_t head;
    std::map<std::pair<std::string_view, int64_t>, size_t> by_place{};
    std::map<std::string_view, size_t> by_value{};
    std::vector<bool> claimed{};
  };

  void Wrong(uint64_t* count, const std::string& what);
  void CheckRevisions(const Round& round);
  void CheckAcked(const WriteOp& op, Round* round);
  void CheckUnknown(const WriteOp& op, Round* round);
  void CheckRefused(const WriteOp& op, const Round& round);
  // The revision of the puts of `op`: 0 if none is there, -1 if only some are.
  static int64_t LandingOfPuts(const WriteOp& op, Round* round);
  static int64_t LandingOfDeletes(const WriteOp& op, const Round& round);
  [[nodiscard]] bool WasThere(const std::string& key, int64_t before, const Round& round) const;
  [[nodiscard]] State Fold(const Round& round);
  void Compare(const State& expected, const Round& round);

  int64_t revision_ = 1;
  State state_;
  Counts counts_;
  std::vector<std::string> violations_;
};

}  // namespace jetd::conformance::power

#endif  // JETD_CONFORMANCE_POWER_LEDGER_H_
