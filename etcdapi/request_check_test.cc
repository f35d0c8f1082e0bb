// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/request_check.h"

#include <string>

#include "base/limits.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::TxnRequest;

constexpr RequestLimits kLimits{.max_request_bytes = 1536UL * 1024, .max_txn_ops = 128};

void AddPut(TxnRequest* txn, const std::string& key) {
  txn->add_success()->mutable_request_put()->set_key(key);
}
void AddDelete(TxnRequest* txn, const std::string& key, const std::string& end = "") {
  auto* request = txn->add_success()->mutable_request_delete_range();
  request->set_key(key);
  request->set_range_end(end);
}
TxnRequest* AddTxn(TxnRequest* txn) { return txn->add_success()->mutable_request_txn(); }

TEST(RequestCheckTest, Ranges) {
  etcdserverpb::RangeRequest request;
  EXPECT_EQ(Check(request), Refusal::kEmptyKey);
  request.set_key("a");
  EXPECT_EQ(Check(request), std::nullopt);
  // 3.5 takes an order that it does not know for none.
  request.set_sort_order(static_cast<etcdserverpb::RangeRequest::SortOrder>(7));
  EXPECT_EQ(Check(request), std::nullopt);
  request.set_sort_target(static_cast<etcdserverpb::RangeRequest::SortTarget>(7));
  EXPECT_EQ(Check(request), Refusal::kInvalidSortOption);
}

TEST(RequestCheckTest, Puts) {
  etcdserverpb::PutRequest request;
  EXPECT_EQ(Check(request), Refusal::kEmptyKey);
  request.set_key("a");
  request.set_value("v");
  request.set_ignore_value(true);
  EXPECT_EQ(Check(request), Refusal::kValueProvided);
  request.clear_value();
  request.set_lease(1);
  request.set_ignore_lease(true);
  EXPECT_EQ(Check(request), Refusal::kLeaseProvided);
  request.set_lease(0);
  EXPECT_EQ(Check(request), std::nullopt);
}

TEST(RequestCheckTest, OperationsAreCountedOverLevels) {
  TxnRequest txn;
  for (int i = 0; i < 128; ++i) txn.add_success()->mutable_request_range()->set_key("a");
  EXPECT_EQ(Check(txn, kLimits), std::nullopt);
  txn.add_success()->mutable_request_range()->set_key("a");
  EXPECT_EQ(Check(txn, kLimits), Refusal::kTooManyOps);

  TxnRequest outer;
  for (int i = 0; i < 127; ++i) outer.add_success()->mutable_request_range()->set_key("a");
  TxnRequest* inner = AddTxn(&outer);  // nothing left for it
  EXPECT_EQ(Check(outer, kLimits), std::nullopt);
  inner->add_success()->mutable_request_range()->set_key("a");
  EXPECT_EQ(Check(outer, kLimits), Refusal::kTooManyOps);
}

TEST(RequestCheckTest, EveryPartHasAKey) {
  TxnRequest compare;
  compare.add_compare();
  EXPECT_EQ(Check(compare, kLimits), Refusal::kEmptyKey);
  TxnRequest empty_op;
  empty_op.add_failure();
  EXPECT_EQ(Check(empty_op, kLimits), Refusal::kEmptyOp);
  TxnRequest nested;
  AddTxn(&nested)->add_failure()->mutable_request_delete_range();
  EXPECT_EQ(Check(nested, kLimits), Refusal::kEmptyKey);
}

// By default the count of operations ends it, at the same depth as in etcd; then our own bound.
TEST(RequestCheckTest, DepthIsBounded) {
  constexpr RequestLimits kManyOps{.max_request_bytes = kLimits.max_request_bytes,
                                   .max_txn_ops = 1000};
  TxnRequest txn;
  TxnRequest* level = &txn;
  for (int i = 1; i < limits::kMaxTxnDepth; ++i) level = AddTxn(level);
  EXPECT_EQ(Check(txn, kLimits), std::nullopt);
  AddTxn(level);
  EXPECT_EQ(Check(txn, kLimits), Refusal::kTooManyOps);
  EXPECT_EQ(Check(txn, kManyOps), Refusal::kTxnTooDeep);
}

