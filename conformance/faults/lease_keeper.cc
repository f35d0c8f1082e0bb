// SPDX-License-Identifier: Apache-2.0
#include "conformance/faults/lease_keeper.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::conformance {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
namespace pb = etcdclient::pb;

constexpr milliseconds kPause{150};
constexpr etcdclient::CallOptions kCall{.timeout = milliseconds(3'000)};
// From one renewal to the next, and how long its answers are waited for.
constexpr milliseconds kRenewEvery{500};
constexpr milliseconds kRenewalWait{1'000};
constexpr size_t kGoneKept = 16;
constexpr milliseconds kPoll{100};

}  // namespace

LeaseKeeper::LeaseKeeper(Options options)
    : options_(std::move(options)), random_(options_.seed), thread_([this] { Run(); }) {}

LeaseKeeper::~LeaseKeeper() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

LeaseKeeper::Counts LeaseKeeper::counts() const {
  MutexLock lock(mutex_);
  return counts_;
}

history::Violations LeaseKeeper::TakeViolations() {
  MutexLock lock(mutex_);
  return std::exchange(violations_, {});
}

void LeaseKeeper::Violate(const char* kind, const std::string& what) {
  MutexLock lock(mutex_);
  violations_.Add(kind, what);
}

void LeaseKeeper::Run() {
  while (!stop_) {
    const std::string& endpoint = options_.endpoints[endpoint_++ % options_.endpoints.size()];
    auto client = etcdclient::Client::Connect({.endpoint = endpoint});
    JETD_CHECK(client.ok()) << client.status();
    const auto stream = (*client)->OpenKeepAlive();
    for (auto& [id, lease] : leases_) lease.renewals.clear();
    bool good = true;
    while (good && !stop_) {
      size_t kept = 0;
      for (const auto& [id, lease] : leases_) kept += lease.kept ? 1 : 0;
      if (kept < options_.kept) Grant(**client, /*kept=*/true);
      if (leases_.size() - kept < options_.left) Grant(**client, /*kept=*/false);
      good = Renew(*stream);
      AskAll(**client);
      if (random_() % 20 == 0) RevokeOne(**client);
      std::this_thread::sleep_for(kPause);
    }
  }
}

void LeaseKeeper::Grant(etcdclient::Client& client, bool kept) {
  pb::LeaseGrantRequest request;
  request.set_id(static_cast<int64_t>(random_() >> 2U) + 1);
  request.set_ttl(kept ? options_.kept_ttl_s : options_.left_ttl_s);
  const auto sent = steady_clock::now();
  const auto response = client.Call(request, kCall);
  // One of unknown fate is left to itself.
  if (!response.ok()) return;
  leases_[response->id()] = {.kept = kept, .alive_until = sent + seconds(response->ttl())};
  MutexLock lock(mutex_);
  ++counts_.granted;
}

bool LeaseKeeper::Renew(etcdclient::KeepAliveStream& stream) {
  size_t asked = 0;
  for (auto& [id, lease] : leases_) {
    if (!lease.kept) continue;
    if (!lease.renewals.empty() && steady_clock::now() < lease.renewals.back() + kRenewEvery) {
      continue;
    }
    pb::LeaseKeepAliveRequest request;
    request.set_id(id);
    lease.renewals.push_back(steady_clock::now());
    stream.Send(std::move(request));
    ++asked;
  }
  for (; asked > 0; --asked) {
    const auto response = stream.Next(kRenewalWait);
    if (response.ok()) {
      TakeRenewal(*response);
    } else {
      // Late answers come in later rounds.
      return response.status().code() == absl::StatusCode::kDeadlineExceeded &&
             MessageOf(response.status()) == "no message in time";
    }
  }
  return true;
}

// Answers come in the order of the renewals of a lease.
void LeaseKeeper::TakeRenewal(const pb::LeaseKeepAliveResponse& response) {
  const auto lease = leases_.find(response.id());
  if (lease == leases_.end()) return;
  if (response.ttl() <= 0) {
    TakeEnd(response.id(), "a renewal");
    return;
  }
  if (lease->second.renewals.empty()) {
    Violate("malformed answer", Cat("a renewal of ", response.id(), " that was not asked for"));
    return;
  }
  const Time sent = lease->second.renewals.front();
  lease->second.renewals.pop_front();
  lease->second.alive_until = std::max(lease->second.alive_until, sent + seconds(response.ttl()));
  MutexLock lock(mutex_);
  ++counts_.renewed;
}

void LeaseKeeper::TakeEnd(int64_t id, const char* how) {
  const Lease lease = leases_[id];
  leases_.erase(id);
  gone_.push_back(id);
  if (gone_.size() > kGoneKept) gone_.pop_front();
  const auto early = duration_cast<milliseconds>(lease.alive_until - steady_clock::now());
  if (early.count() > 0) {
    Violate("lease ended early", Cat("lease ", id, ", by ", how, ": it had ", early.count(),
                                     " ms left", lease.kept ? ", renewed" : ""));
  }
  MutexLock lock(mutex_);
  ++counts_.ended;
}

void LeaseKeeper::RevokeOne(etcdclient::Client& client) {
  if (leases_.empty()) return;
  const int64_t id =
      std::next(leases_.begin(), static_cast<std::ptrdiff_t>(random_() % leases_.size()))->first;
  pb::LeaseRevokeRequest request;
  request.set_id(id);
  const absl::Status status = client.Call(request, kCall).status();
  if (status.code() == absl::StatusCode::kNotFound) {
    TakeEnd(id, "a revoke");
    return;
  }
  // Revoked, or perhaps: nothing is promised of it any more.
  leases_.erase(id);
  if (!status.ok()) return;
  gone_.push_back(id);
  MutexLock lock(mutex_);
  ++counts_.revoked;
}

absl::StatusOr<int64_t> LeaseKeeper::Ask(etcdclient::Client& client, int64_t id) {
  pb::LeaseTimeToLiveRequest request;
  request.set_id(id);
  const auto response = client.Call(request, kCall);
  if (!response.ok()) return response.status();
  MutexLock lock(mutex_);
  ++counts_.asked;
  return response->ttl();
}

void LeaseKeeper::AskAll(etcdclient::Client& client) {
  std::vector<int64_t> ids;
  for (const auto& [id, lease] : leases_) ids.push_back(id);
  for (const int64_t id : ids) {
    const auto left = Ask(client, id);
    if (!left.ok()) return;
    if (*left < 0) TakeEnd(id, "asking");
  }
  for (const int64_t id : gone_) {
    const auto left = Ask(client, id);
    if (!left.ok()) return;
    if (*left >= 0) {
      Violate("lease came back", Cat("lease ", id, " had ended, and has ", *left, " s again"));
    }
  }
}

void LeaseKeeper::Settle(milliseconds patience) {
  stop_ = true;
  thread_.join();
  auto client = etcdclient::Client::Connect({.endpoint = options_.endpoints[0]});
  JETD_CHECK(client.ok()) << client.status();
  // The clocks of all may have been set anew a moment ago.
  const auto deadline =
      steady_clock::now() + seconds(std::max(options_.kept_ttl_s, options_.left_ttl_s)) + patience;
  while (!leases_.empty()) {
    AskAll(**client);
    if (steady_clock::now() > deadline) {
      Violate("lease does not end",
              Cat(leases_.size(), " leases that nobody renews are still there, ", patience.count(),
                  " ms after their time"));
      return;
    }
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace jetd::conformance
