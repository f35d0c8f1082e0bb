// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/request_check.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/limits.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using Ops = google::protobuf::RepeatedPtrField<RequestOp>;

std::optional<Refusal> CheckShape(const TxnRequest& txn, int ops_left, int depth);

std::optional<Refusal> CheckOp(const RequestOp& op, int ops_left, int depth) {
  switch (op.request_case()) {
    case RequestOp::kRequestRange:
      return Check(op.request_range());
    case RequestOp::kRequestPut:
      return Check(op.request_put());
    case RequestOp::kRequestDeleteRange:
      return Check(op.request_delete_range());
    case RequestOp::kRequestTxn:
      return CheckShape(op.request_txn(), ops_left, depth + 1);
    case RequestOp::REQUEST_NOT_SET:
      break;
  }
  return Refusal::kEmptyOp;
}

// A level's operations count against what the levels below it may have: etcd's rule, which also
// bounds the depth.
std::optional<Refusal> CheckShape(const TxnRequest& txn, int ops_left, int depth) {
  const int ops = std::max({txn.compare_size(), txn.success_size(), txn.failure_size()});
  if (ops > ops_left) return Refusal::kTooManyOps;
  if (depth > limits::kMaxTxnDepth) return Refusal::kTxnTooDeep;
  for (const auto& compare : txn.compare()) {
    if (compare.key().empty()) return Refusal::kEmptyKey;
  }
  for (const Ops* branch : {&txn.success(), &txn.failure()}) {
    for (const RequestOp& op : *branch) {
      if (auto refusal = CheckOp(op, ops_left - ops, depth)) return refusal;
    }
  }
  return std::nullopt;
}

// What a branch writes. Deleted ranges hold the raw end of a request: an end of one zero byte means
// "all from here" to etcd when it deletes, but an empty range when it looks for overlaps.
struct Writes {
  std::unordered_set<std::string_view> puts;
  std::vector<std::pair<std::string_view, std::string_view>> deletes;  // [first, second)
  std::unordered_set<std::string_view> single_deletes;

  [[nodiscard]] bool Deletes(std::string_view key) const {
    return single_deletes.contains(key) ||
           std::any_of(deletes.begin(), deletes.end(), [key](const auto& range) {
             return range.first <= key && key < range.second;
           });
  }
  // False if something else here writes the key.
  [[nodiscard]] bool Put(std::string_view key) { return !Deletes(key) && puts.insert(key).second; }
};

[[nodiscard]] bool CollectWrites(const Ops& ops, Writes* out);

// Both branches of a transaction inside `ops`: each against what is in `out`, not against the
// other.
[[nodiscard]] bool CollectNested(const TxnRequest& txn, Writes* out) {
  Writes success;
  Writes failure;
  if (!CollectWrites(txn.success(), &success) || !CollectWrites(txn.failure(), &failure)) {
    return false;
  }
  for (const std::string_view key : success.puts) {
    if (!out->Put(key)) return false;
  }
  for (const std::string_view key : failure.puts) {
    if (out->Deletes(key)) return false;
    if (!out->puts.insert(key).second && !success.puts.contains(key)) return false;
  }
  for (Writes* branch : {&success, &failure}) {
    out->deletes.insert(out->deletes.end(), branch->deletes.begin(), branch->deletes.end());
    out->single_deletes.merge(branch->single_deletes);
  }
  return true;
}

// Deletes of this level, then transactions inside it in order, then puts of this level: etcd's
// order, which decides what is an overlap (two deletes never are, nor a put in a nested transaction
// with a delete in a later one).
bool CollectWrites(const Ops& ops, Writes* out) {
  for (const RequestOp& op : ops) {
    if (!op.has_request_delete_range()) continue;
    const auto& request = op.request_delete_range();
    if (request.range_end().empty()) {
      out->single_deletes.insert(request.key());
    } else {
      out->deletes.emplace_back(request.key(), request.range_end());
    }
  }
  for (const RequestOp& op : ops) {
    if (op.has_request_txn() && !CollectNested(op.request_txn(), out)) return false;
  }
  return std::all_of(ops.begin(), ops.end(), [out](const RequestOp& op) {
    return !op.has_request_put() || out->Put(op.request_put().key());
  });
}

size_t VarintSize(size_t value) {
  size_t bytes = 1;
  while (value >= 0x80) {
    value >>= 7U;
    ++bytes;
  }
  return bytes;
}

}  // namespace

std::optional<Refusal> Check(const etcdserverpb::RangeRequest& request) {
  if (request.key().empty()) return Refusal::kEmptyKey;
  // etcd 3.5 ends in a panic for a sort target that it does not know; 3.6 refuses it.
  if (!etcdserverpb::RangeRequest::SortTarget_IsValid(request.sort_target())) {
    return Refusal::kInvalidSortOption;
  }
  return std::nullopt;
}

std::optional<Refusal> Check(const etcdserverpb::PutRequest& request) {
  if (request.key().empty()) return Refusal::kEmptyKey;
  if (request.ignore_value() && !request.value().empty()) return Refusal::kValueProvided;
  if (request.ignore_lease() && request.lease() != 0) return Refusal::kLeaseProvided;
  return std::nullopt;
}

std::optional<Refusal> Check(const etcdserverpb::DeleteRangeRequest& request) {
  if (request.key().empty()) return Refusal::kEmptyKey;
  return std::nullopt;
}

std::optional<Refusal> Check(const TxnRequest& request, const RequestLimits& limits) {
  if (auto refusal = CheckShape(request, limits.max_txn_ops, 1)) return refusal;
  for (const Ops* branch : {&request.success(), &request.failure()}) {
    Writes writes;
    if (!CollectWrites(*branch, &writes)) return Refusal::kDuplicateKey;
  }
  return std::nullopt;
}

bool IsReadOnly(const TxnRequest& request) {
  const auto is_range = [](const RequestOp& op) { return op.has_request_range(); };
  return std::all_of(request.success().begin(), request.success().end(), is_range) &&
         std::all_of(request.failure().begin(), request.failure().end(), is_range);
}

bool FitsInEntry(size_t size_bytes, const RequestLimits& limits) {
  // The entry's header: a tag of two bytes, a length, and an id of one tag and nine bytes.
  constexpr size_t kEntryHeaderBytes = 2 + 1 + 1 + 9;
  return kEntryHeaderBytes + 1 + VarintSize(size_bytes) + size_bytes <= limits.max_request_bytes;
}

}  // namespace jetd::etcdapi
