// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_SIM_MEMBER_H_
#define JETD_CONFORMANCE_SIM_SIM_MEMBER_H_

#include <memory>
#include <optional>
#include <string>

#include "conformance/sim/lease_book.h"
#include "conformance/sim/ledger.h"
#include "conformance/sim/run.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "lease/lessor.h"
#include "revision/committer.h"
#include "revision/store.h"
#include "revision/value_harness.h"
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
    // Values beyond it are in files.
    std::optional<size_t> value_budget_bytes;
    // For the files, and for the checkpoint; empty: one of its own, and no checkpoint.
    std::string folder;
  };
  SimMember(Run* run, Ledger* ledger, LeaseBook* leases, jetstream::MemoryStream* stream,
            const Setup& setup);
  ~SimMember() override;
  SimMember(const SimMember&) = delete;
  SimMember& operator=(const SimMember&) = delete;

  // kill -9: what was in flight meets its fate, nobody is told anything.
  void Kill();
  // As a signal does it: what waits is answered, and a checkpoint left if there is a folder.
  void Stop();

  [[nodiscard]] const std::string& name() const { return name_; }
  // Clients are connected to it. What they are told afterwards they never hear.
  [[nodiscard]] bool alive() const { return alive_; }
  // It has led: from then on jetd takes requests.
  [[nodiscard]] bool serving() const { return alive_ && serving_; }
  [[nodiscard]] bool leading() const { return alive_ && committer_->leading(); }
  [[nodiscard]] MonoTime ended_at() const { return ended_at_; }
  [[nodiscard]] const std::optional<absl::Status>& fatal() const { return fatal_; }
  // A fatal error is part of the scene.
  void ExpectFatal() { expects_fatal_ = true; }

  [[nodiscard]] jetstream::MemoryLog& log() { return log_; }
  [[nodiscard]] const revision::Store& store() const { return store_; }
  [[nodiscard]] revision::Committer& committer() { return *committer_; }
  [[nodiscard]] watch::WatchHub& hub() { return *hub_; }
  [[nodiscard]] lease::Lessor& lessor() { return *lessor_; }

  // What a serializable read has shown; it never goes back.
  Revision shown;

  // revision::Committer::Listener.
  void OnLeading(Term term) override;
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
  std::optional<revision::ScratchFolder> folder_;  // outlives the store
  jetstream::MemoryLog log_;
  revision::Store store_;
  std::optional<revision::Committer> committer_;
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
