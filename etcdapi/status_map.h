// SPDX-License-Identifier: Apache-2.0
//
// The only place that knows gRPC's codes and etcd's error texts. Clients match on both, so they are
// etcd's to the letter (server 3.5.30, package rpctypes); what etcd has no word for is marked as
// jetd's own. Pure functions, any thread.
#ifndef JETD_ETCDAPI_STATUS_MAP_H_
#define JETD_ETCDAPI_STATUS_MAP_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "rpc/status.h"

namespace jetd::etcdapi {

// Requests that are refused before the engine sees them, and answers that never vary.
enum class Refusal {
  kEmptyKey,
  kEmptyOp,  // a RequestOp without a request in it: etcd says "key not found"
  kValueProvided,
  kLeaseProvided,
  kTooManyOps,
  kDuplicateKey,
  kRequestTooLarge,
  kInvalidSortOption,  // of 3.6; 3.5 ends in a panic
  kNoLeader,
  kNotLeader,      // MoveLeader at a follower
  kBadTransferee,  // MoveLeader to one that does not follow
  kStopped,
  kAuthNotEnabled,
  kTxnTooDeep,      // jetd's own: see limits::kMaxTxnDepth
  kSortedStream,    // RangeStream with a sort order: Unimplemented, as in etcd 3.7
  kUnknownAlarm,    // jetd's own: an alarm or an action at which etcd ends in a panic
  kUnknownService,  // grpc.health.v1's answer
};
[[nodiscard]] rpc::Status ToGrpc(Refusal refusal);

// An error of the engine. One that base/error.h does not know is Unknown with its own text, as
// etcd's are.
[[nodiscard]] rpc::Status ToGrpc(const absl::Status& status);

// What etcd lets its clients see of an error inside a watch response (cancel_reason).
[[nodiscard]] std::string CancelReason(const absl::Status& status);

// Bytes that are no message: `detail` is the decoder's word.
[[nodiscard]] rpc::Status MalformedRequest(std::string_view detail);
// An RPC that jetd does not have; `why` is one sentence for the operator.
[[nodiscard]] rpc::Status Unimplemented(std::string_view method, std::string_view why);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_STATUS_MAP_H_
