// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/request_decoder.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "etcdapi/status_map.h"
#include "etcdapi/wire_check.h"
#include "google/protobuf/io/coded_stream.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::RangeRequest;
using PbCompare = etcdserverpb::Compare;
using google::protobuf::io::CodedInputStream;
using revision::Compare;

// A transaction nests two messages a level; a little room for the innermost request.
constexpr int kRecursionLimit = 2 * limits::kMaxTxnDepth + 8;

revision::KeyRange KeysOf(const std::string& key, const std::string& end) { return {key, end}; }

revision::SortOrder OrderOf(const RangeRequest& request) {
  switch (request.sort_order()) {
    case RangeRequest::ASCEND:
      return revision::SortOrder::kAscend;
    case RangeRequest::DESCEND:
      return revision::SortOrder::kDescend;
    default:
      return revision::SortOrder::kNone;
  }
}

revision::SortTarget TargetOf(const RangeRequest& request) {
  // An order that etcd does not know leaves the answer as it lies, by key.
  if (!RangeRequest::SortOrder_IsValid(request.sort_order())) return revision::SortTarget::kKey;
  switch (request.sort_target()) {
    case RangeRequest::VERSION:
      return revision::SortTarget::kVersion;
    case RangeRequest::CREATE:
      return revision::SortTarget::kCreate;
    case RangeRequest::MOD:
      return revision::SortTarget::kMod;
    case RangeRequest::VALUE:
      return revision::SortTarget::kValue;
    default:
      return revision::SortTarget::kKey;
  }
}

// A compare whose outcome does not depend on the key: versions are never below 0.
void SetConstant(bool outcome, Compare* out) {
  out->target = Compare::Target::kVersion;
  out->result = outcome ? Compare::Result::kGreater : Compare::Result::kLess;
  out->number = outcome ? -1 : 0;
}

// Fills in result; false if etcd does not know it.
bool SetResult(const PbCompare& compare, Compare* out) {
  switch (compare.result()) {
    case PbCompare::EQUAL:
      out->result = Compare::Result::kEqual;
      return true;
    case PbCompare::GREATER:
      out->result = Compare::Result::kGreater;
      return true;
    case PbCompare::LESS:
      out->result = Compare::Result::kLess;
      return true;
    case PbCompare::NOT_EQUAL:
      out->result = Compare::Result::kNotEqual;
      return true;
    default:
      return false;
  }
}

// What target_union does not hold counts as 0, and as empty.
Compare ToCompare(const PbCompare& compare) {
  Compare out;
  out.keys = KeysOf(compare.key(), compare.range_end());
  if (!SetResult(compare, &out)) {
    // An unknown result always holds, but a value is compared only if there is one.
    SetConstant(true, &out);
    if (compare.target() == PbCompare::VALUE) out.number = 0;
    return out;
  }
  switch (compare.target()) {
    case PbCompare::VERSION:
      out.target = Compare::Target::kVersion;
      out.number = compare.version();
      break;
    case PbCompare::CREATE:
      out.target = Compare::Target::kCreate;
      out.number = compare.create_revision();
      break;
    case PbCompare::MOD:
      out.target = Compare::Target::kMod;
      out.number = compare.mod_revision();
      break;
    case PbCompare::LEASE:
      out.target = Compare::Target::kLease;
      out.number = compare.lease();
      break;
    case PbCompare::VALUE:
      out.target = Compare::Target::kValue;
      out.value = compare.value();
      break;
    default:
      // An unknown target compares as equal.
      SetConstant(out.result == Compare::Result::kEqual, &out);
  }
  return out;
}

void AppendOps(const google::protobuf::RepeatedPtrField<etcdserverpb::RequestOp>& from,
               std::vector<revision::Op>* to) {
  to->reserve(from.size());
  for (const auto& op : from) {
    if (op.has_request_range()) {
      to->push_back({ToOp(op.request_range())});
    } else if (op.has_request_put()) {
      to->push_back({ToOp(op.request_put())});
    } else if (op.has_request_delete_range()) {
      to->push_back({ToOp(op.request_delete_range())});
    } else {
      to->push_back({ToOp(op.request_txn())});
    }
  }
}

}  // namespace

rpc::Status ParseRequest(const rpc::Message& bytes, google::protobuf::Message* message) {
  const std::string_view all = bytes.whole();
  CodedInputStream in(reinterpret_cast<const uint8_t*>(all.data()), static_cast<int>(all.size()));
  in.SetRecursionLimit(kRecursionLimit);
  const bool parsed = message->ParseFromCodedStream(&in) && in.ConsumedEntireMessage();
  if (parsed && !HasUnknownFields(*message)) return rpc::Status();
  const std::string error = FindWireError(*message->GetDescriptor(), all);
  if (!error.empty()) return MalformedRequest(error);
  if (parsed) return rpc::Status();
  // Only what C++ bounds and Go does not is left: how deep transactions are nested. So deep that
  // etcd, with its default of --max-txn-ops, counts too many operations.
  return ToGrpc(Refusal::kTooManyOps);
}

revision::RangeOp ToOp(const RangeRequest& request) {
  revision::RangeOp op;
  op.keys = KeysOf(request.key(), request.range_end());
  op.limit = request.limit();
  op.revision = Revision(request.revision());
  op.sort_order = OrderOf(request);
  op.sort_target = TargetOf(request);
  op.serializable = request.serializable();
  op.keys_only = request.keys_only();
  op.count_only = request.count_only();
  op.min_mod_revision = Revision(request.min_mod_revision());
  op.max_mod_revision = Revision(request.max_mod_revision());
  op.min_create_revision = Revision(request.min_create_revision());
  op.max_create_revision = Revision(request.max_create_revision());
  return op;
}

revision::PutOp ToOp(const etcdserverpb::PutRequest& request) {
  revision::PutOp op;
  op.key = request.key();
  op.value = request.value();
  op.lease = LeaseId(request.lease());
  op.prev_kv = request.prev_kv();
  op.ignore_value = request.ignore_value();
  op.ignore_lease = request.ignore_lease();
  return op;
}

revision::DeleteOp ToOp(const etcdserverpb::DeleteRangeRequest& request) {
  return {.keys = KeysOf(request.key(), request.range_end()), .prev_kv = request.prev_kv()};
}

revision::TxnOp ToOp(const etcdserverpb::TxnRequest& request) {
  revision::TxnOp op;
  op.compares.reserve(request.compare_size());
  for (const auto& compare : request.compare()) op.compares.push_back(ToCompare(compare));
  AppendOps(request.success(), &op.success);
  AppendOps(request.failure(), &op.failure);
  return op;
}

watch::CreateRequest ToCreate(const etcdserverpb::WatchCreateRequest& request) {
  watch::CreateRequest create;
  create.key = request.key();
  create.range_end = request.range_end();
  create.start_revision = Revision(request.start_revision());
  create.progress_notify = request.progress_notify();
  for (const int filter : request.filters()) {
    if (filter == etcdserverpb::WatchCreateRequest::NOPUT) create.no_put = true;
    if (filter == etcdserverpb::WatchCreateRequest::NODELETE) create.no_delete = true;
  }
  create.prev_kv = request.prev_kv();
  create.fragment = request.fragment();
  create.watch_id = WatchId(request.watch_id());
  return create;
}

}  // namespace jetd::etcdapi
