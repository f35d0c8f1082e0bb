// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/status_map.h"

#include "base/error.h"
#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

rpc::Status Make(rpc::Code code, std::string_view text) {
  return rpc::Status(code, std::string(text));
}

}  // namespace

rpc::Status ToGrpc(Refusal refusal) {
  switch (refusal) {
    case Refusal::kEmptyKey:
      return Make(rpc::Code::kInvalidArgument, "etcdserver: key is not provided");
    case Refusal::kEmptyOp:
      return Make(rpc::Code::kInvalidArgument, "etcdserver: key not found");
    case Refusal::kValueProvided:
      return Make(rpc::Code::kInvalidArgument, "etcdserver: value is provided");
    case Refusal::kLeaseProvided:
      return Make(rpc::Code::kInvalidArgument, "etcdserver: lease is provided");
    case Refusal::kTooManyOps:
      return Make(rpc::Code::kInvalidArgument, "etcdserver: too many operations in txn request");
    case Refusal::kDuplicateKey:
      return Make(rpc::Code::kInvalidArgument, "etcdserver: duplicate key given in txn request");
    case Refusal::kRequestTooLarge:
      return Make(rpc::Code::kInvalidArgument, "etcdserver: request is too large");
    case Refusal::kInvalidSortOption:
      return Make(rpc::Code::kInvalidArgument, "etcdserver: invalid sort option");
    case Refusal::kNoLeader:
      return Make(rpc::Code::kUnavailable, "etcdserver: no leader");
    case Refusal::kNotLeader:
      return Make(rpc::Code::kFailedPrecondition, "etcdserver: not leader");
    case Refusal::kBadTransferee:
      return Make(rpc::Code::kFailedPrecondition, "etcdserver: bad leader transferee");
    case Refusal::kStopped:
      return Make(rpc::Code::kUnavailable, "etcdserver: server stopped");
    case Refusal::kAuthNotEnabled:
      return Make(rpc::Code::kFailedPrecondition, "etcdserver: authentication is not enabled");
    case Refusal::kTxnTooDeep:
      return Make(rpc::Code::kInvalidArgument, "jetd: transactions nested too deep");
    case Refusal::kSortedStream:
      return Make(rpc::Code::kUnimplemented, "etcdserver: range stream does not support sorting");
    case Refusal::kUnknownAlarm:
      return Make(rpc::Code::kInvalidArgument, "jetd: unknown alarm, or unknown action");
    case Refusal::kUnknownService:
      return Make(rpc::Code::kNotFound, "unknown service");
  }
  return Make(rpc::Code::kUnknown, "jetd: unnamed refusal");
}

rpc::Status ToGrpc(const absl::Status& status) {
  switch (GetErrc(status)) {
    case Errc::kNone:
      break;
    case Errc::kCompacted:
      return Make(rpc::Code::kOutOfRange, "etcdserver: mvcc: required revision has been compacted");
    case Errc::kFutureRevision:
      return Make(rpc::Code::kOutOfRange,
                  "etcdserver: mvcc: required revision is a future revision");
    case Errc::kKeyNotFound:
      return Make(rpc::Code::kInvalidArgument, "etcdserver: key not found");
    case Errc::kKeyTooLong:
      return Make(rpc::Code::kInvalidArgument, Cat("jetd: key is too long: ", MessageOf(status)));
    case Errc::kDuplicateKey:
      return ToGrpc(Refusal::kDuplicateKey);
    case Errc::kLeaseNotFound:
      return Make(rpc::Code::kNotFound, "etcdserver: requested lease not found");
    case Errc::kLeaseExists:
      return Make(rpc::Code::kFailedPrecondition, "etcdserver: lease already exists");
    case Errc::kLeaseTtlTooLarge:
      return Make(rpc::Code::kOutOfRange, "etcdserver: too large lease TTL");
    case Errc::kTooManyRequests:
      return Make(rpc::Code::kResourceExhausted, "etcdserver: too many requests");
    case Errc::kNoSpace:
      return Make(rpc::Code::kResourceExhausted, "etcdserver: mvcc: database space exceeded");
    case Errc::kUnavailable:
      // Certain not to have happened: etcd's word for a request that lost its leader on the way.
      return Make(rpc::Code::kUnavailable, "etcdserver: leader changed");
    case Errc::kNoLeader:
      return ToGrpc(Refusal::kNoLeader);
    case Errc::kStopped:
      return ToGrpc(Refusal::kStopped);
    case Errc::kTimeout:
      return Make(rpc::Code::kUnavailable, "etcdserver: request timed out");
    case Errc::kCorrupt:
      return Make(rpc::Code::kDataLoss, "etcdserver: corrupt cluster");
    case Errc::kRecordTooLarge:
      return ToGrpc(Refusal::kRequestTooLarge);
  }
  if (status.ok()) return rpc::Status();
  return Make(rpc::Code::kUnknown, MessageOf(status));
}

std::string CancelReason(const absl::Status& status) {
  return std::string(ToGrpc(status).message());
}

rpc::Status MalformedRequest(std::string_view detail) {
  return Make(rpc::Code::kInternal, Cat("grpc: error unmarshalling request: ", detail));
}

rpc::Status Unimplemented(std::string_view method, std::string_view why) {
  return Make(rpc::Code::kUnimplemented, Cat("jetd: ", method, " is not supported: ", why));
}

}  // namespace jetd::etcdapi
