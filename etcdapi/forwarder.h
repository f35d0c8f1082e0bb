// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_FORWARDER_H_
#define JETD_ETCDAPI_FORWARDER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/executor.h"
#include "base/limits.h"
#include "revision/committer.h"
#include "revision/peers.h"
#include "rpc/status.h"

namespace jetd::etcdapi {

// Forwarder brings calls that only the leader can serve to it, while another member leads: the
// method's name and the request's bytes go there, the answer's bytes or the error come back. A call
// is made again only when it certainly was not taken: nobody leads, or who led says that it leads
// no more. An answer is given when this member has applied what the leader had committed then, so
// that a client reads here what it wrote. Without a leader for limits::kUnavailableAfter:
// Unavailable, "no leader"; with one that goes before it has answered: "request timed out", since
// the call may have happened.
//
// Thread rules: engine thread only. Whoever it is made of outlives it.
class Forwarder {
 public:
  using DoneFn = std::function<void(const rpc::Status& status, const std::string& answer)>;
  using RunFn =
      std::function<void(const std::string& method, const std::string& request, DoneFn done)>;

  // `run` runs a call in this process, should it have come to lead meanwhile.
  Forwarder(Executor* executor, revision::Committer* committer, revision::Peers* peers,
            uint64_t member_id, RunFn run, size_t max_bytes = limits::kMaxQueuedBytes)
      : executor_(executor),
        committer_(committer),
        peers_(peers),
        member_id_(member_id),
        run_(std::move(run)),
        max_bytes_(max_bytes) {}
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  [[nodiscard]] bool Wanted() const { return committer_->elsewhere(); }
  // `method` as "etcdserverpb.KV/Put". Beyond limits::kMaxQueuedRequests, or `max_bytes` of them,
  // under way: "too many requests". `done` never comes from inside the call.
  void Forward(std::string method, std::string request, DoneFn done);

 private:
  struct Attempt {
    std::string method;
    std::string request;
    DoneFn done;
    MonoTime until;
    std::chrono::milliseconds delay{0};
  };
  void Try(const std::shared_ptr<Attempt>& attempt);
  void TryLater(const std::shared_ptr<Attempt>& attempt);
  void OnCalled(const std::shared_ptr<Attempt>& attempt, revision::Peers::Called called);

  Executor* const executor_;
  revision::Committer* const committer_;
  revision::Peers* const peers_;
  const uint64_t member_id_;
  const RunFn run_;
  const size_t max_bytes_;
  size_t under_way_ = 0;
  size_t bytes_under_way_ = 0;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_FORWARDER_H_
