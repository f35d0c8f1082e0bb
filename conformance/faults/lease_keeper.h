// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_FAULTS_LEASE_KEEPER_H_
#define JETD_CONFORMANCE_FAULTS_LEASE_KEEPER_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "conformance/history/violations.h"
#include "etcdclient/client.h"

namespace jetd::conformance {

// A client with leases that survives what happens to the server, and what leases promise:
//
//   - a lease lives at least its TTL from the moment at which the last renewal that was answered
//   was
//     sent, however often the server dies and freezes meanwhile;
//   - one that was revoked or has ended stays so;
//   - one that nobody renews ends (Settle).
//
// The leases have no keys, so that they add no revision to a history that is taken meanwhile.
//
// Thread rules: made, settled and read by one thread; it has one of its own.
class LeaseKeeper {
 public:
  struct Options {
    std::vector<std::string> endpoints;  // in turn, a new one after each lost stream
    uint64_t seed = 1;
    size_t kept = 6;  // renewed all the time
    int64_t kept_ttl_s = 6;
    size_t left = 4;  // granted and never renewed
    int64_t left_ttl_s = 3;
  };
  struct Counts {
    size_t granted = 0, renewed = 0, revoked = 0, ended = 0, asked = 0;
  };

  explicit LeaseKeeper(Options options);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  // No fault comes any more: stops renewing, and waits until all leases have ended; one that has
  // not in its TTL and `patience` is a violation. The keeper is done then.
  void Settle(std::chrono::milliseconds patience);

  [[nodiscard]] Counts counts() const;
  [[nodiscard]] history::Violations TakeViolations();

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Lease {
    bool kept = false;
    Time alive_until;
    std::deque<Time> renewals;  // sent on this stream and not answered
  };

  void Run();
  void Grant(etcdclient::Client& client, bool kept);
  // False: the stream is of no more use.
  bool Renew(etcdclient::KeepAliveStream& stream);
  void TakeRenewal(const etcdclient::pb::LeaseKeepAliveResponse& response);
  void RevokeOne(etcdclient::Client& client);
  // The seconds left, -1 for one that is not there.
  [[nodiscard]] absl::StatusOr<int64_t> Ask(etcdclient::Client& client, int64_t id);
  void AskAll(etcdclient::Client& client);
  void TakeEnd(int64_t id, const char* how);
  void Violate(const char* kind, const std::string& what);

  const Options options_;
  std::atomic<bool> stop_{false};

  // The thread's; after its end the owner's.
  std::mt19937_64 random_;
  std::map<int64_t, Lease> leases_;
  std::deque<int64_t> gone_;  // the newest of those that ended
  size_t endpoint_ = 0;

  mutable Mutex mutex_;
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  history::Violations violations_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_FAULTS_LEASE_KEEPER_H_
