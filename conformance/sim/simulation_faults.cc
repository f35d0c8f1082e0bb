// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/strings.h"
#include "conformance/sim/simulation.h"

namespace jetd::conformance::sim {

using jetstream::AppendFate;
using std::chrono::microseconds;
using std::chrono::milliseconds;

std::chrono::nanoseconds Simulation::Way() {
  if (mood_.slow && !calm_ && run_.random.Pick(300) == 0) {
    run_.Fault("slow answer");
    return run_.random.Delay(run_.random.Chance(15) ? milliseconds(1'500) : milliseconds(40));
  }
  return run_.random.Delay(mood_.leg);
}

AppendFate Simulation::Fate() {
  constexpr std::array kAll = {AppendFate::kNever, AppendFate::kLands, AppendFate::kLate,
                               AppendFate::kTwice};
  constexpr std::array<std::string_view, 4> kNames = {"lost append", "lost ack", "late append",
                                                      "duplicate append"};
  // Nothing outlives the embedded server's connections.
  const size_t which = run_.random.Pick(embedded_ || !mood_.late ? 2 : 4);
  run_.Fault(kNames[which]);
  return kAll[which];
}

void Simulation::Fault() {
  if (live_.empty()) return Start();
  if (together_ && run_.random.Chance(25)) return FaultAmongMembers();
  switch (run_.random.Pick(15)) {
    case 0:
    case 1:
    case 2:
      return BreakConnection();
    case 3:
      return ScheduleKill();
    case 4:
      if (!mood_.stops || !run_.random.Chance(40)) return;
      run_.Fault("clean stop");
      if (together_) return StopInOrder(live_[run_.random.Pick(live_.size())].get());
      return EndMember(live_.size() - 1, End::kStopped);
    case 5:
    case 6:
      if (embedded_ || !mood_.rivals || live_.size() >= options_.members) return;
      if (!run_.random.Chance(40)) return;
      run_.Fault(together_ ? "another member" : "rival");
      return Start();
    case 7:
      return FillUp();
    case 8:
      return WriteForeign();
    case 9:
      if (!mood_.stalls || !run_.random.Chance(40)) return;
      run_.Fault("stall");
      return run_.exec.Stall(run_.random.Delay(milliseconds(2'500)));
    case 10:
    case 11:
      return CutOff();
    case 12:
      return LeaveNoRoom();
    default:
      if (stream_.late() > 0) stream_.LandLate(1 + run_.random.Pick(3));
  }
}

void Simulation::FaultAmongMembers() {
  SimMember* member = live_[run_.random.Pick(live_.size())].get();
  if (run_.random.Chance(50)) {
    if (!mood_.stalls) return;
    run_.Fault("frozen");
    member->Freeze();
    LaterOn(run_.random.Delay(milliseconds(4'000)), member,
            [](SimMember* there) { there->Thaw(); });
    return;
  }
  if (!mood_.stops || !member->leading()) return;
  run_.Fault("hand-over");
  const SimMember* to = live_[run_.random.Pick(live_.size())].get();
  member->committer().HandOver(run_.random.Chance(50) ? 0 : to->id(),
                               [](const absl::Status& /*status*/) {});
}

void Simulation::BreakConnection() {
  if (!mood_.breaks) return;
  run_.Fault("lost connection");
  SimMember* member = live_[run_.random.Pick(live_.size())].get();
  member->Disconnect();
  // Most often it is back soon; some clients wait longer than they like.
  const auto away =
      run_.random.Delay(run_.random.Chance(85) ? milliseconds(20) : milliseconds(9'000));
  LaterOn(away, member, [](SimMember* back) { back->Reconnect(); });
}

// At any moment between two events of the engine, also between two that are deferred.
void Simulation::ScheduleKill() {
  if (!mood_.kills || !run_.random.Chance(50)) return;
  SimMember* member = live_[run_.random.Pick(live_.size())].get();
  LaterOn(run_.random.Delay(milliseconds(3)), member,
          [this](SimMember* there) { KillAfter(run_.random.Pick(4), there->name()); });
}

void Simulation::KillAfter(size_t deferred, const std::string& name) {
  if (deferred > 0) {
    run_.exec.Defer([this, deferred, name] { KillAfter(deferred - 1, name); });
    return;
  }
  for (const auto& member : live_) {
    if (member->name() == name) run_.Fault("kill");
  }
  EndNamed(name, End::kKilled);
}

void Simulation::FillUp() {
  if (!mood_.full || !run_.random.Chance(50)) return;
  run_.Fault("no room");
  stream_.set_max_messages(stream_.State().messages + run_.random.Pick(10));
  run_.exec.RunAfter(run_.random.Delay(milliseconds(run_.random.Chance(80) ? 30 : 8'000)),
                     [this] { stream_.set_max_messages(jetstream::MemoryStream::kNoLimit); });
}

// What a lost connection had in some buffer is sent again and refused, since there is no room; then
// the member ends, there is room, and the first copy lands.
void Simulation::LeaveNoRoom() {
  if (embedded_ || !mood_.full || !mood_.late || !mood_.kills || !run_.random.Chance(50)) return;
  run_.Fault("no room, and an end");
  SimMember* member = live_[run_.random.Pick(live_.size())].get();
  member->Disconnect();
  stream_.set_max_messages(stream_.State().messages);
  LaterOn(run_.random.Delay(milliseconds(5)), member, [](SimMember* back) { back->Reconnect(); });
  run_.exec.RunAfter(run_.random.Delay(milliseconds(80)), [this, name = member->name()] {
    EndNamed(name, End::kKilled);
    stream_.set_max_messages(jetstream::MemoryStream::kNoLimit);
    stream_.LandLate(SIZE_MAX);
  });
}

void Simulation::CutOff() {
  if (server_ != Server::kReplicated || !mood_.cuts || !run_.random.Chance(40)) return;
  run_.Fault("stream leader cut off");
  std::vector<SimMember*> cut = {live_[run_.random.Pick(live_.size())].get()};
  const bool server = together_ && run_.random.Chance(50);
  SimMember* another = live_[run_.random.Pick(live_.size())].get();
  if (server && another != cut.front()) cut.push_back(another);  // on the same side
  for (SimMember* member : cut) {
    member->CutOff(server ? SimMember::Cut::kServer : SimMember::Cut::kStream);
    // The others go on with another stream leader; here the connection ends when it notices.
    const auto notices = run_.random.Delay(milliseconds(cut.size() > 1 ? 4'000 : 1'000));
    LaterOn(notices, member, [this](SimMember* there) {
      there->Disconnect();
      LaterOn(run_.random.Delay(milliseconds(20)), there,
              [](SimMember* back) { back->Reconnect(); });
    });
  }
  if (live_.size() < options_.members && run_.random.Chance(60)) Start();
}

void Simulation::WriteForeign() {
  if (embedded_ || !mood_.foreigners || !run_.random.Chance(40)) return;
  run_.Fault("foreign record");
  const std::string key = Cat("k", run_.random.Pick(10));
  const std::string subject = Cat(stream_.prefix(), run_.random.Chance(50) ? key : "intruder");
  stream_.AppendForeign({.subject = subject,
                         .header = {},
                         .is_delete = run_.random.Chance(20),
                         .payload = "written past jetd"});
}

}  // namespace jetd::conformance::sim
