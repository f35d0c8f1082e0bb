// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/fault_plan.h"

#include <algorithm>
#include <thread>

namespace jetd::conformance::history {
namespace {

using Kind = FaultPlan::Kind;
using std::chrono::milliseconds;

}  // namespace

std::vector<FaultPlan::Fault> FaultPlan::Next(size_t count, size_t operations) {
  // By how often they are drawn.
  static const std::vector<Kind> of_jetd = {
      Kind::kKillServer, Kind::kKillServer, Kind::kKillServer, Kind::kKillNats,
      Kind::kKillNats,   Kind::kKillNats,   Kind::kKillAgain,  Kind::kFreezeServer,
      Kind::kFreezeNats, Kind::kFreezeNats, Kind::kFreezeTree, Kind::kRestart};
  static const std::vector<Kind> of_etcd = {Kind::kKillServer, Kind::kKillAgain,
                                            Kind::kFreezeServer, Kind::kRestart};
  const auto& kinds = server_ == etcdclient::ServerKind::kJetd ? of_jetd : of_etcd;
  std::vector<Fault> faults;
  for (size_t i = 0; i < count; ++i) {
    Fault fault{.kind = kinds[random_() % kinds.size()], .after = random_() % operations};
    if (disk_ == Disk::kSmall && random_() % 2 == 0) fault.kind = Kind::kFillDisk;
    // Mostly shorter, now and then longer than clients wait.
    const uint64_t length = random_() % 20;
    const uint64_t most_ms = length < 12 ? 300 : (length < 19 ? 2'500 : 9'000);
    fault.time = milliseconds(20 + random_() % most_ms);
    faults.push_back(fault);
  }
  std::sort(faults.begin(), faults.end(),
            [](const Fault& a, const Fault& b) { return a.after < b.after; });
  return faults;
}

std::string NameOf(Kind kind) {
  switch (kind) {
    case Kind::kKillServer:
      return "server killed";
    case Kind::kKillNats:
      return "nats-server killed";
    case Kind::kKillAgain:
      return "server killed twice";
    case Kind::kFreezeServer:
      return "server frozen";
    case Kind::kFreezeNats:
      return "nats-server frozen";
    case Kind::kFreezeTree:
      return "both frozen";
    case Kind::kRestart:
      return "clean restart";
    case Kind::kFillDisk:
      return "disk full";
  }
  return "";
}

absl::Status Inflict(const FaultPlan::Fault& fault, ServerFaults& faults) {
  switch (fault.kind) {
    case Kind::kKillServer:
      return faults.KillServer();
    case Kind::kKillNats:
      return faults.KillNats();
    case Kind::kKillAgain: {
      if (absl::Status killed = faults.KillServer(); !killed.ok()) return killed;
      std::this_thread::sleep_for(fault.time / 4);
      return faults.KillServer();
    }
    case Kind::kFreezeServer:
      faults.FreezeServer(fault.time);
      return absl::OkStatus();
    case Kind::kFreezeNats:
      return faults.FreezeNats(fault.time);
    case Kind::kFreezeTree:
      faults.FreezeTree(fault.time);
      return absl::OkStatus();
    case Kind::kRestart:
      return faults.StopServer();
    case Kind::kFillDisk:
      break;
  }
  return absl::OkStatus();
}

}  // namespace jetd::conformance::history
