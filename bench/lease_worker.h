// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_LEASE_WORKER_H_
#define JETD_BENCH_LEASE_WORKER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/driver.h"
#include "bench/phase_spec.h"
#include "etcdclient/caller.h"

namespace jetd::bench {

// Grants leases, or revokes what was granted before. `leases` is shared by the workers of a run,
// under the driver's lock.
class LeaseWorker final : public Worker {
 public:
  // `kind`: kLeaseGrant or kLeaseRevoke.
  LeaseWorker(etcdclient::Caller* caller, PhaseKind kind, int64_t ttl_seconds,
              std::vector<int64_t>* leases, int id);

  [[nodiscard]] bool Start(int64_t due_ns) override;
  [[nodiscard]] std::optional<Outcome> Finish(const absl::Status& status) override;
  void Cancel() override;

 private:
  const PhaseKind kind_;
  std::vector<int64_t>* const leases_;
  std::unique_ptr<etcdclient::ReusableCall<etcdclient::pb::LeaseGrantRequest>> grant_;
  std::unique_ptr<etcdclient::ReusableCall<etcdclient::pb::LeaseRevokeRequest>> revoke_;
};

// Renews leases in turn, on a stream of its own. Close it and run the caller until it has ended
// before it goes.
class KeepAliveWorker final : public Worker {
 public:
  KeepAliveWorker(etcdclient::Caller* caller, const std::vector<int64_t>* leases, int id);

  [[nodiscard]] bool Start(int64_t due_ns) override;
  [[nodiscard]] std::optional<Outcome> Finish(const absl::Status& status) override;
  void Cancel() override { stream_->Cancel(); }
  void Close() { stream_->CloseSend(); }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  const std::vector<int64_t>* const leases_;
  size_t next_;
  int64_t lease_ = 0;
  bool busy_ = false;
  bool ended_ = false;
  std::string error_;
  std::unique_ptr<etcdclient::ReusableStream<etcdclient::pb::LeaseKeepAliveRequest,
                                             etcdclient::pb::LeaseKeepAliveResponse>>
      stream_;
};

}  // namespace jetd::bench

#endif  // JETD_BENCH_LEASE_WORKER_H_
