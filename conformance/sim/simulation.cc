// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/simulation.h"

#include <algorithm>
#include <utility>

namespace jetd::conformance::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

Server ServerOf(uint64_t seed, const SimOptions& options) {
  if (options.server.has_value()) return *options.server;
  constexpr Server kByTurns[] = {Server::kOutside, Server::kEmbedded, Server::kReplicated,
                                 Server::kEmbedded};
  return kByTurns[seed % 4];
}

// The embedded server has one member.
bool TogetherOf(uint64_t seed, Server server, const SimOptions& options) {
  return server != Server::kEmbedded && options.together.value_or((seed / 8) % 4 != 0);
}

}  // namespace

Simulation::Simulation(uint64_t seed, const SimOptions& options)
    : options_(options),
      run_(seed, options_),
      server_(ServerOf(seed, options_)),
      embedded_(server_ == Server::kEmbedded),
      together_(TogetherOf(seed, server_, options_)),
      files_((seed / 4) % 2 == 0),
      alarmed_((seed / 32) % 4 == 0),
      ledger_(&run_),
      book_(&run_, &ledger_),
      stream_({.remember_deleted = true}),
      alarms_(&run_),
      kv_(&run_, &ledger_, &book_, &alarms_),
      lease_clients_(&run_, &ledger_, &book_),
      watches_(&run_, &ledger_, &kv_.maker()) {
  ChooseMood();
}

Simulation::~Simulation() {
  // Streams end before the hubs that they belong to.
  for (const auto& member : live_) watches_.OnMemberGone(member.get());
  for (auto& member : live_) {
    member->Kill();
    ended_.push_back(std::move(member));
  }
  live_.clear();
  run_.exec.Advance(milliseconds(10));
}

void Simulation::ChooseMood() {
  Random& random = run_.random;
  for (bool* fault :
       {&mood_.breaks, &mood_.late, &mood_.refusals, &mood_.full, &mood_.kills, &mood_.stops,
        &mood_.rivals, &mood_.foreigners, &mood_.stalls, &mood_.slow, &mood_.cuts}) {
    *fault = random.Chance(60);
  }
  for (bool* work : {&mood_.compacts, &mood_.leases, &mood_.watches}) *work = random.Chance(80);
  constexpr nanoseconds kLegs[] = {microseconds(40), microseconds(300), milliseconds(2)};
  mood_.leg = kLegs[random.Pick(3)];
  constexpr nanoseconds kPaces[] = {microseconds(100), microseconds(500), milliseconds(3)};
  mood_.pace = kPaces[random.Pick(3)];
  if (mood_.full) run_.SetMayBeFull();
  mood_.losses = together_ && random.Chance(50);
}

void Simulation::Go() {
  Start();
  for (size_t i = 0; i < options_.steps && !run_.failed(); ++i) Step();
  if (!run_.failed()) Calm();
}

void Simulation::Step() {
  ++run_.tally.steps;
  Bury();
  if (together_ && live_.size() < options_.members && run_.random.Chance(2)) Start();
  Act(run_.random.Pick(1'000));
  kv_.StepLists();
  watches_.Step();
  run_.exec.Advance(run_.random.Delay(mood_.pace));
  // Leases need seconds.
  if (run_.random.Chance(2)) run_.exec.Advance(run_.random.Delay(milliseconds(1'500)));
}

// Not raised for long: little else would happen.
void Simulation::ActOnAlarm(SimMember* member) {
  using Change = revision::Committer::AlarmChange;
  if (run_.random.Chance(50)) return alarms_.List(member);
  const bool raise = alarms_.now().sure && !alarms_.now().raised;
  alarms_.Change(Writer(member), raise ? Change::kRaise : Change::kDisarm);
}

void Simulation::Act(size_t what) {
  if (what >= 950) return Fault();
  SimMember* member = Serving();
  if (member == nullptr) {
    if (live_.empty() && run_.random.Chance(10)) Start();
    run_.exec.Advance(mood_.leg);
  } else if (what < 520) {
    kv_.SendWrite(member, lease_clients_.Some());
  } else if (what < 680) {
    kv_.SendRead(member);
  } else if (what < 780) {
    if (mood_.leases) lease_clients_.Send(Writer(member));
  } else if (what < 880) {
    if (mood_.watches) watches_.Act(member);
  } else if (what < 892) {
    if (mood_.compacts) kv_.SendCompact(Writer(member));
  } else if (what < 910) {
    kv_.OpenList(member);
  } else if (what < 920 && alarmed_) {
    ActOnAlarm(member);
  } else {
    run_.exec.Advance(run_.random.Delay(milliseconds(5)));
  }
}

}  // namespace jetd::conformance::sim
