// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/lease_book.h"

#include <algorithm>
#include <set>

namespace jetd::conformance::sim {

LeaseId LeaseBook::Ask(int64_t ttl_s) {
  const LeaseId id(static_cast<int64_t>(leases_.size()) + 1);
  leases_[id].ttl_s = ttl_s;
  return id;
}

void LeaseBook::Renew(LeaseId id, const Asked& asked) {
  Lease& lease = leases_[id];
  const MonoTime from = asked.leaders == run_->tally.leaders ? run_->exec.Now() : asked.at;
  lease.safe_until = std::max(lease.safe_until, from + std::chrono::seconds(lease.ttl_s));
}

void LeaseBook::Extend(Lease* lease) {
  lease->latest_end =
      std::max(lease->latest_end, run_->exec.Now() + std::chrono::seconds(lease->ttl_s));
}

void LeaseBook::EndRenewal(LeaseId id) {
  Lease& lease = leases_[id];
  --lease.renewals;
  Extend(&lease);
}

MonoTime LeaseBook::LeastLeft(LeaseId id, const Asked& asked) const {
  const bool same = asked.leaders == run_->tally.leaders;
  return (same ? leases_.at(id).safe_until : asked.safe_until) - run_->exec.Now();
}

MonoTime LeaseBook::MostLeft(LeaseId id) const {
  const Lease& lease = leases_.at(id);
  const MonoTime full = std::chrono::seconds(lease.ttl_s);
  if (lease.renewals > 0) return full;
  return std::clamp(lease.latest_end - run_->exec.Now(), MonoTime(0), full);
}

bool LeaseBook::MayBeMissing(LeaseId id) const {
  const auto found = leases_.find(id);
  return found == leases_.end() || !found->second.granted || found->second.gone.has_value();
}

void LeaseBook::OnGranted(const std::string& member, LeaseId id, int64_t ttl_s) {
  const auto found = leases_.find(id);
  if (found == leases_.end()) {
    return run_->Fail(member, " grants lease ", id.value(), ", which nobody asked for");
  }
  Lease& lease = found->second;
  if (lease.refused) run_->Fail(member, " grants lease ", id.value(), ", which was refused");
  if (lease.ttl_s != ttl_s) run_->Fail(member, " grants lease ", id.value(), " for ", ttl_s, " s");
  Extend(&lease);
  if (lease.granted) return;
  run_->Trace(member, " grants lease ", id.value(), " for ", ttl_s, " s");
  lease.granted = true;
  Renew(id, AskNow());
}

void LeaseBook::OnGone(const std::string& member, LeaseId id) {
  Lease& lease = leases_[id];
  if (!lease.granted) run_->Fail(member, " ends lease ", id.value(), ", which was never granted");
  if (lease.gone) return;
  const MonoTime now = run_->exec.Now();
  run_->Trace(member, " ends lease ", id.value());
  lease.gone = now;
  const std::vector<std::string> keys = ledger_->KeysOf(id, ledger_->newest());
  if (!keys.empty()) run_->Fail("lease ", id.value(), " is gone, and ", keys[0], " is still there");
  if (lease.revokes > 0) return;
  ++run_->tally.expired;
  if (now < lease.safe_until) {
    run_->Fail(member, " ends lease ", id.value(), " ",
               (lease.safe_until - now).count() / 1'000'000, " ms too early");
  }
}

void LeaseBook::OnLeading(const std::string& member, Term term, const revision::Store& store) {
  // Another one may have taken over before this one learned that it leads.
  if (term < term_) {
    for (const revision::Store::LeaseInfo& info : store.Leases()) Extend(&leases_[info.id]);
    return;
  }
  term_ = term;
  std::set<LeaseId> there;
  for (const revision::Store::LeaseInfo& info : store.Leases()) {
    there.insert(info.id);
    OnGranted(member, info.id, info.ttl_s);
    Lease& lease = leases_[info.id];
    if (lease.gone) run_->Fail(member, " brings lease ", info.id.value(), " back");
    Renew(info.id, AskNow());  // it gives every lease its full time again
    std::vector<std::string> keys = store.LeaseKeys(info.id);
    std::sort(keys.begin(), keys.end());
    if (keys != ledger_->KeysOf(info.id, ledger_->newest())) {
      run_->Fail(member, " has other keys on lease ", info.id.value());
    }
  }
  for (auto& [id, lease] : leases_) {
    if (lease.granted && !lease.gone && there.count(id) == 0) OnGone(member, id);
  }
}

std::vector<LeaseId> LeaseBook::Gone() const {
  std::vector<LeaseId> gone;
  for (const auto& [id, lease] : leases_) {
    if (lease.gone) gone.push_back(id);
  }
  return gone;
}

bool LeaseBook::ExplainsDeletion(LeaseId id, Revision revision) const {
  std::vector<std::string> deleted;
  for (const Version& v : ledger_->At(revision)) {
    if (!v.tombstone) return false;
    deleted.push_back(v.key);
  }
  std::sort(deleted.begin(), deleted.end());
  return ledger_->KeysOf(id, revision.Prev()) == deleted;
}

size_t LeaseBook::living() const {
  return static_cast<size_t>(std::count_if(leases_.begin(), leases_.end(), [](const auto& one) {
    return one.second.granted && !one.second.gone;
  }));
}

void LeaseBook::JudgeExpired() {
  for (const auto& [id, lease] : leases_) {
    if (lease.granted && !lease.gone && lease.safe_until < run_->exec.Now()) {
      run_->Fail("lease ", id.value(), " of ", lease.ttl_s, " s lives on for ",
                 (run_->exec.Now() - lease.safe_until).count() / 1'000'000, " ms");
    }
  }
}

}  // namespace jetd::conformance::sim
