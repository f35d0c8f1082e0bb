// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_RUN_H_
#define JETD_CONFORMANCE_SIM_RUN_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/fake_executor.h"
#include "base/strings.h"
#include "conformance/sim/random.h"

namespace jetd::conformance::sim {

// Whose stream it is. A seed chooses one unless the options do.
enum class Server {
  kOutside,     // a server of others, one replica: members contend, late records, foreign writers
  kReplicated,  // the same with three replicas: its leader may be cut off from the others
  kEmbedded,    // jetd's own: one member at a time, power cuts, checkpoints
};

struct SimOptions {
  size_t steps = 1'000;
  size_t members = 3;  // that live at a time, at most, where several may
  std::optional<Server> server;
  // Whether members know of each other, as on a server of others they do, or contend blindly.
  std::optional<bool> together;
  // Gets a line for all that happens.
  std::function<void(const std::string& line)> trace;
};

// What was done in one run or in many.
struct Tally {
  uint64_t steps = 0;
  uint64_t writes = 0;   // answered OK, and judged
  uint64_t reads = 0;    // likewise
  uint64_t leases = 0;   // likewise: grants, keepalives, …
  uint64_t alarms = 0;   // likewise: changes and lists of them
  uint64_t refused = 0;  // answered with an error
  uint64_t unknown = 0;  // that nobody was told of
  uint64_t unknown_landed = 0;
  uint64_t events = 0;  // of watches
  uint64_t watches = 0;
  uint64_t progress = 0;   // promises that a watch has all up to a revision
  uint64_t compacted = 0;  // watches canceled so
  uint64_t expired = 0;    // leases that ended by themselves
  uint64_t leaders = 0;
  uint64_t followers = 0;       // how often a member began to follow
  uint64_t forwarded = 0;       // writes that a follower brought to its leader
  uint64_t follower_reads = 0;  // of the reads: linearizable, through a member that followed
  uint64_t from_checkpoint = 0;
  uint64_t voids = 0;
  uint64_t garbage = 0;  // records that are left at the end and count for nothing
  std::map<std::string, uint64_t, std::less<>> faults;

  void Add(const Tally& other);
  // One line.
  [[nodiscard]] std::string Text() const;
};

// What the parts of one run share: time, chance, and the first thing that was wrong.
// One thread; outlives all other parts.
class Run {
 public:
  Run(uint64_t seed, const SimOptions& options) : random(seed), options_(options) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // Ask before making text that costs something.
  [[nodiscard]] bool tracing() const { return static_cast<bool>(options_.trace); }
  template <typename... Pieces>
  void Trace(const Pieces&... pieces) {
    if (options_.trace) options_.trace(Cat(Where(), pieces...));
  }
  // Something is wrong. The first one counts.
  template <typename... Pieces>
  void Fail(const Pieces&... pieces) {
    if (!failure_.empty()) return;
    failure_ = Cat(Where(), pieces...);
    if (options_.trace) options_.trace(Cat("WRONG ", failure_));
  }
  void Fault(std::string_view kind) {
    ++tally.faults[std::string(kind)];
    Trace("fault: ", kind);
  }
  // The stream may refuse for lack of room.
  void SetMayBeFull() { may_be_full_ = true; }
  [[nodiscard]] bool may_be_full() const { return may_be_full_; }
  // From now on nothing goes wrong, and who asks has to get through: no answer may be that there is
  // no leader, no room, no connection or no time.
  void SetCalm(bool calm) { calm_ = calm; }
  // A client was told so. False: nobody would say that now.
  [[nodiscard]] bool MayHear(Errc why) const {
    return !calm_ ||
           (why != Errc::kTimeout && why != Errc::kUnavailable && why != Errc::kNoLeader &&
            why != Errc::kNoSpace && why != Errc::kTooManyRequests && why != Errc::kStopped);
  }
  [[nodiscard]] bool failed() const { return !failure_.empty(); }
  [[nodiscard]] const std::string& failure() const { return failure_; }

  // Two runs of a seed that did the same have the same.
  void Mix(uint64_t number) {
    digest_ = (digest_ ^ number) * 0x100000001b3;
    digest_ ^= digest_ >> 29;
  }
  [[nodiscard]] uint64_t digest() const { return digest_; }

  FakeExecutor exec;
  Random random;
  Tally tally;

 private:
  [[nodiscard]] std::string Where() const {
    return Cat("step ", tally.steps, " at ", exec.Now().count() / 1'000, " us: ");
  }

  const SimOptions& options_;
  bool may_be_full_ = false;
  bool calm_ = false;
  std::string failure_;
  uint64_t digest_ = 0xcbf29ce484222325;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_RUN_H_
