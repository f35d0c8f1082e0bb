// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_FAULT_PLAN_H_
#define JETD_CONFORMANCE_HISTORY_FAULT_PLAN_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "conformance/server_faults.h"
#include "etcdclient/testing/server_process.h"

namespace jetd::conformance::history {

// Which fault comes when, from a seed. One thread.
class FaultPlan {
 public:
  enum class Kind {
    kKillServer,
    kKillNats,
    kKillAgain,  // the server twice, the second time while it starts
    kFreezeServer,
    kFreezeNats,
    kFreezeTree,
    kRestart,  // a clean one
    kFillDisk,
  };
  // Whether the server's data lies on a disk that can be full.
  enum class Disk { kAny, kSmall };
  struct Fault {
    Kind kind = Kind::kKillServer;
    size_t after = 0;  // so many operations of the window
    std::chrono::milliseconds time{0};
  };

  FaultPlan(etcdclient::ServerKind server, uint64_t seed, Disk disk = Disk::kAny)
      : server_(server), disk_(disk), random_(seed) {}

  // `count` faults for a window of so many operations, in order.
  [[nodiscard]] std::vector<Fault> Next(size_t count, size_t operations);

 private:
  const etcdclient::ServerKind server_;
  const Disk disk_;
  std::mt19937_64 random_;
};

[[nodiscard]] std::string NameOf(FaultPlan::Kind kind);
// Does it. Blocks for the time of a frozen program, otherwise not for long. REQUIRES: not
// kFillDisk, which is the world's.
[[nodiscard]] absl::Status Inflict(const FaultPlan::Fault& fault, ServerFaults& faults);

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_FAULT_PLAN_H_
