// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/txn_maker.h"

#include <algorithm>

namespace jetd::conformance::differential {
namespace {

constexpr int kMaxDepth = 3;
// Of 10,000: how many compares are meant to hold.
constexpr int kHolds = 8800;

bool Overlaps(const std::pair<std::string, std::string>& range, const std::string& key) {
  return InRange(key, range.first, range.second);
}

}  // namespace

// Sets result and number so that comparing `truth` (what the key has) with it mostly holds.
void TxnMaker::SetNumber(pb::Compare& compare, int64_t truth) {
  int64_t number = truth;
  const bool holds = random_.Chance(kHolds);
  switch (random_.Between(0, 3)) {
    case 0:
      compare.set_result(pb::Compare::EQUAL);
      if (!holds) number = truth + random_.Between(1, 3);
      break;
    case 1:
      compare.set_result(pb::Compare::GREATER);
      number = holds ? truth - random_.Between(1, 3) : truth;
      break;
    case 2:
      compare.set_result(pb::Compare::LESS);
      number = holds ? truth + random_.Between(1, 3) : truth;
      break;
    default:
      compare.set_result(pb::Compare::NOT_EQUAL);
      number = holds ? truth + random_.Between(1, 3) : truth;
      break;
  }
  switch (compare.target()) {
    case pb::Compare::VERSION:
      compare.set_version(number);
      break;
    case pb::Compare::CREATE:
      compare.set_create_revision(number);
      break;
    case pb::Compare::MOD:
      compare.set_mod_revision(number);
      break;
    default:
      compare.set_lease(number);
      break;
  }
}

pb::Compare TxnMaker::MakeCompare() {
  pb::Compare compare;
  if (random_.Chance(1500)) {
    const auto [start, end] = ops_.SomeRange();
    compare.set_key(start);
    compare.set_range_end(end);
    compare.set_target(static_cast<pb::Compare::CompareTarget>(random_.Between(0, 3)));
    if (compare.target() == pb::Compare::VALUE) {
      compare.set_result(random_.Chance(5000) ? pb::Compare::NOT_EQUAL : pb::Compare::GREATER);
      compare.set_value(random_.Chance(5000) ? "v1" : "");
      return compare;
    }
    // Something that all keys have in common, mostly.
    compare.set_result(pb::Compare::GREATER);
    const int64_t number = random_.Chance(kHolds) ? 0 : ops_.OldRevision();
    if (compare.target() == pb::Compare::VERSION) compare.set_version(number);
    if (compare.target() == pb::Compare::CREATE) compare.set_create_revision(number);
    if (compare.target() == pb::Compare::MOD) compare.set_mod_revision(number);
    return compare;
  }
  compare.set_key(random_.Chance(8000) ? ops_.ExistingKey() : ops_.AnyKey());
  const auto found = model_.keys().find(compare.key());
  const Model::Key key = found == model_.keys().end() ? Model::Key() : found->second;
  compare.set_target(static_cast<pb::Compare::CompareTarget>(random_.Between(0, 4)));
  switch (compare.target()) {
    case pb::Compare::VERSION:
      SetNumber(compare, key.version);
      break;
    case pb::Compare::CREATE:
      SetNumber(compare, key.create);
      break;
    case pb::Compare::MOD:
      SetNumber(compare, key.mod);
      break;
    case pb::Compare::VALUE:
      compare.set_result(random_.Chance(7000) ? pb::Compare::EQUAL : pb::Compare::NOT_EQUAL);
      compare.set_value(compare.result() == pb::Compare::EQUAL ? key.value : key.value + "x");
      break;
    default: {
      // Only equal or not: ids that the servers chose have no common order.
      const auto lease = model_.leases().find(key.lease);
      if (lease != model_.leases().end() && lease->second.generated) {
        compare.set_result(pb::Compare::EQUAL);
        compare.set_lease(key.lease);
      } else {
        SetNumber(compare, key.lease);
      }
      break;
    }
  }
  return compare;
}

void TxnMaker::AddOps(google::protobuf::RepeatedPtrField<pb::RequestOp>& ops, int depth,
                      Written& written) {
  const int64_t count = random_.Chance(300) ? random_.Between(10, 40) : random_.Between(1, 4);
  for (int64_t i = 0; i < count; ++i) {
    pb::RequestOp op;
    const int64_t kind = random_.Between(0, 99);
    if (kind < 55) {
      *op.mutable_request_put() = ops_.Put();
      const std::string& key = op.request_put().key();
      const bool deleted = std::any_of(written.deletes.begin(), written.deletes.end(),
                                       [&](const auto& range) { return Overlaps(range, key); });
      if (deleted || !written.puts.insert(key).second) continue;
    } else if (kind < 72) {
      *op.mutable_request_delete_range() = ops_.Delete();
      const std::pair range(op.request_delete_range().key(), op.request_delete_range().range_end());
      if (std::any_of(written.puts.begin(), written.puts.end(),
                      [&](const auto& key) { return Overlaps(range, key); })) {
        continue;
      }
      written.deletes.push_back(range);
    } else if (kind < 92 || depth >= kMaxDepth) {
      *op.mutable_request_range() = ops_.RangeInTxn();
    } else {
      *op.mutable_request_txn() = FreeTxn(depth + 1, written);
    }
    *ops.Add() = std::move(op);
  }
}

pb::TxnRequest TxnMaker::FreeTxn(int depth, Written& written) {
  pb::TxnRequest txn;
  const int64_t compares = random_.Between(0, 3);
  for (int64_t i = 0; i < compares; ++i) *txn.add_compare() = MakeCompare();
  AddOps(*txn.mutable_success(), depth, written);
  if (random_.Chance(7000)) AddOps(*txn.mutable_failure(), depth, written);
  return txn;
}

// create, update and delete as kube-apiserver spells them.
pb::TxnRequest TxnMaker::KubeTxn() {
  pb::TxnRequest txn;
  const int64_t kind = random_.Between(0, 2);
  const std::string key = kind == 0 ? ops_.AbsentKey() : ops_.ExistingKey();
  const auto found = model_.keys().find(key);
  pb::Compare& compare = *txn.add_compare();
  compare.set_key(key);
  compare.set_target(pb::Compare::MOD);
  compare.set_result(pb::Compare::EQUAL);
  compare.set_mod_revision(found == model_.keys().end() ? 0 : found->second.mod);
  if (random_.Chance(500)) compare.set_mod_revision(ops_.OldRevision());
  if (kind == 2) {
    txn.add_success()->mutable_request_delete_range()->set_key(key);
  } else {
    pb::PutRequest& put = *txn.add_success()->mutable_request_put();
    put.set_key(key);
    put.set_value(ops_.Value());
    if (random_.Chance(1000)) put.set_lease(ops_.LiveLease());
  }
  txn.add_failure()->mutable_request_range()->set_key(key);
  return txn;
}

pb::TxnRequest TxnMaker::Make() {
  if (random_.Chance(4500)) return KubeTxn();
  Written written;
  return FreeTxn(1, written);
}

}  // namespace jetd::conformance::differential
