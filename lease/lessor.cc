// SPDX-License-Identifier: Apache-2.0
#include "lease/lessor.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "revision/repeated_warning.h"

namespace jetd::lease {
namespace {

// A lease of the largest TTL ends after the clock does.
MonoTime EndOf(MonoTime now, int64_t ttl_s) {
  constexpr int64_t kLastSecond = std::numeric_limits<int64_t>::max() / 1'000'000'000;
  const int64_t now_s = now.count() / 1'000'000'000 + 1;
  if (ttl_s >= kLastSecond - now_s) return MonoTime::max();
  return now + std::chrono::seconds(ttl_s);
}

}  // namespace

struct Lessor::Impl {
  // One lease. It is in `due` unless it is being revoked or a keepalive of it waits for a barrier.
  struct Lease {
    int64_t ttl_s = 0;
    MonoTime end{};
    size_t keepalives = 0;  // that wait for their barrier
    bool revoking = false;
    // Keepalives that came while it was being revoked.
    std::vector<KeepAliveDone> waiting;
  };

  Impl(Executor* executor_in, revision::Committer* committer_in, const revision::Store* store_in,
       Options options_in)
      : executor(executor_in),
        committer(committer_in),
        store(store_in),
        options(options_in),
        not_yet(executor_in, [](const std::string& line) { log::Warn("{}", line); }) {}
  ~Impl() { Disarm(); }

  // Runs fn(status) after a barrier, unless the lessor is gone by then. A member that was
  // superseded meanwhile gets its barrier from the one that leads now, whose clocks are other ones:
  // kNoLeader.
  template <typename Fn>
  void AfterBarrier(Fn fn) {
    committer->Barrier([this, weak = std::weak_ptr<Impl*>(alive),
                        fn = std::move(fn)](const absl::Status& status) mutable {
      if (weak.lock() == nullptr) return;
      fn(status.ok() && !leading ? MakeError(Errc::kNoLeader, "another member leads") : status);
    });
  }

  void Add(LeaseId id, int64_t ttl_s);
  void KeepAlive(LeaseId id, KeepAliveDone done);
  void OnKeepAliveBarrier(LeaseId id, Lease* counted, const absl::Status& status,
                          KeepAliveDone done);
  void OnGone(LeaseId id);

  void Arm();
  void Disarm();
  void OnTimer();
  // Proves that this member leads and NATS answers, then lets what is due expire.
  void Check();
  void OnChecked(const absl::Status& status, MonoTime asked);
  // False if there were too many in a row.
  bool GiveGrace(const char* why);
  void ExpireDue();
  void OnRevoked(LeaseId id, const absl::Status& status);

  // Constant.
  Executor* const executor;
  revision::Committer* const committer;
  const revision::Store* const store;
  const Options options;

