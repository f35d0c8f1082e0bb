// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_ALARM_CLIENTS_H_
#define JETD_CONFORMANCE_SIM_ALARM_CLIENTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/sim/run.h"
#include "conformance/sim/sim_member.h"
#include "jetstream/record.h"

namespace jetd::conformance::sim {

// An operator who raises and disarms one NOSPACE alarm, and looks whether it is there. What is
// known of it judges his lists here, and puts in KvClients: none is taken while it is raised for
// sure.
//
//   raise asked        nobody knows
//   answered OK        raised, if no other change was under way
//   disarm asked, not answered    nobody knows, until a later change is answered
class AlarmClients {
 public:
  explicit AlarmClients(Run* run) : run_(run) {}

  void Change(SimMember* member, revision::Committer::AlarmChange change);
  void List(SimMember* member);

  struct Known {
    bool sure = true;
    bool raised = false;
    uint64_t version = 0;  // another one with every change that is asked for or known
  };
  [[nodiscard]] const Known& now() const { return known_; }
  // It was so from `then` to now.
  [[nodiscard]] bool SureSince(const Known& then) const {
    return then.sure && then.version == known_.version;
  }
  // Requests that were not answered, though their member lives.
  [[nodiscard]] size_t open() const { return open_; }

 private:
  using Answer = absl::StatusOr<std::vector<jetstream::Alarm>>;

  // False: nobody hears it, or it is an error that says nothing of alarms.
  bool Heard(const SimMember& member, const absl::Status& status);

  Run* const run_;
  Known known_;
  size_t open_ = 0;
  size_t changes_ = 0;  // of them
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_ALARM_CLIENTS_H_
