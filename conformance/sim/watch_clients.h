// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_WATCH_CLIENTS_H_
#define JETD_CONFORMANCE_SIM_WATCH_CLIENTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/types.h"
#include "conformance/sim/ledger.h"
#include "conformance/sim/request_maker.h"
#include "conformance/sim/run.h"
#include "conformance/sim/sim_member.h"
#include "watch/response.h"
#include "watch/watch_hub.h"

namespace jetd::conformance::sim {

// One watch as its client sees it: every event of the ledger that it wants, from its start on,
// exactly once and in order, whichever members it was connected to.
class Watch {
 public:
  Watch(Run* run, Ledger* ledger, watch::CreateRequest request)
      : run_(run), ledger_(ledger), request_(std::move(request)) {}

  // What to ask for to go on where it is, on this or another member.
  [[nodiscard]] const watch::CreateRequest& request() const { return request_; }
  [[nodiscard]] WatchId id() const { return id_; }
  [[nodiscard]] bool over() const { return over_; }

  void OnCreated(const watch::Response& response);
  void OnEvents(const watch::Response& response);
  // Nothing at or below `revision` is to come.
  void OnProgress(Revision revision);
  // `asked`: by its client.
  void OnCanceled(const watch::Response& response, bool asked);
  // All that it wants has come.
  void JudgeComplete();

 private:
  // The next event that it wants of what is in the ledger; null if it has all.
  [[nodiscard]] const Version* Due();
  void OnEvent(const revision::Change& event);
  void CheckPrev(const revision::Change& event);
  // The client would resume here.
  void SetPosition(Revision revision);
  [[nodiscard]] std::string Name() const;

  Run* const run_;
  Ledger* const ledger_;
  watch::CreateRequest request_;
  WatchId id_{-1};
  bool over_ = false;
  // Nothing below it is to come; 0: from now on, and not yet told when that was.
  Revision position_;
  // Where Due looks next: never below position_.
  Revision due_;
  size_t due_sub_ = 0;
};

// A client stream on one member with its watches, and a transport that is now quick, now slow.
class WatchClient final : public watch::WatchHub::Sink {
 public:
  WatchClient(Run* run, Ledger* ledger, SimMember* member)
      : run_(run), ledger_(ledger), member_(member), stream_(member->hub().OpenStream(this)) {}

  [[nodiscard]] SimMember* member() const { return member_; }
  [[nodiscard]] size_t watches() const { return watches_.size(); }
  void Create(std::unique_ptr<Watch> watch);
  void CancelOne();
  void AskProgress() { stream_->RequestProgress(); }
  // The transport takes some of what waits, or all.
  void Write(size_t percent);
  [[nodiscard]] bool idle() const { return unwritten_ == 0; }
  void JudgeComplete();
  // Ends the stream; what was watched can go on elsewhere.
  [[nodiscard]] std::vector<watch::CreateRequest> Close();
  // Watches that were canceled as compacted since the last call; they may begin again.
  [[nodiscard]] std::vector<watch::CreateRequest> TakeCompacted();

  // watch::WatchHub::Sink.
  void Deliver(watch::Response response) override;

 private:
  void OnStreamProgress(Revision revision);
  [[nodiscard]] Watch* Find(WatchId id);

  Run* const run_;
  Ledger* const ledger_;
  SimMember* const member_;
  std::vector<std::unique_ptr<Watch>> watches_;
  std::unique_ptr<Watch> creating_;  // while Create runs
  WatchId canceling_{-1};            // while the hub is asked to
  size_t unwritten_ = 0;
  std::unique_ptr<watch::WatchHub::Stream> stream_;  // ends first
};

// All clients that watch.
class WatchClients {
 public:
  WatchClients(Run* run, Ledger* ledger, RequestMaker* maker)
      : run_(run), ledger_(ledger), maker_(maker) {}

  // Something of a watching client's life, on a member that serves.
  void Act(SimMember* member);
  // Transports write, and watches that were canceled begin again.
  void Step();
  // Before the member's end.
  void OnMemberGone(const SimMember* member);
  // Those without a member go on there; or all.
  void OpenHomeless(SimMember* member);
  void MoveAll(SimMember* member);
  // Every transport takes everything. True if there was nothing.
  bool Drain();
  void JudgeComplete();

 private:
  [[nodiscard]] watch::CreateRequest NewRequest();
  void Open(SimMember* member, watch::CreateRequest request);
  [[nodiscard]] WatchClient* Some();
  // Closes a client; what it watched waits for another member.
  void Close(size_t which);

  Run* const run_;
  Ledger* const ledger_;
  RequestMaker* const maker_;
  std::vector<std::unique_ptr<WatchClient>> clients_;
  std::vector<watch::CreateRequest> homeless_;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_WATCH_CLIENTS_H_
