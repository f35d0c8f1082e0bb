// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/status_map.h"

#include "base/error.h"
#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

using grpc::StatusCode;

grpc::Status Make(StatusCode code, std::string_view text) {
  return grpc::Status(code, std::string(text));
}

}  // namespace

grpc::Status ToGrpc(Refusal refusal) {
  switch (refusal) {
    case Refusal::kEmptyKey:
      return Make(StatusCode::INVALID_ARGUMENT, "etcdserver: key is not provided");
    case Refusal::kEmptyOp:
      return Make(StatusCode::INVALID_ARGUMENT, "etcdserver: key not found");
    case Refusal::kValueProvided:
      return Make(StatusCode::INVALID_ARGUMENT, "etcdserver: value is provided");
    case Refusal::kLeaseProvided:
      return Make(StatusCode::INVALID_ARGUMENT, "etcdserver: lease is provided");
    case Refusal::kTooManyOps:
      return Make(StatusCode::INVALID_ARGUMENT, "etcdserver: too many operations in txn request");
    case Refusal::kDuplicateKey:
      return Make(StatusCode::INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request");
    case Refusal::kRequestTooLarge:
      return Make(StatusCode::INVALID_ARGUMENT, "etcdserver: request is too large");
    case Refusal::kInvalidSortOption:
      return Make(StatusCode::INVALID_ARGUMENT, "etcdserver: invalid sort option");
    case Refusal::kNoLeader:
      return Make(StatusCode::UNAVAILABLE, "etcdserver: no leader");
    case Refusal::kNotLeader:
      return Make(StatusCode::FAILED_PRECONDITION, "etcdserver: not leader");
    case Refusal::kBadTransferee:
      return Make(StatusCode::FAILED_PRECONDITION, "etcdserver: bad leader transferee");
    case Refusal::kStopped:
      return Make(StatusCode::UNAVAILABLE, "etcdserver: server stopped");
    case Refusal::kAuthNotEnabled:
      return Make(StatusCode::FAILED_PRECONDITION, "etcdserver: authentication is not enabled");
    case Refusal::kWatchCanceled:
      return Make(StatusCode::CANCELLED, "etcdserver: watch canceled");
    case Refusal::kTxnTooDeep:
      return Make(StatusCode::INVALID_ARGUMENT, "jetd: transactions nested too deep");
    case Refusal::kSortedStream:
      return Make(StatusCode::UNIMPLEMENTED, "etcdserver: range stream does not support sorting");
    case Refusal::kUnknownAlarm:
      return Make(StatusCode::INVALID_ARGUMENT, "jetd: unknown alarm, or unknown action");
    case Refusal::kUnknownService:
      return Make(StatusCode::NOT_FOUND, "unknown service");
  }
  return Make(StatusCode::UNKNOWN, "jetd: unnamed refusal");
}

grpc::Status ToGrpc(const absl::Status& status) {
  switch (GetErrc(status)) {
    case Errc::kNone:
      break;
    case Errc::kCompacted:
      return Make(StatusCode::OUT_OF_RANGE,
                  "etcdserver: mvcc: required revision has been compacted");
    case Errc::kFutureRevision:
      return Make(StatusCode::OUT_OF_RANGE,
                  "etcdserver: mvcc: required revision is a future revision");
    case Errc::kKeyNotFound:
      return Make(StatusCode::INVALID_ARGUMENT, "etcdserver: key not found");
    case Errc::kKeyTooLong:
      return Make(StatusCode::INVALID_ARGUMENT, Cat("jetd: key is too long: ", MessageOf(status)));
    case Errc::kDuplicateKey:
      return ToGrpc(Refusal::kDuplicateKey);
    case Errc::kLeaseNotFound:
      return Make(StatusCode::NOT_FOUND, "etcdserver: requested lease not found");
    case Errc::kLeaseExists:
      return Make(StatusCode::FAILED_PRECONDITION, "etcdserver: lease already exists");
    case Errc::kLeaseTtlTooLarge:
      return Make(StatusCode::OUT_OF_RANGE, "etcdserver: too large lease TTL");
    case Errc::kTooManyRequests:
      return Make(StatusCode::RESOURCE_EXHAUSTED, "etcdserver: too many requests");
    case Errc::kNoSpace:
      return Make(StatusCode::RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded");
    case Errc::kUnavailable:
      // Certain not to have happened: etcd's word for a request that lost its leader on the way.
      return Make(StatusCode::UNAVAILABLE, "etcdserver: leader changed");
    case Errc::kNoLeader:
      return ToGrpc(Refusal::kNoLeader);
    case Errc::kStopped:
      return ToGrpc(Refusal::kStopped);
    case Errc::kTimeout:
      return Make(StatusCode::UNAVAILABLE, "etcdserver: request timed out");
    case Errc::kCorrupt:
      return Make(StatusCode::DATA_LOSS, "etcdserver: corrupt cluster");
    case Errc::kRecordTooLarge:
      return ToGrpc(Refusal::kRequestTooLarge);
  }
  if (status.ok()) return grpc::Status::OK;
  return Make(StatusCode::UNKNOWN, MessageOf(status));
}

std::string CancelReason(const absl::Status& status) {
  return std::string(ToGrpc(status).error_message());
}

grpc::Status MalformedRequest(std::string_view detail) {
  return Make(StatusCode::INTERNAL, Cat("grpc: error unmarshalling request: ", detail));
}

grpc::Status MessageTooLarge(size_t size_bytes, size_t limit_bytes) {
  return Make(StatusCode::RESOURCE_EXHAUSTED, Cat("grpc: received message larger than max (",
                                                  size_bytes, " vs. ", limit_bytes, ")"));
}

grpc::Status Unimplemented(std::string_view method, std::string_view why) {
  return Make(StatusCode::UNIMPLEMENTED, Cat("jetd: ", method, " is not supported: ", why));
}

}  // namespace jetd::etcdapi
