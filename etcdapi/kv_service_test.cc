// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/kv_service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/limits.h"
#include "base/strings.h"
#include "etcdapi/testing/test_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::KV;
using grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class KvServiceTest : public ::testing::Test {
 protected:
  grpc::Status Put(const std::string& key, const std::string& value,
                   etcdserverpb::PutResponse* response = nullptr) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    return Put(request, response);
  }
  grpc::Status Put(const etcdserverpb::PutRequest& request,
                   etcdserverpb::PutResponse* response = nullptr) {
    grpc::ClientContext context;
    etcdserverpb::PutResponse ignored;
    return kv_->Put(&context, request, response != nullptr ? response : &ignored);
  }
  grpc::Status Range(const etcdserverpb::RangeRequest& request,
                     etcdserverpb::RangeResponse* response) {
    grpc::ClientContext context;
    return kv_->Range(&context, request, response);
  }
  grpc::Status Txn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response) {
    grpc::ClientContext context;
    return kv_->Txn(&context, request, response);
  }
  grpc::Status RangeStream(const etcdserverpb::RangeRequest& request,
                           etcdserverpb::RangeResponse* merged, int* pieces) {
    grpc::ClientContext context;
    auto reader = kv_->RangeStream(&context, request);
    etcdserverpb::RangeStreamResponse whole;
    etcdserverpb::RangeStreamResponse piece;
    *pieces = 0;
    while (reader->Read(&piece)) {
      whole.MergeFrom(piece);
      ++*pieces;
    }
    *merged = whole.range_response();
    return reader->Finish();
  }
  static void ExpectError(const grpc::Status& status, StatusCode code, const std::string& text) {
    EXPECT_EQ(status.error_code(), code);
    EXPECT_EQ(status.error_message(), text);
  }

  TestServer server_;
  std::unique_ptr<KV::Stub> kv_ = KV::NewStub(server_.channel());
};

TEST_F(KvServiceTest, PutsAndReads) {
  etcdserverpb::PutResponse put;
  ASSERT_TRUE(Put("a", "1", &put).ok());
  EXPECT_EQ(put.header().revision(), 2);
  EXPECT_NE(put.header().cluster_id(), 0U);
  EXPECT_EQ(put.header().member_id(), StableId("member"));
  EXPECT_EQ(put.header().raft_term(), 1U);

  etcdserverpb::RangeRequest request;
  request.set_key("a");
  etcdserverpb::RangeResponse range;
  ASSERT_TRUE(Range(request, &range).ok());
  ASSERT_EQ(range.kvs_size(), 1);
  EXPECT_EQ(range.kvs(0).key(), "a");
  EXPECT_EQ(range.kvs(0).value(), "1");
  EXPECT_EQ(range.kvs(0).mod_revision(), 2);
  EXPECT_EQ(range.count(), 1);
  EXPECT_EQ(range.header().revision(), 2);
}

TEST_F(KvServiceTest, RunsTransactionsWithNestedOnes) {
  ASSERT_TRUE(Put("a", "1").ok());
  etcdserverpb::TxnRequest txn;
  auto* compare = txn.add_compare();
  compare->set_key("a");
  compare->set_target(Compare::MOD);
  compare->set_mod_revision(2);
  auto* put = txn.add_success()->mutable_request_put();
  put->set_key("b");
  put->set_value("2");
  auto* inner = txn.add_success()->mutable_request_txn();
  inner->add_failure()->mutable_request_delete_range()->set_key("zzz");
  inner->add_success()->mutable_request_range()->set_key("a");
  etcdserverpb::TxnResponse response;
  ASSERT_TRUE(Txn(txn, &response).ok());
  EXPECT_TRUE(response.succeeded());
  ASSERT_EQ(response.responses_size(), 2);
  EXPECT_EQ(response.responses(0).response_put().header().revision(), 3);
  EXPECT_EQ(response.responses(0).response_put().header().member_id(), 0U);
  const auto& nested = response.responses(1).response_txn();
  EXPECT_TRUE(nested.has_header());
  EXPECT_EQ(nested.responses(0).response_range().kvs(0).value(), "1");
  EXPECT_EQ(response.header().revision(), 3);
}

// A transaction of `levels` levels, each in the success branch of the one around it.
etcdserverpb::TxnRequest Nested(int levels) {
  etcdserverpb::TxnRequest txn;
  etcdserverpb::TxnRequest* level = &txn;
  for (int i = 1; i < levels; ++i) level = level->add_success()->mutable_request_txn();
  return txn;
}