struct OverlapCase {
  const char* name;
  void (*make)(TxnRequest*);
  bool duplicate;
};

class OverlapTest : public ::testing::TestWithParam<OverlapCase> {};

TEST_P(OverlapTest, IsFoundAsInEtcd) {
  TxnRequest txn;
  GetParam().make(&txn);
  EXPECT_EQ(Check(txn, kLimits) == Refusal::kDuplicateKey, GetParam().duplicate);
}

const OverlapCase kOverlaps[] = {
    {"TwoPuts", [](TxnRequest* t) { AddPut(t, "a"), AddPut(t, "a"); }, true},
    {"PutsOfTwoKeys", [](TxnRequest* t) { AddPut(t, "a"), AddPut(t, "b"); }, false},
    {"TwoDeletes", [](TxnRequest* t) { AddDelete(t, "a"), AddDelete(t, "a", "z"); }, false},
    {"PutAndDelete", [](TxnRequest* t) { AddPut(t, "a"), AddDelete(t, "a"); }, true},
    {"PutInDeletedRange", [](TxnRequest* t) { AddDelete(t, "a", "c"), AddPut(t, "b"); }, true},
    {"PutAtTheEndOfTheRange", [](TxnRequest* t) { AddDelete(t, "a", "c"), AddPut(t, "c"); }, false},
    // etcd does not see that this deletes everything from "a" on.
    {"PutInOpenEndedRange",
     [](TxnRequest* t) { AddDelete(t, "a", std::string(1, '\0')), AddPut(t, "b"); }, false},
    {"InvertedRange", [](TxnRequest* t) { AddDelete(t, "c", "a"), AddPut(t, "b"); }, false},
    {"NestedPut", [](TxnRequest* t) { AddPut(AddTxn(t), "a"), AddPut(t, "a"); }, true},
    {"TwoNestedPuts", [](TxnRequest* t) { AddPut(AddTxn(t), "a"), AddPut(AddTxn(t), "a"); }, true},
    {"BranchesOfANestedTxn",
     [](TxnRequest* t) {
       TxnRequest* inner = AddTxn(t);
       AddPut(inner, "a");
       inner->add_failure()->mutable_request_put()->set_key("a");
     },
     false},
    {"FailureBranchAgainstAnotherTxn",
     [](TxnRequest* t) {
       AddPut(AddTxn(t), "a");
       AddTxn(t)->add_failure()->mutable_request_put()->set_key("a");
     },
     true},
    {"NestedDeleteBeforePut", [](TxnRequest* t) { AddDelete(AddTxn(t), "a", "c"), AddPut(t, "b"); },
     true},
    {"OuterDeleteOfNestedPut",
     [](TxnRequest* t) { AddPut(AddTxn(t), "b"), AddDelete(t, "a", "c"); }, true},
    // A delete in a later transaction does not meet a put in an earlier one.
    {"NestedPutThenNestedDelete",
     [](TxnRequest* t) { AddPut(AddTxn(t), "b"), AddDelete(AddTxn(t), "b"); }, false},
    {"NestedDeleteThenNestedPut",
     [](TxnRequest* t) { AddDelete(AddTxn(t), "b"), AddPut(AddTxn(t), "b"); }, true},
};
INSTANTIATE_TEST_SUITE_P(Overlaps, OverlapTest, ::testing::ValuesIn(kOverlaps),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(RequestCheckTest, OnlyRangesAreReadOnly) {
  TxnRequest txn;
  EXPECT_TRUE(IsReadOnly(txn));
  txn.add_failure()->mutable_request_range()->set_key("a");
  EXPECT_TRUE(IsReadOnly(txn));
  AddTxn(&txn);
  EXPECT_FALSE(IsReadOnly(txn));
}

TEST(RequestCheckTest, TheEntryCountsNotTheRequest) {
  constexpr RequestLimits kSmall{.max_request_bytes = 100, .max_txn_ops = 1};
  EXPECT_TRUE(FitsInEntry(85, kSmall));  // 13 + 1 + 1 + 85
  EXPECT_FALSE(FitsInEntry(86, kSmall));
}

}  // namespace
}  // namespace jetd::etcdapi
