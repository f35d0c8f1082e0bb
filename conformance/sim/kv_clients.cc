// SPDX-License-Identifier: Apache-2.0
//
// Writes. Reads and compactions are in kv_clients_reads.cc.
#include "conformance/sim/kv_clients.h"

#include <optional>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "conformance/sim/expectation.h"
#include "conformance/sim/matching.h"

namespace jetd::conformance::sim {

KvClients::KvClients(Run* run, Ledger* ledger, LeaseBook* leases, const AlarmClients* alarms)
    : run_(run), ledger_(ledger), leases_(leases), alarms_(alarms), maker_(&run->random, ledger) {
  ledger_->set_on_entered([this](Revision revision) { OnEntered(revision); });
  ledger_->set_on_compacted([this](Revision revision) { OnCompacted(revision); });
}

bool KvClients::Heard(const SimMember& member, const absl::Status& status) {
  --open_;
  const Errc why = GetErrc(status);
  if (!run_->MayHear(why)) run_->Fail("a request in the calm: ", status.ToString());
  if (!member.alive() || why == Errc::kTimeout || why == Errc::kStopped) return false;
  run_->Mix(static_cast<uint64_t>(why));
  if (!status.ok()) ++run_->tally.refused;
  return true;
}

void KvClients::SendWrite(SimMember* member, LeaseId lease) {
  Send(member, maker_.Write(operations_.size(), lease));
}

void KvClients::SendDeletion(SimMember* member) {
  Request request;
  Action& action = request.success.emplace_back();
  action.kind = Action::Kind::kDelete;
  action.key = "k";
  action.end = "l";
  Send(member, std::move(request));
}

void KvClients::Send(SimMember* member, Request request) {
  auto operation = std::make_shared<Operation>();
  operation->id = operations_.size();
  operation->request = std::move(request);
  operation->op = MakeOp(operation->request);
  operation->floor = ledger_->told();
  operation->alarm = alarms_->now();
  operations_.push_back(operation);
  if (run_->tracing()) {
    run_->Trace("to ", member->name(), ": #", operation->id, " ", ToString(operation->request));
  }
  ++open_;
  member->Apply(&operation->op,
                [this, member, operation](const absl::StatusOr<revision::OpResult>& answer) {
                  if (operation->fate != Fate::kOpen)
                    run_->Fail("#", operation->id, " is answered twice");
                  if (Heard(*member, answer.status())) {
                    OnAnswer(operation.get(), answer);
                    if (answer.ok() && member->store().committed() < RevisionOf(*answer)) {
                      run_->Fail("#", operation->id, " is answered by ", member->name(),
                                 ", where it cannot be read");
                    }
                  } else {
                    run_->Trace("#", operation->id, ": nobody is told");
                    ++run_->tally.unknown;
                    operation->fate = Fate::kUnknown;
                  }
                });
}

// Whoever put its values did all of it.
void KvClients::OnEntered(Revision revision) {
  for (const Version& v : ledger_->At(revision)) {
    if (v.tombstone) continue;
    const auto id = RequestMaker::OperationOf(v.value);
    if (!id.has_value() || *id >= operations_.size()) {
      return run_->Fail("nobody put ", ToString(v));
    }
    Claim(operations_[*id].get(), revision);
    return;
  }
}

void KvClients::Claim(Operation* operation, Revision revision) {
  if (operation->happened == revision) return;
  if (operation->happened != Revision{}) {
    return run_->Fail("#", operation->id, " happened twice: at ", operation->happened.value(),
                      " and at ", revision.value());
  }
  if (operation->fate == Fate::kRefused) {
    return run_->Fail("#", operation->id, " was refused, and happened at ", revision.value());
  }
  const auto [owner, first] = owners_.emplace(revision, operation->id);
  if (!first) {
    return run_->Fail("#", operation->id, " and #", owner->second, " both happened at ",
                      revision.value());
  }
  operation->happened = revision;
  if (!Explains(*operation, revision)) {
    run_->Fail("#", operation->id, " happened otherwise than asked at ", revision.value(), ": ",
               ToString(operation->request));
  }
}

bool KvClients::Explains(const Operation& operation, Revision revision) const {
  return Expect(operation.request, *ledger_, revision.Prev()).changes == ledger_->At(revision);
}

void KvClients::OnAnswer(Operation* operation, const absl::StatusOr<revision::OpResult>& answer) {
  if (answer.ok()) {
    operation->fate = Fate::kDone;
    JudgeAnswer(operation, *answer);
    return;
  }
  run_->Trace("#", operation->id, ": ", answer.status().ToString());
  operation->fate = Fate::kRefused;
  JudgeRefusal(*operation, answer.status());
}

void KvClients::JudgeAnswer(Operation* operation, const revision::OpResult& answer) {
  const Revision revision = RevisionOf(answer);
  run_->Trace("#", operation->id, ": done at ", revision.value());
  if (revision > ledger_->newest() || revision < Revision(1)) {
    return run_->Fail("#", operation->id, " is answered with revision ", revision.value(),
                      ", and only ", ledger_->newest().value(), " is committed");
  }
  if (revision < operation->floor) {
    return run_->Fail("#", operation->id, " is answered with revision ", revision.value(), ", and ",
                      operation->floor.value(), " was told before it was asked");
  }
  ledger_->Tell(revision);
  std::string different;
  if (revision > operation->floor) {
    const Expectation wrote = Expect(operation->request, *ledger_, revision.Prev());
    if (!wrote.changes.empty() && wrote.changes == ledger_->At(revision)) {
      different = Difference(operation->request, wrote, answer);
      if (different.empty()) {
        ++run_->tally.writes;
        JudgePut(*operation, revision);
        return Claim(operation, revision);
      }
    }
  }
  const Expectation read = Expect(operation->request, *ledger_, revision);
  if (read.changes.empty() && operation->happened == Revision{}) {
    different = Difference(operation->request, read, answer);
    if (different.empty()) {
      ++run_->tally.reads;
      return;
    }
  }
  run_->Fail("#", operation->id, " (", ToString(operation->request), ") is answered wrongly at ",
             revision.value(), different.empty() ? "" : ", with ", different);
}

bool KvClients::LeasesAreThere(const Request& request) const {
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const Action& action : *branch) {
      if (action.lease != LeaseId{} && leases_->MayBeMissing(action.lease)) return false;
    }
  }
  return true;
}

