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
// time, and again until it succeeds. Keepalive, TimeToLive and Leases are answered only after a
// barrier sent after they arrived, shared by all that wait: a member that was superseded never says
// "alive", but kNoLeader, and changed nothing.
//
// A client that did its part keeps its lease, whatever jetd was busy with:
//   - a lease does not expire while a keepalive of it waits for its barrier;
//   - before leases expire NATS has to answer once, with the embedded server too, and what came in
//     meanwhile is taken;
//   - after a stall (the timer came late, or the barrier did) nothing expires for kLeaseGrace, up
//   to
//     kLeaseMaxGraces times in a row.
// A keepalive that comes when the revoke is under way waits for its end, as in etcd.
//
//   t=0     Grant 5 s                  ends at 5
//   t=4     KeepAlive                  barrier, then it ends at 9 (5 s from the answer on)
//   t=9     the timer: barrier, revoke, OnLeaseGone
//
// One timer for the nearest expiry; none without leases.
//
// Thread rules: engine thread only. `done` is called exactly once, never from inside the call that
// took it. The lessor ends after Committer::Stop, which answers what waits.
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
    int64_t ttl_s = -1;  // whole seconds left, as etcd cuts them; -1: no such lease
    int64_t granted_ttl_s = 0;
    std::vector<std::string> keys;
  };
  enum class WithKeys { kNo, kYes };

  using GrantDone = std::function<void(absl::StatusOr<Granted>)>;
  using RevokeDone = std::function<void(absl::StatusOr<Revision>)>;
  using KeepAliveDone = std::function<void(absl::StatusOr<int64_t>)>;
  using TimeToLiveDone = std::function<void(absl::StatusOr<TimeToLiveResult>)>;
  using LeasesDone = std::function<void(absl::StatusOr<std::vector<LeaseId>>)>;

  Lessor(Executor* executor, revision::Committer* committer, const revision::Store* store,
         Options options);
  ~Lessor() override;

  // id 0: chosen. A TTL below the minimum, negative ones too, is raised to it. kLeaseTtlTooLarge,
  // kLeaseExists.
  void Grant(LeaseId id, int64_t ttl_s, GrantDone done);
  // kLeaseNotFound. Answers the revision of the header.
  void Revoke(LeaseId id, RevokeDone done);
  // Answers the TTL that the lease now has again, 0 if there is no such lease (etcd's answer). The
  // header of the answer has the revision of before the call, so that it is below the revoke's.
  void KeepAlive(LeaseId id, KeepAliveDone done);
  void TimeToLive(LeaseId id, WithKeys with_keys, TimeToLiveDone done);
  // The one that ends first comes first, as in etcd.
  void Leases(LeasesDone done);

  struct Stats {
    size_t leases = 0;
    uint64_t granted = 0, revoked = 0, renewed = 0, expired = 0;  // expired are revoked too
  };
  [[nodiscard]] Stats stats() const;

  // revision::Committer::Listener.
  void OnLeading(Term term) override;
  void OnLeaseGranted(LeaseId id, int64_t ttl_s) override;
  void OnLeaseGone(LeaseId id) override;
  void OnStepDown(const absl::Status& why) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace jetd::lease

#endif  // JETD_LEASE_LESSOR_H_
