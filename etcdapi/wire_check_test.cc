// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/wire_check.h"

#include <functional>
#include <vector>

#include "base/etcdpb/rpc.pb.h"
#include "google/protobuf/unknown_field_set.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::TxnRequest;
using google::protobuf::Message;

// One of everything that a transaction can hold.
TxnRequest Whole() {
  TxnRequest txn;
  txn.add_compare()->set_key("a");
  txn.add_compare()->set_key("b");
  txn.add_success()->mutable_request_range()->set_key("a");
  txn.add_success()->mutable_request_put()->set_key("a");
  txn.add_failure()->mutable_request_delete_range()->set_key("a");
  TxnRequest& inner = *txn.add_failure()->mutable_request_txn();
  inner.add_success()->mutable_request_put()->set_key("c");
  return txn;
}

TEST(WireCheckTest, AWholeTransactionHasNoUnknownFields) {
  EXPECT_FALSE(HasUnknownFields(TxnRequest()));
  EXPECT_FALSE(HasUnknownFields(Whole()));
  // An operation that is none is known to be none.
  TxnRequest txn;
  txn.add_success();
  EXPECT_FALSE(HasUnknownFields(txn));
}

TEST(WireCheckTest, AnUnknownFieldIsSeenWhereverItIs) {
  const std::vector<std::function<Message*(TxnRequest&)>> places = {
      [](TxnRequest& t) { return &t; },
      [](TxnRequest& t) { return t.mutable_compare(1); },
      [](TxnRequest& t) { return t.mutable_success(0); },
      [](TxnRequest& t) { return t.mutable_success(0)->mutable_request_range(); },
      [](TxnRequest& t) { return t.mutable_success(1)->mutable_request_put(); },
      [](TxnRequest& t) { return t.mutable_failure(0)->mutable_request_delete_range(); },
      [](TxnRequest& t) { return t.mutable_failure(1)->mutable_request_txn(); },
      [](TxnRequest& t) {
        return t.mutable_failure(1)
            ->mutable_request_txn()
            ->mutable_success(0)
            ->mutable_request_put();
      },
  };
  for (size_t i = 0; i < places.size(); ++i) {
    TxnRequest txn = Whole();
    Message* const place = places[i](txn);
    place->GetReflection()->MutableUnknownFields(place)->AddVarint(99, 1);
    EXPECT_TRUE(HasUnknownFields(txn)) << i;
  }
}

TEST(WireCheckTest, OtherRequestsAreSearchedToo) {
  etcdserverpb::WatchRequest watch;
  watch.mutable_create_request()->set_key("a");
  EXPECT_FALSE(HasUnknownFields(watch));
  Message* const create = watch.mutable_create_request();
  create->GetReflection()->MutableUnknownFields(create)->AddVarint(99, 1);
  EXPECT_TRUE(HasUnknownFields(watch));
}

}  // namespace
}  // namespace jetd::etcdapi
