// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_KV_CLIENTS_H_
#define JETD_CONFORMANCE_SIM_KV_CLIENTS_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/sim/alarm_clients.h"
#include "conformance/sim/lease_book.h"
#include "conformance/sim/ledger.h"
#include "conformance/sim/request.h"
#include "conformance/sim/request_maker.h"
#include "conformance/sim/run.h"
#include "conformance/sim/sim_member.h"
#include "revision/request.h"
#include "revision/store.h"

namespace jetd::conformance::sim {

// Clients of the key space, any number at once. Every answer is judged when it comes, against the
// ledger:
//   a write answered OK   is what its request does to the state before its revision, at a revision
//                         above all that was told before it was asked
//   a read                shows the state at its revision, which is not below what was told before
//                         it was asked; a serializable one never goes back on its member
//   a refused one         never happens
//   one that nobody was told of (a crash, kTimeout, kStopped) happens whole, once, or never
// and each revision is one operation's, or the end of a lease.
class KvClients {
 public:
  KvClients(Run* run, Ledger* ledger, LeaseBook* leases, const AlarmClients* alarms);

  // `lease` as RequestMaker has it.
  void SendWrite(SimMember* member, LeaseId lease);
  // Of all keys.
  void SendDeletion(SimMember* member);
  void SendRead(SimMember* member);
  void SendCompact(SimMember* member);
  void SendCompact(SimMember* member, Revision revision);
  // A list read in pieces, at the pace of its client.
  void OpenList(SimMember* member);
  void StepLists();
  // Before the member's end.
  void OnMemberGone(const SimMember* member);

  // Requests that were not answered, though their member lives.
  [[nodiscard]] size_t open() const { return open_; }
  [[nodiscard]] RequestMaker& maker() { return maker_; }
  // At the end: each revision has its operation.
  void JudgeRevisions();

 private:
  enum class Fate { kOpen, kDone, kRefused, kUnknown };
  struct Operation {
    uint64_t id = 0;
    Request request;
    revision::Op op;            // views into request
    Revision floor;             // told when it was asked
    AlarmClients::Known alarm;  // then
    Fate fate = Fate::kOpen;
    Revision happened;  // 0: not that anybody knows
  };
  // A range by itself.
  struct Read {
    Action range;
    revision::RangeOp op;  // views into range
    Revision floor;
    Revision compacted;  // told when it was asked
  };
  struct List {
    std::shared_ptr<Read> read;
    SimMember* member = nullptr;
    revision::Store::Cursor cursor;
    revision::RangeResult result;
  };

  void Send(SimMember* member, Request request);
  // Counts an answer. False: nobody hears it, or it leaves open what happened.
  bool Heard(const SimMember& member, const absl::Status& status);
  void OnEntered(Revision revision);
  void OnCompacted(Revision revision);

  void OnAnswer(Operation* operation, const absl::StatusOr<revision::OpResult>& answer);
  void JudgeAnswer(Operation* operation, const revision::OpResult& answer);
  // A put was taken though an alarm forbade it, or not taken for an alarm that was not raised.
  void JudgePut(const Operation& operation, Revision revision);
  void JudgeNoSpace(const Operation& operation);
  void JudgeRefusal(const Operation& operation, const absl::Status& why);
  [[nodiscard]] bool LeasesAreThere(const Request& request) const;
  void Claim(Operation* operation, Revision revision);

  [[nodiscard]] std::shared_ptr<Read> MakeRead(Action range) const;
  void OnRange(SimMember* member, const Read& read,
               const absl::StatusOr<revision::RangeResult>& answer);
  void JudgeRange(SimMember* member, const Read& read, const revision::RangeResult& answer);
  void JudgeReadError(const Read& read, const absl::Status& why);
  // False: it is over.
  bool StepList(List* list);
  void OnCompactAnswer(Revision revision, const absl::StatusOr<Revision>& answer);

  [[nodiscard]] bool Explains(const Operation& operation, Revision revision) const;

  Run* const run_;
  Ledger* const ledger_;
  LeaseBook* const leases_;
  const AlarmClients* const alarms_;
  RequestMaker maker_;
  std::vector<std::shared_ptr<Operation>> operations_;  // by id
  std::map<Revision, uint64_t> owners_;                 // who did it
  std::list<List> lists_;
  struct Compaction {
    int asked = 0;  // and not refused
    bool seen = false;
  };
  std::map<Revision, Compaction> compactions_;
  Revision compacted_told_{-1};
  size_t open_ = 0;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_KV_CLIENTS_H_
