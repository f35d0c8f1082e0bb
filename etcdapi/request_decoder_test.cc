// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/request_decoder.h"

#include <string>

#include "base/limits.h"
#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::Compare;

// Abseil's differs between Debian 12 and 13.
std::string BytesOf(const std::string& hex) {
  std::string bytes;
  for (size_t at = 0; at < hex.size(); at += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

rpc::Message MessageOf(const std::string& bytes) { return rpc::Message(rpc::Slice::Copy(bytes)); }

struct BadCase {
  const char* hex;
  const char* error;
};

// Each was sent to etcd 3.5.30, which answered so.
class MalformedTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(MalformedTest, HasEtcdsText) {
  const std::string bytes = BytesOf(GetParam().hex);
  etcdserverpb::RangeRequest request;
  const rpc::Status status = ParseRequest(MessageOf(bytes), &request);
  const std::string error = GetParam().error;
  if (error.empty()) {
    EXPECT_TRUE(status.ok()) << status.message();
  } else {
    EXPECT_EQ(status.code(), rpc::Code::kInternal);
    EXPECT_EQ(status.message(), Cat("grpc: error unmarshalling request: ", error));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Range, MalformedTest,
    ::testing::Values(
        BadCase{"ff", "unexpected EOF"}, BadCase{"0a05", "unexpected EOF"},
        BadCase{"0a0561", "unexpected EOF"},
        BadCase{"08", "proto: wrong wireType = 0 for field Key"},
        BadCase{"0801", "proto: wrong wireType = 0 for field Key"},
        BadCase{"1a0161", "proto: wrong wireType = 2 for field Limit"},
        BadCase{"00", "proto: RangeRequest: illegal tag 0 (wire type 0)"},
        BadCase{"0f", "proto: wrong wireType = 7 for field Key"},
        BadCase{"0c", "proto: RangeRequest: wiretype end group for non-group"},
        BadCase{"0affffffffffffffffff01", "proto: negative length found during unmarshaling"},
        BadCase{"0affffffffffffffffffff01", "proto: integer overflow"}, BadCase{"0a0161a00601", ""},
        BadCase{"0a016128ffffffffffffffffff01", ""}, BadCase{"0a0161a306", "unexpected EOF"},
        BadCase{"0a0161a406", "proto: RangeRequest: wiretype end group for non-group"},
        BadCase{"0a016128808080808080808080808001", "proto: integer overflow"},
        BadCase{"0a016138ff", "unexpected EOF"}, BadCase{"0a0161f8ffffff0f01", ""}));

TEST(RequestDecoderTest, FindsErrorsInsideTransactions) {
  etcdserverpb::TxnRequest request;
  const rpc::Status status = ParseRequest(MessageOf(BytesOf("12040a020801")), &request);
  EXPECT_EQ(status.message(),
            "grpc: error unmarshalling request: proto: wrong wireType = 0 for field Key");
}

TEST(RequestDecoderTest, NamesFieldsAsGoDoes) {
  etcdserverpb::LeaseGrantRequest grant;
  EXPECT_EQ(ParseRequest(MessageOf(BytesOf("0aff")), &grant).message(),
            "grpc: error unmarshalling request: proto: wrong wireType = 2 for field TTL");
  etcdserverpb::RangeRequest range;
  EXPECT_EQ(ParseRequest(MessageOf(BytesOf("1001")), &range).message(),
            "grpc: error unmarshalling request: proto: wrong wireType = 0 for field RangeEnd");
}

TEST(RequestDecoderTest, BoundsTheDepthOfTransactions) {
  etcdserverpb::TxnRequest request;
  etcdserverpb::TxnRequest* level = &request;
  for (int i = 0; i < 10 * limits::kMaxTxnDepth; ++i) {
    level = level->add_success()->mutable_request_txn();
  }
  etcdserverpb::TxnRequest parsed;
  const rpc::Status status = ParseRequest(MessageOf(request.SerializeAsString()), &parsed);
  EXPECT_EQ(status.code(), rpc::Code::kInvalidArgument);
}

std::string Wrapped(char tag, const std::string& content) {
  std::string wrapped(1, tag);
  size_t length = content.size();
  for (; length >= 0x80; length >>= 7U) {
    wrapped.push_back(static_cast<char>((length & 0x7fU) | 0x80U));
  }
  wrapped.push_back(static_cast<char>(length));
  return wrapped + content;
}

// Very many levels in few bytes: the check itself must not run out of stack.
TEST(RequestDecoderTest, SurvivesHostileNesting) {
  constexpr char kRequestTxn = 0x22;
  constexpr char kSuccess = 0x12;
  std::string bytes;
  for (int i = 0; i < 3'000; ++i) bytes = Wrapped(kSuccess, Wrapped(kRequestTxn, bytes));
  etcdserverpb::TxnRequest parsed;
  EXPECT_FALSE(ParseRequest(MessageOf(bytes), &parsed).ok());
}

TEST(RequestDecoderTest, UnknownCompareTargetsAndResultsAreEtcds) {
  etcdserverpb::TxnRequest request;
  auto* target = request.add_compare();
  target->set_key("a");
  target->set_target(static_cast<Compare::CompareTarget>(9));
  target->set_result(Compare::NOT_EQUAL);
  auto* result = request.add_compare();
  result->set_key("a");
  result->set_target(Compare::VALUE);
  result->set_result(static_cast<Compare::CompareResult>(9));
  const revision::TxnOp op = ToOp(request);
  // Never: a version is not below 0.
  EXPECT_EQ(op.compares[0].target, revision::Compare::Target::kVersion);
  EXPECT_EQ(op.compares[0].result, revision::Compare::Result::kLess);
  EXPECT_EQ(op.compares[0].number, 0);
  // If the key is there.
  EXPECT_EQ(op.compares[1].target, revision::Compare::Target::kVersion);
  EXPECT_EQ(op.compares[1].result, revision::Compare::Result::kGreater);
  EXPECT_EQ(op.compares[1].number, 0);
}

TEST(RequestDecoderTest, WatchFilters) {
  etcdserverpb::WatchCreateRequest request;
  request.add_filters(etcdserverpb::WatchCreateRequest::NODELETE);
  request.add_filters(static_cast<etcdserverpb::WatchCreateRequest::FilterType>(9));
  const watch::CreateRequest create = ToCreate(request);
  EXPECT_FALSE(create.no_put);
  EXPECT_TRUE(create.no_delete);
}

}  // namespace
}  // namespace jetd::etcdapi