void KvClients::JudgePut(const Operation& operation, Revision revision) {
  if (!operation.alarm.raised || !alarms_->SureSince(operation.alarm)) return;
  for (const Version& v : ledger_->At(revision)) {
    if (v.tombstone) continue;
    return run_->Fail("#", operation.id, " puts ", ToString(v),
                      ", and the alarm NOSPACE is raised");
  }
}

void KvClients::JudgeNoSpace(const Operation& operation) {
  if (run_->may_be_full()) return;
  const Request& request = operation.request;
  bool may_put = false;
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const Action& action : *branch) may_put = may_put || action.kind == Action::Kind::kPut;
  }
  if (!may_put || (!operation.alarm.raised && alarms_->SureSince(operation.alarm))) {
    run_->Fail("#", operation.id, " is refused for lack of room: ", ToString(request));
  }
}

void KvClients::JudgeRefusal(const Operation& operation, const absl::Status& why) {
  if (operation.happened != Revision{}) {
    run_->Fail("#", operation.id, " is refused with ", why.ToString(), ", and happened at ",
               operation.happened.value());
  }
  switch (GetErrc(why)) {
    case Errc::kUnavailable:
    case Errc::kNoLeader:
    case Errc::kTooManyRequests:
      return;
    case Errc::kNoSpace:
      return JudgeNoSpace(operation);
    case Errc::kLeaseNotFound:
      if (LeasesAreThere(operation.request)) {
        run_->Fail("#", operation.id, ": no such lease, and it is there");
      }
      return;
    default:
      run_->Fail("#", operation.id, " is answered ", why.ToString());
  }
}

// A deletion names nobody: for those that were not answered, somebody has to be found, and nobody
// did two.
void KvClients::JudgeRevisions() {
  std::vector<Revision> open;
  for (Revision r(2); r <= ledger_->newest(); r = r.Next()) {
    const auto owner = owners_.find(r);
    if (owner == owners_.end()) {
      open.push_back(r);
    } else if (operations_[owner->second]->fate == Fate::kUnknown) {
      ++run_->tally.unknown_landed;
    }
  }
  const std::vector<LeaseId> gone = leases_->Gone();
  std::vector<const Operation*> unknown;
  for (const auto& operation : operations_) {
    if (operation->fate == Fate::kUnknown && operation->happened == Revision{}) {
      unknown.push_back(operation.get());
    }
  }
  const std::optional<size_t> alone =
      FindUnmatched(open.size(), gone.size() + unknown.size(), [&](size_t revision, size_t who) {
        if (who < gone.size()) return leases_->ExplainsDeletion(gone[who], open[revision]);
        return Explains(*unknown[who - gone.size()], open[revision]);
      });
  if (alone.has_value()) {
    run_->Fail("revision ", open[*alone].value(),
               " is nobody's: ", ToString(ledger_->At(open[*alone]).front()));
  }
}

}  // namespace jetd::conformance::sim