  // Of expired leases, each of which is tried again each second.
  revision::RepeatedWarning not_yet;
  bool leading = false;
  absl::flat_hash_map<LeaseId, std::shared_ptr<Lease>> leases;
  std::set<std::pair<MonoTime, LeaseId>> due;
  size_t revoking = 0;
  MonoTime not_before{};  // nothing expires before
  int graces = 0;         // in a row
  bool away = false;      // the last barrier failed
  bool checking = false;
  TimerId timer = 0;
  MonoTime armed_for{};
  Stats stats;
  std::shared_ptr<Impl*> alive = std::make_shared<Impl*>(this);
};

// ---- Leases come, are renewed, and go -----------------------------------------------------------

void Lessor::Impl::Add(LeaseId id, int64_t ttl_s) {
  auto lease = std::make_shared<Lease>();
  lease->ttl_s = ttl_s;
  lease->end = EndOf(executor->Now(), ttl_s);
  due.emplace(lease->end, id);
  leases[id] = std::move(lease);
  Arm();
}

void Lessor::Impl::OnGone(LeaseId id) {
  auto node = leases.extract(id);
  if (node.empty()) return;
  const std::shared_ptr<Lease> lease = std::move(node.mapped());
  due.erase({lease->end, id});
  ++stats.revoked;
  for (const KeepAliveDone& done : lease->waiting) done(0);
}

void Lessor::Impl::KeepAlive(LeaseId id, KeepAliveDone done) {
  std::shared_ptr<Lease> counted;
  if (auto it = leases.find(id); it != leases.end() && !it->second->revoking) {
    counted = it->second;
    due.erase({counted->end, id});
    ++counted->keepalives;
  }
  AfterBarrier([this, id, counted, done = std::move(done)](const absl::Status& status) mutable {
    OnKeepAliveBarrier(id, counted.get(), status, std::move(done));
  });
}

void Lessor::Impl::OnKeepAliveBarrier(LeaseId id, Lease* counted, const absl::Status& status,
                                      KeepAliveDone done) {
  if (counted != nullptr) --counted->keepalives;
  auto it = leases.find(id);
  if (it == leases.end()) {
    // It may have ended while this member does not lead: only a barrier knows.
    status.ok() ? done(0) : done(status);
    return;
  }
  Lease& lease = *it->second;
  if (lease.revoking) {
    lease.waiting.push_back(std::move(done));
    return;
  }
  due.erase({lease.end, id});
  if (status.ok()) {
    lease.end = EndOf(executor->Now(), lease.ttl_s);
    ++stats.renewed;
  }
  if (lease.keepalives == 0) due.emplace(lease.end, id);
  Arm();
  status.ok() ? done(lease.ttl_s) : done(status);
}

// ---- Expiry -------------------------------------------------------------------------------------

void Lessor::Impl::Disarm() {
  if (timer != 0) executor->Cancel(std::exchange(timer, 0));
}

void Lessor::Impl::Arm() {
  if (!leading || checking || due.empty()) return;
  const MonoTime wanted = std::max(due.begin()->first, not_before);
  // One that is too early finds nothing to do and is set anew; keepalives need not move it.
  if (timer != 0 && armed_for <= wanted) return;
  Disarm();
  armed_for = wanted;
  timer = executor->RunAt(wanted, [this] {
    timer = 0;
    OnTimer();
  });
}

void Lessor::Impl::OnTimer() {
  const MonoTime now = executor->Now();
  const bool late = now - armed_for > limits::kLeaseStall;
  if (late) GiveGrace("the engine stood still");
  if (!due.empty() && due.begin()->first <= now && not_before <= now) {
    Check();
    return;
  }
  // Whoever was given time has used it.
  if (!late && (due.empty() || due.begin()->first > now)) graces = 0;
  Arm();
}

bool Lessor::Impl::GiveGrace(const char* why) {
  if (graces == limits::kLeaseMaxGraces) return false;
  ++graces;
  log::Warn("{}: no lease expires for {} s", why, limits::kLeaseGrace.count());
  not_before = executor->Now() + limits::kLeaseGrace;
  return true;
}

void Lessor::Impl::Check() {
  checking = true;
  // NATS has to answer: while it is frozen clients cannot have renewed a lease by a write of
  // theirs.
  committer->RoundTrip(
      [this, weak = std::weak_ptr<Impl*>(alive), asked = executor->Now()](const auto& status) {
        if (weak.lock() == nullptr) return;
        checking = false;
        OnChecked(status, asked);
      });
}

void Lessor::Impl::OnChecked(const absl::Status& status, MonoTime asked) {
  if (!leading) return;
  const MonoTime now = executor->Now();
  if (!status.ok()) {
    away = true;
    not_before = now + limits::kLeaseExpiryRetry;
  } else {
    const bool stalled = std::exchange(away, false) || now - asked > limits::kLeaseStall;
    if (!stalled || !GiveGrace("NATS was away")) ExpireDue();
  }
  Arm();
}

void Lessor::Impl::ExpireDue() {
  const MonoTime now = executor->Now();
  graces = 0;
  std::vector<LeaseId> expired;
  for (auto it = due.begin(); it != due.end() && it->first <= now; it = due.erase(it)) {
    if (revoking + expired.size() == limits::kLeaseExpiryBatch) {
      not_before = now + limits::kLeaseExpiryPause;
      break;
    }
    expired.push_back(it->second);
  }
  for (const LeaseId id : expired) {
    leases[id]->revoking = true;
    ++revoking;
    committer->RevokeLease(
        id, [this, weak = std::weak_ptr<Impl*>(alive), id](const absl::StatusOr<Revision>& result) {
          if (weak.lock() != nullptr) OnRevoked(id, result.status());
        });
  }
}

void Lessor::Impl::OnRevoked(LeaseId id, const absl::Status& status) {
  --revoking;
  if (status.ok()) {
    ++stats.expired;
    return;
  }
  auto it = leases.find(id);
  if (it == leases.end()) return;  // gone all the same
  Lease& lease = *it->second;
  lease.revoking = false;
  due.emplace(lease.end, id);
  not_before = std::max(not_before, executor->Now() + limits::kLeaseExpiryRetry);
  not_yet.Say(status, "cannot revoke expired leases yet");
  // They ask again, behind a barrier of their own.
  for (KeepAliveDone& done : std::exchange(lease.waiting, {})) KeepAlive(id, std::move(done));
  Arm();
}

// ---- The public face ----------------------------------------------------------------------------

Lessor::Lessor(Executor* executor, revision::Committer* committer, const revision::Store* store,
               Options options)
    : impl_(std::make_unique<Impl>(executor, committer, store, options)) {}

Lessor::~Lessor() = default;

void Lessor::Grant(LeaseId id, int64_t ttl_s, GrantDone done) {
  if (ttl_s > limits::kMaxLeaseTtlSeconds) {
    absl::Status why = impl_->committer->alarms().RefusalOfGrant();
    if (why.ok()) why = MakeError(Errc::kLeaseTtlTooLarge);
    impl_->executor->Defer([done = std::move(done), why] { done(why); });
    return;
  }
  impl_->committer->GrantLease(
      id, std::max(ttl_s, impl_->options.min_ttl_s),
      [done = std::move(done)](const absl::StatusOr<revision::Store::LeaseInfo>& lease) {
        if (!lease.ok()) return done(lease.status());
        done(Granted{lease->id, lease->ttl_s});
      });
}

void Lessor::Revoke(LeaseId id, RevokeDone done) {
  impl_->committer->RevokeLease(id, std::move(done));
}

void Lessor::KeepAlive(LeaseId id, KeepAliveDone done) { impl_->KeepAlive(id, std::move(done)); }

void Lessor::TimeToLive(LeaseId id, WithKeys with_keys, TimeToLiveDone done) {
  impl_->AfterBarrier(
      [impl = impl_.get(), id, with_keys, done = std::move(done)](const absl::Status& status) {
        if (!status.ok()) return done(status);
        TimeToLiveResult result;
        result.id = id;
        if (auto it = impl->leases.find(id); it != impl->leases.end()) {
          // One that is overdue is still there.
          const MonoTime left = std::max(it->second->end - impl->executor->Now(), MonoTime::zero());
          result.ttl_s = std::chrono::duration_cast<std::chrono::seconds>(left).count();
          result.granted_ttl_s = it->second->ttl_s;
          if (with_keys == WithKeys::kYes) {
            result.keys = impl->store->LeaseKeys(id, revision::Store::View::kCommitted);
          }
        }
        done(std::move(result));
      });
}

void Lessor::Leases(LeasesDone done) {
  impl_->AfterBarrier([impl = impl_.get(), done = std::move(done)](const absl::Status& status) {
    if (!status.ok()) return done(status);
    std::vector<std::pair<MonoTime, LeaseId>> by_end;
    by_end.reserve(impl->leases.size());
    for (const auto& [id, lease] : impl->leases) by_end.emplace_back(lease->end, id);
    std::sort(by_end.begin(), by_end.end());
    std::vector<LeaseId> ids;
    ids.reserve(by_end.size());
    for (const auto& [end, id] : by_end) ids.push_back(id);
    done(std::move(ids));
  });
}

Lessor::Stats Lessor::stats() const {
  Stats stats = impl_->stats;
  stats.leases = impl_->leases.size();
  return stats;
}

void Lessor::OnLeading(Term /*term*/) {
  impl_->leading = true;
  impl_->leases.clear();
  impl_->due.clear();
  for (const revision::Store::LeaseInfo& lease : impl_->store->Leases()) {
    impl_->Add(lease.id, std::max(lease.ttl_s, impl_->options.min_ttl_s));
  }
}

void Lessor::OnLeaseGranted(LeaseId id, int64_t ttl_s) {
  impl_->Add(id, ttl_s);
  ++impl_->stats.granted;
}

void Lessor::OnLeaseGone(LeaseId id) { impl_->OnGone(id); }

void Lessor::OnStepDown(const absl::Status& /*why*/) {
  impl_->leading = false;
  impl_->Disarm();
}

}  // namespace jetd::lease
