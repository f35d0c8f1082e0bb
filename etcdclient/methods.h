// SPDX-License-Identifier: Apache-2.0
//
// Which answer and which path belong to a request, so that `client.Call(request)` needs no name of
// its own. Covers the calls of etcd 3.5; of Auth the one that gives a token.
#ifndef JETD_ETCDCLIENT_METHODS_H_
#define JETD_ETCDCLIENT_METHODS_H_

#include "base/etcdpb/auth_rpc.pb.h"
#include "base/etcdpb/rpc.pb.h"

namespace jetd::etcdclient {

namespace pb = ::etcdserverpb;

// Every unary call: request, response, path.
#define JETD_ETCDCLIENT_UNARY_CALLS(CALL)                                                      \
  CALL(RangeRequest, RangeResponse, "/etcdserverpb.KV/Range")                                  \
  CALL(PutRequest, PutResponse, "/etcdserverpb.KV/Put")                                        \
  CALL(DeleteRangeRequest, DeleteRangeResponse, "/etcdserverpb.KV/DeleteRange")                \
  CALL(TxnRequest, TxnResponse, "/etcdserverpb.KV/Txn")                                        \
  CALL(CompactionRequest, CompactionResponse, "/etcdserverpb.KV/Compact")                      \
  CALL(LeaseGrantRequest, LeaseGrantResponse, "/etcdserverpb.Lease/LeaseGrant")                \
  CALL(LeaseRevokeRequest, LeaseRevokeResponse, "/etcdserverpb.Lease/LeaseRevoke")             \
  CALL(LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, "/etcdserverpb.Lease/LeaseTimeToLive") \
  CALL(LeaseLeasesRequest, LeaseLeasesResponse, "/etcdserverpb.Lease/LeaseLeases")             \
  CALL(MemberAddRequest, MemberAddResponse, "/etcdserverpb.Cluster/MemberAdd")                 \
  CALL(MemberRemoveRequest, MemberRemoveResponse, "/etcdserverpb.Cluster/MemberRemove")        \
  CALL(MemberUpdateRequest, MemberUpdateResponse, "/etcdserverpb.Cluster/MemberUpdate")        \
  CALL(MemberListRequest, MemberListResponse, "/etcdserverpb.Cluster/MemberList")              \
  CALL(MemberPromoteRequest, MemberPromoteResponse, "/etcdserverpb.Cluster/MemberPromote")     \
  CALL(AlarmRequest, AlarmResponse, "/etcdserverpb.Maintenance/Alarm")                         \
  CALL(StatusRequest, StatusResponse, "/etcdserverpb.Maintenance/Status")                      \
  CALL(DefragmentRequest, DefragmentResponse, "/etcdserverpb.Maintenance/Defragment")          \
  CALL(HashRequest, HashResponse, "/etcdserverpb.Maintenance/Hash")                            \
  CALL(HashKVRequest, HashKVResponse, "/etcdserverpb.Maintenance/HashKV")                      \
  CALL(MoveLeaderRequest, MoveLeaderResponse, "/etcdserverpb.Maintenance/MoveLeader")          \
  CALL(DowngradeRequest, DowngradeResponse, "/etcdserverpb.Maintenance/Downgrade")             \
  CALL(AuthenticateRequest, AuthenticateResponse, "/etcdserverpb.Auth/Authenticate")

// Every call with a stream: request, response, path.
#define JETD_ETCDCLIENT_STREAMS(STREAM)                                                       \
  STREAM(RangeRequest, RangeStreamResponse, "/etcdserverpb.KV/RangeStream")                   \
  STREAM(WatchRequest, WatchResponse, "/etcdserverpb.Watch/Watch")                            \
  STREAM(LeaseKeepAliveRequest, LeaseKeepAliveResponse, "/etcdserverpb.Lease/LeaseKeepAlive") \
  STREAM(SnapshotRequest, SnapshotResponse, "/etcdserverpb.Maintenance/Snapshot")

template <typename Request>
struct UnaryCall;
template <typename Request, typename Response>
struct StreamCall;

#define JETD_ETCDCLIENT_UNARY(request, response, path) \
  template <>                                          \
  struct UnaryCall<pb::request> {                      \
    using Response = pb::response;                     \
    static constexpr char kPath[] = path;              \
  };
JETD_ETCDCLIENT_UNARY_CALLS(JETD_ETCDCLIENT_UNARY)
#undef JETD_ETCDCLIENT_UNARY

#define JETD_ETCDCLIENT_STREAM(request, response, path) \
  template <>                                           \
  struct StreamCall<pb::request, pb::response> {        \
    static constexpr char kPath[] = path;               \
  };
JETD_ETCDCLIENT_STREAMS(JETD_ETCDCLIENT_STREAM)
#undef JETD_ETCDCLIENT_STREAM

// The answer to a request of this type.
template <typename Request>
using ResponseOf = typename UnaryCall<Request>::Response;

}  // namespace jetd::etcdclient

#endif  // JETD_ETCDCLIENT_METHODS_H_