TEST_F(KvServiceTest, RunsDeeplyNestedTransactions) {
  constexpr int kLevels = 45;  // C++'s decoder takes no deeper answer, on the client's side
  etcdserverpb::TxnResponse response;
  ASSERT_TRUE(Txn(Nested(kLevels), &response).ok());
  int depth = 1;
  const etcdserverpb::TxnResponse* inner = &response;
  for (; inner->responses_size() == 1; ++depth) inner = &inner->responses(0).response_txn();
  EXPECT_EQ(depth, kLevels);
}

TEST_F(KvServiceTest, TakesTransactionsAsDeepAsEtcd) {
  // Of the deepest only the failure branch runs, so that the answer is flat.
  etcdserverpb::TxnRequest deepest = Nested(limits::kMaxTxnDepth);
  deepest.add_compare()->set_key("absent");
  deepest.mutable_compare(0)->set_result(Compare::GREATER);
  etcdserverpb::TxnResponse response;
  EXPECT_TRUE(Txn(deepest, &response).ok());
  for (const int levels : {limits::kMaxTxnDepth + 1, 5 * limits::kMaxTxnDepth}) {
    ExpectError(Txn(Nested(levels), &response), StatusCode::INVALID_ARGUMENT,
                "etcdserver: too many operations in txn request");
  }
}

