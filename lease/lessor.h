// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_LEASE_LESSOR_H_
#define JETD_LEASE_LESSOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/executor.h"
#include "base/limits.h"
#include "base/types.h"
#include "revision/committer.h"
#include "revision/store.h"

namespace jetd::lease {

// Lessor keeps the clocks of leases. Which leases exist, and which keys hang on them, is the
// store's (grants and revokes are records); when they end is only here, in memory: a new leader
// gives every lease its full TTL again, so a lease never ends early.
//
// Expiry is one transaction per lease (Committer::RevokeLease), at most kLeaseExpiryBatch at a
// time. After a stall (the engine slept longer than it meant to, or NATS was away) keepalives that
// wait are taken before anything expires. Keepalive and TimeToLive are answered only after a
// barrier sent after they arrived, shared by all that wait: a member that was superseded never says
// "alive".
//
// One timer for the nearest expiry; none without leases.
//
// Thread rules: engine thread only.
class Lessor : public revision::Committer::Listener {
 public:
  struct Options {
    int64_t min_ttl_s = limits::kMinLeaseTtlSeconds;
  };
  struct Granted {
    LeaseId id;
    int64_t ttl_s = 0;
  };
  struct TimeToLiveResult {
    LeaseId id;
    int64_t ttl_s = -1;  // seconds left; -1: no such lease
    int64_t granted_ttl_s = 0;
    std::vector<std::string> keys;
  };
  enum class WithKeys { kNo, kYes };

  Lessor(Executor* executor, revision::Committer* committer, const revision::Store* store,
         Options options);
  ~Lessor() override;

  // id 0: chosen. A TTL below the minimum is raised to it. kLeaseTtlTooLarge, kLeaseExists.
  void Grant(LeaseId id, int64_t ttl_s, std::function<void(absl::StatusOr<Granted>)> done);
  // kLeaseNotFound. Answers the revision of the header.
  void Revoke(LeaseId id, std::function<void(absl::StatusOr<Revision>)> done);
  // Answers the TTL that the lease now has again, 0 if there is no such lease (etcd's answer).
  void KeepAlive(LeaseId id, std::function<void(absl::StatusOr<int64_t>)> done);
  void TimeToLive(LeaseId id, WithKeys with_keys,
                  std::function<void(absl::StatusOr<TimeToLiveResult>)> done);
  void Leases(std::function<void(absl::StatusOr<std::vector<LeaseId>>)> done);

  struct Stats {
    size_t leases = 0;
    uint64_t granted = 0, revoked = 0, renewed = 0, expired = 0;
  };
  [[nodiscard]] Stats stats() const;

  // revision::Committer::Listener.
  void OnLeading(Term term) override;
  void OnCommit(Revision revision, absl::Span<const revision::Change> changes) override;
  void OnLeaseGranted(LeaseId id, int64_t ttl_s) override;
  void OnLeaseGone(LeaseId id) override;
  void OnCompacted(Revision revision) override;
  void OnStepDown(const absl::Status& why) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace jetd::lease

#endif  // JETD_LEASE_LESSOR_H_
