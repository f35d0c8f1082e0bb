// SPDX-License-Identifier: Apache-2.0
#include "rpc/request_head.h"

#include <chrono>
#include <string>

#include "base/limits.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "rpc/bounds.h"

namespace jetd::rpc {
namespace {

using namespace std::chrono_literals;

TEST(RequestHeadTest, Timeouts) {
  EXPECT_EQ(ParseTimeout("100m"), 100ms);
  EXPECT_EQ(ParseTimeout("1H"), 1h);
  EXPECT_EQ(ParseTimeout("2M"), 2min);
  EXPECT_EQ(ParseTimeout("99999999S"), std::chrono::hours(24 * 365)) << "as good as for ever";
  EXPECT_EQ(ParseTimeout("99999999H"), std::chrono::hours(24 * 365));
  EXPECT_EQ(ParseTimeout("7u"), 7us);
  EXPECT_EQ(ParseTimeout("0n"), 0ns);
  for (const char* wrong : {"", "1", "m", "1x", "-1S", "+1S", "1.5S", " 1S", "123456789S", "1 S"}) {
    EXPECT_EQ(ParseTimeout(wrong), std::nullopt) << wrong;
  }
}

TEST(RequestHeadTest, TextsOfErrors) {
  EXPECT_EQ(PercentEncoded("etcdserver: mvcc: required revision"),
            "etcdserver: mvcc: required revision");
  EXPECT_EQ(PercentEncoded("100 %\n\xC3\xBC\x7F"), "100 %25%0A%C3%BC%7F");
}

class CheckTest : public ::testing::Test {
 protected:
  CheckTest() {
    methods_.Add("/etcd.KV/Range", Methods::Kind::kUnary, [](Call*) { return nullptr; });
    methods_.Keep("hasleader");
  }
  RequestHead With(const std::string& name, const std::string& value) {
    RequestHead head(&methods_);
    for (const auto& [field, text] : {std::pair<std::string, std::string>{":method", "POST"},
                                      {":path", "/etcd.KV/Range"},
                                      {"content-type", "application/grpc"},
                                      {name, value}}) {
      EXPECT_TRUE(head.Add(field, text));
    }
    return head;
  }
  std::string RefusalOf(const std::string& name, const std::string& value) {
    const auto refusal = With(name, value).Check();
    return refusal.has_value() ? refusal->status.message() : "none";
  }

  Methods methods_;
};

TEST_F(CheckTest, TypesOfContent) {
  EXPECT_EQ(RefusalOf("te", "trailers"), "none");
  EXPECT_EQ(RefusalOf("content-type", "application/grpc+proto"), "none");
  EXPECT_EQ(RefusalOf("content-type", "application/grpc;charset=utf-8"), "none");
  EXPECT_EQ(RefusalOf("content-type", "application/grpc-web"),
            "invalid gRPC request content-type \"application/grpc-web\"");
  EXPECT_EQ(RefusalOf("content-type", ""), "invalid gRPC request content-type \"\"");
}

TEST_F(CheckTest, PathsThatNobodyServes) {
  EXPECT_EQ(RefusalOf(":path", "/etcd.KV/Put"), "unknown method Put for service etcd.KV");
  EXPECT_EQ(RefusalOf(":path", "/etcd.Lock/Lock"), "unknown service etcd.Lock");
  EXPECT_EQ(RefusalOf(":path", "/version"), "malformed method name: \"/version\"");
  EXPECT_EQ(RefusalOf(":path", "*"), "malformed method name: \"*\"");
}

TEST_F(CheckTest, WhatIsKept) {
  const RequestHead head = With("hasleader", "true");
  EXPECT_EQ(head.metadata("hasleader"), "true");
  EXPECT_EQ(head.metadata("te"), "");
  EXPECT_FALSE(head.timeout().has_value());
  EXPECT_EQ(With("grpc-timeout", "5S").timeout(), 5s);
}

TEST_F(CheckTest, WhatIsKeptIsTheFirstAndIsCut) {
  RequestHead head(&methods_);
  EXPECT_TRUE(head.Add("hasleader", std::string(4'000, 'x')));
  EXPECT_TRUE(head.Add("hasleader", "true"));
  EXPECT_EQ(head.metadata("hasleader"), std::string(kMaxKeptHeaderBytes, 'x'));
  head.Forget();
  EXPECT_EQ(head.metadata("hasleader"), "");
}

TEST_F(CheckTest, WhatIsQuotedIsCut) {
  const std::string text(4'000, 'x');
  const std::string cut(kMaxEchoedBytes, 'x');
  EXPECT_EQ(RefusalOf(":path", text), Cat("malformed method name: \"", cut, "\""));
  EXPECT_EQ(RefusalOf("content-type", text),
            Cat("invalid gRPC request content-type \"", cut, "\""));
  EXPECT_EQ(RefusalOf("grpc-encoding", text),
            Cat("grpc: Decompressor is not installed for grpc-encoding \"", cut, "\""));
  EXPECT_EQ(RefusalOf(":method", text),
            Cat("Received a HEADERS frame with :method \"", cut, "\" which should be POST"));
}

TEST_F(CheckTest, TooManyBytesOfFields) {
  RequestHead head(&methods_);
  EXPECT_TRUE(head.Add("x", std::string(limits::kMaxHeaderBytes - 100, 'x')));
  EXPECT_FALSE(head.Add("y", std::string(100, 'y')));
}

}  // namespace
}  // namespace jetd::rpc