TEST_F(KvServiceTest, DeletesWithPreviousValues) {
  ASSERT_TRUE(Put("a/1", "x").ok());
  ASSERT_TRUE(Put("a/2", std::string(100'000, 'y')).ok());
  etcdserverpb::DeleteRangeRequest request;
  request.set_key("a/");
  request.set_range_end("a0");
  request.set_prev_kv(true);
  etcdserverpb::DeleteRangeResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(kv_->DeleteRange(&context, request, &response).ok());
  EXPECT_EQ(response.deleted(), 2);
  ASSERT_EQ(response.prev_kvs_size(), 2);
  EXPECT_EQ(response.prev_kvs(1).value(), std::string(100'000, 'y'));
}

TEST_F(KvServiceTest, CompactsAndRefusesWhatIsGone) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Put("a", std::to_string(i)).ok());
  etcdserverpb::CompactionRequest request;
  request.set_revision(3);
  request.set_physical(true);
  etcdserverpb::CompactionResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(kv_->Compact(&context, request, &response).ok());
  }
  EXPECT_EQ(response.header().revision(), 4);
  etcdserverpb::RangeRequest range;
  range.set_key("a");
  range.set_revision(2);
  etcdserverpb::RangeResponse ignored;
  ExpectError(Range(range, &ignored), StatusCode::OUT_OF_RANGE,
              "etcdserver: mvcc: required revision has been compacted");
  range.set_revision(99);
  ExpectError(Range(range, &ignored), StatusCode::OUT_OF_RANGE,
              "etcdserver: mvcc: required revision is a future revision");
  {
    grpc::ClientContext context;
    ExpectError(kv_->Compact(&context, request, &response), StatusCode::OUT_OF_RANGE,
                "etcdserver: mvcc: required revision has been compacted");
  }
}

TEST_F(KvServiceTest, RefusesWithEtcdsWords) {
  ExpectError(Put("", "x"), StatusCode::INVALID_ARGUMENT, "etcdserver: key is not provided");
  etcdserverpb::PutRequest put;
  put.set_key("a");
  put.set_lease(4711);
  ExpectError(Put(put), StatusCode::NOT_FOUND, "etcdserver: requested lease not found");
  put.set_lease(0);
  put.set_ignore_value(true);
  ExpectError(Put(put), StatusCode::INVALID_ARGUMENT, "etcdserver: key not found");
  etcdserverpb::TxnRequest txn;
  for (int i = 0; i < 2; ++i) txn.add_success()->mutable_request_put()->set_key("a");
  etcdserverpb::TxnResponse ignored;
  ExpectError(Txn(txn, &ignored), StatusCode::INVALID_ARGUMENT,
              "etcdserver: duplicate key given in txn request");
}

// etcd counts the bytes of the raft entry that it makes of a request; 3.5.30, when asked, took one
// of exactly 1.5 MiB and refused one more byte.
TEST_F(KvServiceTest, BoundsTheRequestAsEtcdDoes) {
  constexpr size_t kLimit = 1536UL * 1024;
  // In that entry, in bytes: 13 for the request's header, 4 for the tag and length of the put, 3
  // for the key, 4 for the tag and length of the value; the rest is the value.
  const size_t largest = kLimit - 13 - 4 - 3 - 4;
  EXPECT_TRUE(Put("a", std::string(largest, 'x')).ok());
  ExpectError(Put("a", std::string(largest + 1, 'x')), StatusCode::INVALID_ARGUMENT,
              "etcdserver: request is too large");
  ExpectError(Put("a", std::string(3UL << 20U, 'x')), StatusCode::RESOURCE_EXHAUSTED,
              "grpc: received message larger than max (3145736 vs. 2097152)");
}

TEST_F(KvServiceTest, RangeStreamMergesToTheRangeAnswer) {
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(Put("k" + std::to_string(1000 + i), std::string(i % 7 * 1000, 'v')).ok());
  }
  etcdserverpb::RangeRequest request;
  request.set_key("k");
  request.set_range_end("l");
  for (const auto& [limit, keys_only, revision] :
       std::vector<std::tuple<int, bool, int>>{{0, false, 0},
                                               {0, true, 0},
                                               {250, false, 0},
                                               {300, false, 0},
                                               {5, true, 100},
                                               {0, false, 3}}) {
    request.set_limit(limit);
    request.set_keys_only(keys_only);
    request.set_revision(revision);
    etcdserverpb::RangeResponse expected;
    ASSERT_TRUE(Range(request, &expected).ok());
    etcdserverpb::RangeResponse merged;
    int pieces = 0;
    ASSERT_TRUE(RangeStream(request, &merged, &pieces).ok());
    EXPECT_EQ(merged.SerializeAsString(), expected.SerializeAsString());
    EXPECT_GE(pieces, expected.kvs_size() > 100 ? 2 : 1);
  }
}

TEST_F(KvServiceTest, RangeStreamDoesNotSort) {
  etcdserverpb::RangeRequest request;
  request.set_key("k");
  request.set_sort_order(etcdserverpb::RangeRequest::DESCEND);
  etcdserverpb::RangeResponse merged;
  int pieces = 0;
  const grpc::Status status = RangeStream(request, &merged, &pieces);
  EXPECT_EQ(status.error_code(), StatusCode::UNIMPLEMENTED);
}

TEST_F(KvServiceTest, SortedRange) {
  for (const char* value : {"3", "1", "2"}) ASSERT_TRUE(Put(Cat("k", value), value).ok());
  etcdserverpb::RangeRequest request;
  request.set_key("k");
  request.set_range_end("l");
  request.set_sort_order(etcdserverpb::RangeRequest::DESCEND);
  request.set_sort_target(etcdserverpb::RangeRequest::MOD);
  etcdserverpb::RangeResponse response;
  ASSERT_TRUE(Range(request, &response).ok());
  std::vector<std::string> values;
  for (const auto& kv : response.kvs()) values.push_back(kv.value());
  EXPECT_THAT(values, ElementsAre("2", "1", "3"));
  request.set_sort_target(static_cast<etcdserverpb::RangeRequest::SortTarget>(9));
  ExpectError(Range(request, &response), StatusCode::INVALID_ARGUMENT,
              "etcdserver: invalid sort option");
}

TEST(KvServiceUnavailableTest, SaysNoLeaderToThoseWhoAskForOne) {
  TestServer server({.wait_until_leading = false, .connect_on_open = false});
  auto kv = KV::NewStub(server.channel());
  etcdserverpb::RangeRequest request;
  request.set_key("a");
  etcdserverpb::RangeResponse response;
  grpc::ClientContext context;
  context.AddMetadata("hasleader", "true");
  const grpc::Status status = kv->Range(&context, request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "etcdserver: no leader");
}

TEST(KvServiceStopTest, AnswersWhatWaitsWhenTheServerStops) {
  TestServer server;
  auto kv = KV::NewStub(server.channel());
  server.OnEngine([&] { server.log()->Hold(jetstream::MemoryLog::Leg::kAnswer); });
  etcdserverpb::PutRequest request;
  request.set_key("a");
  etcdserverpb::PutResponse response;
  grpc::Status status;
  std::thread client([&] {
    grpc::ClientContext context;
    status = kv->Put(&context, request, &response);
  });
  bool queued = false;
  while (!queued) {
    server.OnEngine([&] { queued = server.committer()->counters().in_flight_records > 0; });
  }
  server.OnEngine([&] { server.committer()->Stop(); });
  server.Stop();
  client.join();
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("etcdserver: "));
}

}  // namespace
}  // namespace jetd::etcdapi
