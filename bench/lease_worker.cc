// SPDX-License-Identifier: Apache-2.0
#include "bench/lease_worker.h"

#include <utility>

#include "base/strings.h"

namespace jetd::bench {

namespace pb = etcdclient::pb;

LeaseWorker::LeaseWorker(etcdclient::Caller* caller, PhaseKind kind, int64_t ttl_seconds,
                         std::vector<int64_t>* leases, int id)
    : kind_(kind), leases_(leases) {
  const auto answered = [this](const absl::Status& status) { Answered(status); };
  grant_ = caller->NewCall<pb::LeaseGrantRequest>(id, answered);
  grant_->request().set_ttl(ttl_seconds);
  revoke_ = caller->NewCall<pb::LeaseRevokeRequest>(id, answered);
}

bool LeaseWorker::Start(int64_t /*due_ns*/) {
  if (kind_ == PhaseKind::kLeaseGrant) {
    grant_->Start();
    return true;
  }
  if (leases_->empty()) return false;
  revoke_->request().set_id(leases_->back());
  leases_->pop_back();
  revoke_->Start();
  return true;
}

std::optional<Outcome> LeaseWorker::Finish(const absl::Status& status) {
  if (!status.ok()) return Outcome{.error = std::string(MessageOf(status))};
  if (kind_ != PhaseKind::kLeaseGrant) return Outcome{};
  const pb::LeaseGrantResponse& answer = grant_->response();
  if (answer.id() == 0) return Outcome{.error = "a lease without a number was granted"};
  if (answer.ttl() != grant_->request().ttl()) {
    return Outcome{.error = Cat("a lease of ", answer.ttl(), " s was granted")};
  }
  leases_->push_back(answer.id());
  return Outcome{};
}

void LeaseWorker::Cancel() {
  if (kind_ == PhaseKind::kLeaseGrant) {
    grant_->Cancel();
  } else {
    revoke_->Cancel();
  }
}

KeepAliveWorker::KeepAliveWorker(etcdclient::Caller* caller, const std::vector<int64_t>* leases,
                                 int id)
    : leases_(leases), next_(static_cast<size_t>(id)) {
  stream_ = caller->NewStream<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>(
      id, {.on_message =
               [this](const pb::LeaseKeepAliveResponse& answer) {
                 if (answer.id() != lease_) error_ = Cat("renewed ", answer.id(), " for ", lease_);
                 if (answer.ttl() <= 0) error_ = Cat("lease ", lease_, " is gone");
                 if (busy_) Answered(absl::OkStatus());
               },
           .on_end =
               [this](const absl::Status& status) {
                 ended_ = true;
                 error_ = Cat("the stream ended: ", MessageOf(status));
                 if (busy_) Answered(status);
               }});
}

bool KeepAliveWorker::Start(int64_t /*due_ns*/) {
  if (leases_->empty() || ended_) return false;
  lease_ = (*leases_)[next_ % leases_->size()];
  next_ += 61;
  pb::LeaseKeepAliveRequest request;
  request.set_id(lease_);
  stream_->Send(std::move(request));
  busy_ = true;
  return true;
}

std::optional<Outcome> KeepAliveWorker::Finish(const absl::Status& /*status*/) {
  busy_ = false;
  return Outcome{.error = std::exchange(error_, "")};
}

}  // namespace jetd::bench
