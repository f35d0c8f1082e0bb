// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_SIMULATION_H_
#define JETD_CONFORMANCE_SIM_SIMULATION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/testing/scratch_folder.h"
#include "conformance/sim/alarm_clients.h"
#include "conformance/sim/courier.h"
#include "conformance/sim/kv_clients.h"
#include "conformance/sim/lease_book.h"
#include "conformance/sim/lease_clients.h"
#include "conformance/sim/ledger.h"
#include "conformance/sim/run.h"
#include "conformance/sim/sim_member.h"
#include "conformance/sim/watch_clients.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_messenger.h"
#include "jetstream/memory_stream.h"

namespace jetd::conformance::sim {

class LossWatch;

// Which checkpoint a member finds: as chance has it; or none, or the one of that number.
struct Found {
  bool chosen = false;
  std::optional<size_t> number;
};

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
    bool losses = false;      // of what members tell each other
    bool compacts = false;
    bool leases = false;
    bool watches = false;
    std::chrono::nanoseconds leg{};   // the longest way of a message, usually
    std::chrono::nanoseconds pace{};  // the longest time between two steps, usually
  };

  void ChooseMood();
  void Step();
  void Act(size_t what);
  void ActOnAlarm(SimMember* member);
  // Members (simulation_members.cc).
  enum class Judged { kYes, kNo };
  void Start(Judged judged = Judged::kYes, Found found = {});
  [[nodiscard]] jetstream::MemoryLog::Options LogOptions();
  [[nodiscard]] std::string NewFolder(Found found);
  [[nodiscard]] std::optional<size_t> ValueBudget();
  // A member whose clients may ask it something; most often the newest. Null: there is none.
  [[nodiscard]] SimMember* Serving();
  // Where a client that is connected to `member` gets its leases and compactions done: there,
  // unless another one leads.
  [[nodiscard]] SimMember* Writer(SimMember* member);
  [[nodiscard]] SimMember* Leader() const;
  enum class End { kKilled, kStopped };
  void EndMember(size_t which, End end);
  void EndNamed(const std::string& name, End end);
  // A clean stop: first the lead is handed over.
  void StopInOrder(SimMember* member);
  void PowerCut();
  // Destroys the members that ended long enough ago.
  void Bury();
  // Runs `fn` on a member if it still lives then.
  void LaterOn(std::chrono::nanoseconds delay, SimMember* member,
               std::function<void(SimMember*)> fn);

  // Faults (simulation_faults.cc).
  void Fault();
  // Of members that know of each other.
  void FaultAmongMembers();
  void BreakConnection();
  void ScheduleKill();
  // Once so many rounds of deferred work have run.
  void KillAfter(size_t deferred, const std::string& name);
  void FillUp();
  void LeaveNoRoom();
  void CutOff();
  void WriteForeign();
  [[nodiscard]] jetstream::AppendFate Fate();
  [[nodiscard]] std::chrono::nanoseconds Way();

  // The end (simulation_end.cc).
  void Calm();
  bool SettleLeader();
  // Lets `least` pass, and as long as a start may take where nobody leads by then. Null: nobody.
  SimMember* AwaitLeader(std::chrono::nanoseconds least);
  void DrainWatches();
  // Of all members.
  [[nodiscard]] std::string Stands() const;
  // Requests of all kinds that were not answered.
  [[nodiscard]] size_t open() const { return kv_.open() + lease_clients_.open() + alarms_.open(); }
  // Whoever asks now has to get through.
  void AskInCalm(SimMember* member);
  // Most of what was is removed from the stream.
  void CleanUp(SimMember* member);
  // The leader ends, and somebody follows it.
  void TakeOverInCalm();
  // Every member knows all.
  void JudgeMembers();
  void StartOver();
  // What `jetctl check` finds in the stream, and reads there.
  void CheckStream();
  // The server of others loses the stream's tail (simulation_loss.cc).
  void LoseTail();
  // The same, but whoever led ends with it, and another one that knows nothing leads before a
  // follower is back which has shown what is lost.
  void LoseTailUnseen();
  // `told`: the newest revision that somebody was told of, by `watch` for one, if that is not null.
  void JudgeSuccessor(Revision told, LossWatch* watch);
  // `alarmed`: an alarm was raised before.
  void JudgeNothingLost(Revision told, bool alarmed, LossWatch* watch);
  // Checkpoints that the stream has no use for (simulation_past.cc).
  void PutBack();
  void OutdateCheckpoint();
  [[nodiscard]] bool LeadWithVoids();
  void CompareStarts();
  // By whoever leads soon; not entered into the ledger.
  void WriteUnjudged(size_t count);
  template <typename Action>
  void Unjudged(Action action);
  struct State {
    Revision revision, compacted;
    uint32_t hash = 0;

    friend bool operator==(const State&, const State&) = default;
  };
  // Of a member that finds this checkpoint, and is killed.
  [[nodiscard]] std::optional<State> StateOfNext(Found found);

  const SimOptions options_;
  Run run_;
  const Server server_;
  const bool embedded_;
  const bool together_;  // members know of each other
  const bool files_;     // most values are in files
  const bool alarmed_;   // an operator raises alarms
  Mood mood_;
  bool calm_ = false;

  Ledger ledger_;
  LeaseBook book_;
  jetstream::MemoryStream stream_;
  jetstream::MemoryPost post_;
  Courier::Mail mail_;
  AlarmClients alarms_;
  KvClients kv_;
  LeaseClients lease_clients_;
  std::deque<revision::Op> unjudged_;  // outlive members too
  // For values and checkpoints; saved_ are copies that hold a checkpoint. They outlive members.
  std::vector<std::unique_ptr<ScratchFolder>> folders_, saved_;
  std::vector<std::unique_ptr<SimMember>> live_, ended_;
  WatchClients watches_;
  size_t started_ = 0;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_SIMULATION_H_
