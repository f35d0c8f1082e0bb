// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_LEASE_BOOK_H_
#define JETD_CONFORMANCE_SIM_LEASE_BOOK_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/types.h"
#include "conformance/sim/ledger.h"
#include "conformance/sim/run.h"
#include "revision/store.h"

namespace jetd::conformance::sim {

// LeaseBook is the ledger of leases: which were asked for, granted and gone, as the first member
// that commits it says, and until when each was promised to live.
class LeaseBook {
 public:
  struct Lease {
    int64_t ttl_s = 0;
    bool granted = false;  // by a member
    bool refused = false;  // a client was told that it will not be granted
    int revokes = 0;       // asked for by clients and not refused
    int renewals = 0;      // asked for and not answered
    // It does not end before the one, and nobody may be told that it ends after the other, unless
    // it is being renewed.
    MonoTime safe_until{0};
    MonoTime latest_end{0};
    std::optional<MonoTime> gone;
  };

  LeaseBook(Run* run, const Ledger* ledger) : run_(run), ledger_(ledger) {}

  // What members tell.
  void OnGranted(const std::string& member, LeaseId id, int64_t ttl_s);
  void OnGone(const std::string& member, LeaseId id);
  void OnLeading(const std::string& member, Term term, const revision::Store& store);

  // A lease that a client is about to ask for.
  LeaseId Ask(int64_t ttl_s);
  // A client was told that it lives on from now, or if another leader came since it asked, from
  // then on: what the other one knows is no younger.
  struct Asked {
    MonoTime at;
    uint64_t leaders;
    MonoTime safe_until{0};  // of one lease, as promised then
  };
  [[nodiscard]] Asked AskNow() const {
    return {run_->exec.Now(), run_->tally.leaders, MonoTime(0)};
  }
  [[nodiscard]] Asked AskNow(LeaseId id) {
    return {run_->exec.Now(), run_->tally.leaders, leases_[id].safe_until};
  }
  void Renew(LeaseId id, const Asked& asked);
  // A keepalive was sent; it was answered, or nobody will be told.
  void BeginRenewal(LeaseId id) { ++leases_[id].renewals; }
  void EndRenewal(LeaseId id);
  // What is left of it as far as any answer may say, for a question of `asked`. It may be put to a
  // leader that another one has followed since, which gave every lease its full time again: then
  // what was promised before counts.
  [[nodiscard]] MonoTime LeastLeft(LeaseId id, const Asked& asked) const;
  [[nodiscard]] MonoTime MostLeft(LeaseId id) const;
  [[nodiscard]] Lease& Of(LeaseId id) { return leases_[id]; }
  [[nodiscard]] const std::map<LeaseId, Lease>& all() const { return leases_; }
  // True unless it is surely there: nobody may be told so otherwise.
  [[nodiscard]] bool MayBeMissing(LeaseId id) const;
  [[nodiscard]] std::vector<LeaseId> Gone() const;
  // The end of this lease explains that these keys, and no others, were deleted at `revision`.
  [[nodiscard]] bool ExplainsDeletion(LeaseId id, Revision revision) const;
  [[nodiscard]] size_t living() const;
  // All that nobody renewed is over.
  void JudgeExpired();

 private:
  // A member that may lead gives it its full time now.
  void Extend(Lease* lease);

  Run* const run_;
  const Ledger* const ledger_;
  Term term_;  // highest
  std::map<LeaseId, Lease> leases_;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_LEASE_BOOK_H_
