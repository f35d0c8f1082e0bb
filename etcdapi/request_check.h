// SPDX-License-Identifier: Apache-2.0
//
// What etcd checks in a KV request before it orders it, in etcd's order, so that a request with two
// faults gets the same error. Pure functions, any thread.
#ifndef JETD_ETCDAPI_REQUEST_CHECK_H_
#define JETD_ETCDAPI_REQUEST_CHECK_H_

#include <cstddef>
#include <optional>

#include "base/etcdpb/rpc.pb.h"
#include "etcdapi/status_map.h"

namespace jetd::etcdapi {

struct RequestLimits {
  size_t max_request_bytes = 0;
  int max_txn_ops = 0;
};

// nullopt: good.
[[nodiscard]] std::optional<Refusal> Check(const etcdserverpb::RangeRequest& request);
[[nodiscard]] std::optional<Refusal> Check(const etcdserverpb::PutRequest& request);
[[nodiscard]] std::optional<Refusal> Check(const etcdserverpb::DeleteRangeRequest& request);
// Shape, number of operations, then keys that are written twice: a put that meets another put or
// lies in a deleted range, on either level. The two branches of a nested transaction may write the
// same key.
[[nodiscard]] std::optional<Refusal> Check(const etcdserverpb::TxnRequest& request,
                                           const RequestLimits& limits);

// True if etcd would read it without ordering it, and so without a limit of its size.
[[nodiscard]] bool IsReadOnly(const etcdserverpb::TxnRequest& request);

// etcd bounds the size of the raft entry that carries a request, not the request: entry = request
// of `size_bytes` in a field of its own, and a header with an id.
[[nodiscard]] bool FitsInEntry(size_t size_bytes, const RequestLimits& limits);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_REQUEST_CHECK_H_
