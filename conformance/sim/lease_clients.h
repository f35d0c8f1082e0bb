// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_LEASE_CLIENTS_H_
#define JETD_CONFORMANCE_SIM_LEASE_CLIENTS_H_

#include <cstddef>
#include <functional>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/sim/lease_book.h"
#include "conformance/sim/ledger.h"
#include "conformance/sim/run.h"
#include "conformance/sim/sim_member.h"

namespace jetd::conformance::sim {

// Clients of leases: they grant, renew, revoke and look at them, and judge each answer.
class LeaseClients {
 public:
  LeaseClients(Run* run, Ledger* ledger, LeaseBook* book)
      : run_(run), ledger_(ledger), book_(book) {}

  // One request of any kind.
  void Send(SimMember* member);
  // A lease that a client knows to be there, or thinks so; 0 if there is none.
  [[nodiscard]] LeaseId Some();
  // Requests that were not answered, though their member lives.
  [[nodiscard]] size_t open() const { return open_; }

 private:
  // Counts the answer; false if nobody hears it or it is an error that says nothing about leases.
  bool Heard(const SimMember& member, const absl::Status& status);
  // What a client may be told when the request did not get through.
  void JudgeError(const absl::Status& status);

  void Grant(SimMember* member);
  void Revoke(SimMember* member, LeaseId id);
  void JudgeRevoked(LeaseId id, Revision floor, Revision revision);
  void KeepAlive(SimMember* member, LeaseId id);
  void TimeToLive(SimMember* member, LeaseId id);
  void JudgeTimeToLive(const SimMember& member, const LeaseBook::Asked& asked,
                       const lease::Lessor::TimeToLiveResult& answer);
  void List(SimMember* member);
  void JudgeList(const std::set<LeaseId>& before, MonoTime sent,
                 const std::vector<LeaseId>& answer);
  void ExpectThere(LeaseId id, MonoTime sent, const char* what);

  Run* const run_;
  Ledger* const ledger_;
  LeaseBook* const book_;
  std::vector<LeaseId> known_;
  size_t open_ = 0;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_LEASE_CLIENTS_H_
