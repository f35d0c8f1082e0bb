// SPDX-License-Identifier: Apache-2.0
#include "conformance/mirrors/random_writer.h"

#include <chrono>
#include <thread>
#include <utility>

#include "base/strings.h"

namespace jetd::conformance {
namespace {

namespace pb = etcdclient::pb;
using Step = ClientLog::Step;

// Longer than a server that was killed takes to come back, and a mirror's link to be mended.
constexpr std::chrono::minutes kPatience{4};
constexpr int64_t kLongTtlS = 100'000;  // none of them ends by itself

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

pb::PutRequest PutOf(const ClientLog::Write& write) {
  pb::PutRequest put;
  put.set_key(write.key);
  put.set_value(write.value);
  put.set_lease(write.lease);
  return put;
}

pb::DeleteRangeRequest DeleteOf(const std::string& key) {
  pb::DeleteRangeRequest request;
  request.set_key(key);
  return request;
}

template <typename Response>
absl::StatusOr<int64_t> RevisionOf(const absl::StatusOr<Response>& answer) {
  if (!answer.ok()) return answer.status();
  return answer->header().revision();
}

}  // namespace

std::string RandomWriter::AnyKey() {
  std::string number = Cat(Pick(options_.keys));
  number.insert(0, 4 - std::min<size_t>(4, number.size()), '0');
  return Cat("/registry/", number[3] < '5' ? "pods" : "configmaps", "/ns", number[3], "/", number);
}

std::string RandomWriter::AnyValue() {
  const size_t size = Pick(100) == 0 ? 20'000 : Pick(300);
  return Cat("value ", ++number_, " ", std::string(size, static_cast<char>('a' + Pick(26))));
}

int64_t RandomWriter::AnyLease() {
  const auto& leases = log_.now().leases;
  if (leases.empty() || Pick(100) >= 25) return 0;
  auto chosen = leases.begin();
  std::advance(chosen, Pick(leases.size()));
  return chosen->first;
}

Step RandomWriter::AnyTransaction() {
  std::map<std::string, bool> keys;  // true: it is written
  for (size_t i = 2 + Pick(5); i > 0; --i) keys[AnyKey()] = Pick(3) > 0;
  Step step;
  for (const auto& [key, written] : keys) {
    if (written) {
      step.writes.push_back({key, AnyValue(), AnyLease()});
    } else {
      step.deletes.push_back(key);
    }
  }
  return step;
}

Step RandomWriter::AnyStep() {
  const size_t what = Pick(100);
  if (what < 60) return {.writes = {{AnyKey(), AnyValue(), AnyLease()}}};
  if (what < 73) return {.deletes = {AnyKey()}};
  if (what < 92) return AnyTransaction();
  const auto& leases = log_.now().leases;
  if (leases.empty() || (what < 97 && leases.size() < 20)) {
    return {.grant = ++last_lease_, .ttl_s = kLongTtlS + last_lease_};
  }
  auto chosen = leases.begin();
  std::advance(chosen, Pick(leases.size()));
  return {.revoke = chosen->first};
}

absl::StatusOr<int64_t> RandomWriter::Ask(const Step& step) {
  if (step.grant != 0) {
    pb::LeaseGrantRequest grant;
    grant.set_id(step.grant);
    grant.set_ttl(step.ttl_s);
    return RevisionOf(client_->Call(grant));
  }
  if (step.revoke != 0) {
    pb::LeaseRevokeRequest revoke;
    revoke.set_id(step.revoke);
    return RevisionOf(client_->Call(revoke));
  }
  if (step.writes.size() + step.deletes.size() == 1) {
    if (step.deletes.empty()) return RevisionOf(client_->Call(PutOf(step.writes.front())));
    return RevisionOf(client_->Call(DeleteOf(step.deletes.front())));
  }
  pb::TxnRequest txn;
  for (const std::string& key : step.deletes) {
    *txn.add_success()->mutable_request_delete_range() = DeleteOf(key);
  }
  for (const ClientLog::Write& write : step.writes) {
    *txn.add_success()->mutable_request_put() = PutOf(write);
  }
  return RevisionOf(client_->Call(txn));
}

template <typename Request>
auto RandomWriter::AskUntilAnswered(const Request& request) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    auto answer = client_->Call(request);
    if (answer.ok() || std::chrono::steady_clock::now() > end) return answer;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

absl::StatusOr<bool> RandomWriter::HasHappened(const Step& step) {
  if (step.grant != 0 || step.revoke != 0) {
    const auto answer = AskUntilAnswered(pb::LeaseLeasesRequest());
    if (!answer.ok()) return answer.status();
    bool there = false;
    for (const auto& lease : answer->leases()) {
      there = there || lease.id() == (step.grant != 0 ? step.grant : step.revoke);
    }
    return there == (step.grant != 0);
  }
  pb::RangeRequest range;
  range.set_key("/");
  const auto revision = RevisionOf(AskUntilAnswered(range));
  if (!revision.ok()) return revision.status();
  const int64_t before = log_.now().revision, after = log_.RevisionAfter(step);
  if (*revision != before && *revision != after) {
    violations_.Add("revision",
                    Cat("the store is at ", *revision, " after a failed call; it was at ", before,
                        " before, and the call can have made it ", after));
  }
  return *revision != before;
}

absl::Status RandomWriter::DoStep(Step step) {
  step.asked_ns = NowNs();
  const int64_t expected = log_.RevisionAfter(step);
  const auto answered = Ask(step);
  if (answered.ok()) {
    if (*answered != expected) {
      violations_.Add("revision",
                      Cat("an answer says revision ", *answered, " and not ", expected));
    }
  } else {
    ++failed_;
    const auto happened = HasHappened(step);
    if (!happened.ok()) return happened.status();
    if (!*happened) return absl::OkStatus();
    ++failed_and_happened_;
  }
  step.known_ns = NowNs();
  log_.Do(std::move(step));
  return absl::OkStatus();
}

absl::Status RandomWriter::Compact() {
  const int64_t newest = log_.now().revision;
  const int64_t at = newest - static_cast<int64_t>(Pick(options_.steps / 20 + 1));
  if (at <= compacted_) return absl::OkStatus();
  pb::CompactionRequest compact;
  compact.set_revision(at);
  const auto answer = AskUntilAnswered(compact);
  // A call that failed may have happened, and the next one says that it has.
  if (answer.ok() || MessageOf(answer.status()).find("has been compacted") != std::string::npos) {
    compacted_ = at;
    return absl::OkStatus();
  }
  return answer.status();
}

absl::Status RandomWriter::Run() {
  auto client = etcdclient::Client::Connect({.endpoint = options_.endpoint});
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  const size_t pause = options_.steps / (options_.compactions + 1) + 1;
  for (size_t i = 1; i <= options_.steps; ++i) {
    while (options_.allowed != nullptr && i > options_.allowed->load()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (absl::Status status = DoStep(AnyStep()); !status.ok()) return status;
    if (i % pause == 0) {
      if (absl::Status status = Compact(); !status.ok()) return status;
    }
    done_.store(i);
  }
  client_.reset();
  return absl::OkStatus();
}

}  // namespace jetd::conformance
