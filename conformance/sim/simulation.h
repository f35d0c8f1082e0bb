// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_SIMULATION_H_
#define JETD_CONFORMANCE_SIM_SIMULATION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conformance/sim/kv_clients.h"
#include "conformance/sim/lease_book.h"
#include "conformance/sim/lease_clients.h"
#include "conformance/sim/ledger.h"
#include "conformance/sim/run.h"
#include "conformance/sim/sim_member.h"
#include "conformance/sim/watch_clients.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "revision/value_harness.h"

namespace jetd::conformance::sim {

// Simulation is one run of a seed: members on one stream, clients of all kinds, faults of all
// kinds, and time that only it moves. All chance comes from the seed, so a run repeats exactly.
//
// A seed also chooses which kinds of faults there are and how fast things go, so that some seeds
// have one kind only: a bug that shows under lost connections may be hidden where members are
// killed all the time.
class Simulation {
 public:
  Simulation(uint64_t seed, const SimOptions& options);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  // All of it, once: the steps, then a calm in which everything settles, then the judgement.
  // Ends at the first thing that is wrong.
  void Go();
  [[nodiscard]] const Run& run() const { return run_; }

 private:
  // Which faults there are, in this run; and how far things stretch.
  struct Mood {
    bool breaks = false;      // connections
    bool late = false;        // what a lost connection had in some buffer lands later, or twice
    bool refusals = false;    // too many requests
    bool full = false;        // no room in the stream
    bool kills = false;       // also in the middle of a step
    bool stops = false;       // in order
    bool rivals = false;      // members that take over from one that lives
    bool foreigners = false;  // who write past jetd
    bool stalls = false;      // of the whole process: timers are late
    bool slow = false;        // answers that take long now and then
    bool cuts = false;        // stream leaders cut off from their followers
    bool compacts = false;
    bool leases = false;
    bool watches = false;
    std::chrono::nanoseconds leg{};   // the longest way of a message, usually
    std::chrono::nanoseconds pace{};  // the longest time between two steps, usually
  };

  void ChooseMood();
  void Step();
  void Act(size_t what);
  // Members (simulation_members.cc).
  void Start();
  [[nodiscard]] jetstream::MemoryLog::Options LogOptions();
  [[nodiscard]] std::string NewFolder();
  [[nodiscard]] std::optional<size_t> ValueBudget();
  // A member whose clients may ask it something; most often the newest. Null: there is none.
  [[nodiscard]] SimMember* Serving();
  [[nodiscard]] SimMember* Leader() const;
  enum class End { kKilled, kStopped };
  void EndMember(size_t which, End end);
  void PowerCut();
  // Destroys the members that ended long enough ago.
  void Bury();
  // Runs `fn` on a member if it still lives then.
  void LaterOn(std::chrono::nanoseconds delay, SimMember* member,
               std::function<void(SimMember*)> fn);

  // Faults (simulation_faults.cc).
  void Fault();
  void BreakConnection();
  void ScheduleKill();
  // Once so many rounds of deferred work have run.
  void KillAfter(size_t deferred, const std::string& name);
  void FillUp();
  void CutOff();
  void WriteForeign();
  [[nodiscard]] jetstream::AppendFate Fate();
  [[nodiscard]] std::chrono::nanoseconds Way();

  // The end (simulation_end.cc).
  void Calm();
  bool SettleLeader();
  void DrainWatches();
  void StartOver();
  void LoseTail();

  const SimOptions options_;
  Run run_;
  const Server server_;
  const bool embedded_;
  const bool files_;  // most values are in files
  Mood mood_;
  bool calm_ = false;

  Ledger ledger_;
  LeaseBook book_;
  jetstream::MemoryStream stream_;
  KvClients kv_;
  LeaseClients lease_clients_;
  // For values and checkpoints; saved_ are copies that hold a checkpoint. They outlive members.
  std::vector<std::unique_ptr<revision::ScratchFolder>> folders_, saved_;
  std::vector<std::unique_ptr<SimMember>> live_, ended_;
  WatchClients watches_;
  size_t started_ = 0;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_SIMULATION_H_
