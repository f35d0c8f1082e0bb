// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_SIM_MEMBER_H_
#define JETD_CONFORMANCE_SIM_SIM_MEMBER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/testing/scratch_folder.h"
#include "conformance/sim/courier.h"
#include "conformance/sim/lease_book.h"
#include "conformance/sim/ledger.h"
#include "conformance/sim/run.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_messenger.h"
#include "jetstream/memory_stream.h"
#include "lease/lessor.h"
#include "revision/committer.h"
#include "revision/peers.h"
#include "revision/store.h"
#include "watch/watch_hub.h"

namespace jetd::conformance::sim {

// SimMember is one jetd without its gRPC: the log, store, committer, watch hub and lessor that the
// program has, put together as etcdapi/main.cc does, on the run's clock and a MemoryStream that
// outlives it. What it commits goes into the ledger before anybody else hears of it.
//
// A member that was ended stays as an object until the engine has run what it had deferred.
class SimMember final : public revision::Committer::Listener {
 public:
  struct Setup {
    std::string name;
    jetstream::MemoryLog::Options log;
    // Between this and other members; null: they know nothing of each other.
    jetstream::MemoryPost* post = nullptr;
    jetstream::MemoryMessengerFaults messages;
    Courier::Mail* mail = nullptr;
    // Values beyond it are in files.
    std::optional<size_t> value_budget_bytes;
    // For the files, and for the checkpoint; empty: one of its own, and no checkpoint.
    std::string folder;
    // Unset: as in the program, so nothing here is ever too much to hold.
    std::optional<size_t> max_held_bytes;
    // False: what it commits is another story than the ledger's.
    bool judged = true;
  };
  SimMember(Run* run, Ledger* ledger, LeaseBook* leases, jetstream::MemoryStream* stream,
            const Setup& setup);
  ~SimMember() override;
  SimMember(const SimMember&) = delete;
  SimMember& operator=(const SimMember&) = delete;

  // Its one connection, for the stream and for what members tell each other.
  void Disconnect();
  void Reconnect();
  // The stream leader that it is connected to is cut off; with kServer its whole server.
  enum class Cut { kStream, kServer };
  void CutOff(Cut cut);
  // As a process that is stopped: what it sent is sent, what comes for it waits.
  void Freeze();
  void Thaw();
  // kill -9: what was in flight meets its fate, nobody is told anything.
  void Kill();
  // As a signal does it: what waits is answered, and a checkpoint left if there is a folder.
  void Stop();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] uint64_t id() const { return std::hash<std::string>()(name_); }
  // Clients are connected to it. What they are told afterwards they never hear.
  [[nodiscard]] bool alive() const { return alive_; }
  // It has led or followed: from then on jetd takes requests.
  [[nodiscard]] bool serving() const { return alive_ && serving_; }
  [[nodiscard]] bool leading() const { return alive_ && committer_->leading(); }
  [[nodiscard]] bool following() const {
    return alive_ && committer_->phase() == revision::Committer::Phase::kFollowing;
  }
  [[nodiscard]] MonoTime ended_at() const { return ended_at_; }
  [[nodiscard]] const std::optional<absl::Status>& fatal() const { return fatal_; }
  // A fatal error is part of the scene.
  void ExpectFatal() { expects_fatal_ = true; }
  // From now on its story is another one than the ledger's.
  void StopJudging() { judged_ = false; }

  [[nodiscard]] const revision::Store& store() const { return store_; }
  [[nodiscard]] revision::Committer& committer() { return *committer_; }
  // Committer::Apply, here or where it is led. `op` outlives all members.
  void Apply(const revision::Op* op, revision::Committer::ApplyDone done);
  [[nodiscard]] watch::WatchHub& hub() { return *hub_; }
  [[nodiscard]] lease::Lessor& lessor() { return *lessor_; }

  // What a serializable read has shown; it never goes back.
  Revision shown;

  // revision::Committer::Listener.
  void OnLeading(Term term) override;
  void OnFollowing(Term term) override;
  void OnCommit(Revision revision, absl::Span<const revision::Change> changes) override;
  void OnLeaseGranted(LeaseId id, int64_t ttl_s) override;
  void OnLeaseGone(LeaseId id) override;
  void OnCompacted(Revision revision) override;
  void OnStepDown(const absl::Status& why) override;

 private:
  void End();

  Run* const run_;
  Ledger* const ledger_;
  LeaseBook* const leases_;
  const jetstream::MemoryStream* const stream_;
  const std::string name_;
  bool judged_;
  std::optional<ScratchFolder> folder_;  // outlives the store
  jetstream::MemoryLog log_;
  std::optional<jetstream::MemoryMessenger> messenger_;
  std::optional<revision::Peers> peers_;
  revision::Store store_;
  std::optional<revision::Committer> committer_;
  std::optional<Courier> courier_;
  std::optional<watch::WatchHub> hub_;
  std::optional<lease::Lessor> lessor_;
  bool alive_ = true;
  bool serving_ = false;
  bool expects_fatal_ = false;
  MonoTime ended_at_{0};
  std::optional<absl::Status> fatal_;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_SIM_MEMBER_H_
