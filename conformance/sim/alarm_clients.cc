// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/alarm_clients.h"

#include <algorithm>

#include "base/error.h"

namespace jetd::conformance::sim {
namespace {

using AlarmChange = revision::Committer::AlarmChange;

constexpr jetstream::Alarm kAlarm{.type = jetstream::AlarmType::kNoSpace, .member_id = 7};

}  // namespace

bool AlarmClients::Heard(const SimMember& member, const absl::Status& status) {
  --open_;
  const Errc why = GetErrc(status);
  if (!run_->MayHear(why)) run_->Fail("a request of alarms in the calm: ", status.ToString());
  if (!member.alive() || why == Errc::kTimeout || why == Errc::kStopped) {
    ++run_->tally.unknown;
    return false;
  }
  run_->Mix(static_cast<uint64_t>(why) + 200);
  ++(status.ok() ? run_->tally.alarms : run_->tally.refused);
  if (status.ok()) return true;
  if (why != Errc::kUnavailable && why != Errc::kNoLeader && why != Errc::kNoSpace &&
      why != Errc::kTooManyRequests) {
    run_->Fail("a request of alarms is answered ", status.ToString());
  }
  return false;
}

void AlarmClients::Change(SimMember* member, AlarmChange change) {
  const bool raise = change == AlarmChange::kRaise;
  const bool alone = changes_ == 0;
  run_->Trace("to ", member->name(), raise ? ": raise" : ": disarm", " the alarm");
  ++open_;
  ++changes_;
  ++known_.version;
  known_.sure = false;
  member->committer().ChangeAlarm(
      change, kAlarm, [this, member, raise, alone, version = known_.version](const Answer& answer) {
        --changes_;
        if (!Heard(*member, answer.status())) return;
        run_->Trace("the alarm is ", raise ? "raised" : "disarmed");
        if (raise && (answer->size() != 1 || answer->front() != kAlarm)) {
          run_->Fail("an alarm is raised, and not named");
        }
        // The newest change, and all before it were answered before it was asked for.
        if (!alone || version != known_.version) return;
        known_.sure = true;
        known_.raised = raise;
        ++known_.version;
      });
}

void AlarmClients::List(SimMember* member) {
  ++open_;
  member->committer().ListAlarms([this, member, then = known_](const Answer& answer) {
    if (!Heard(*member, answer.status()) || !SureSince(then)) return;
    const bool raised = std::find(answer->begin(), answer->end(), kAlarm) != answer->end();
    if (raised != then.raised) {
      run_->Fail(member->name(), raised ? " lists an alarm that was disarmed"
                                        : " does not list an alarm that is raised");
    }
  });
}

}  // namespace jetd::conformance::sim
