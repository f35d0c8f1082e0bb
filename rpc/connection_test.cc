// SPDX-License-Identifier: Apache-2.0
//
// A connection without socket or clock, and clients that keep no rules.
#include "rpc/connection.h"

#include <chrono>
#include <string>

#include "base/strings.h"
#include "gtest/gtest.h"
#include "rpc/testing/connection_fixture.h"

namespace jetd::rpc {
namespace {

using namespace std::chrono_literals;

using ConnectionTest = ConnectionFixture;

TEST_F(ConnectionTest, AUnaryCallByHand) {
  Hello();
  Exchange(client_.Call(1, kUnary, "hello"));
  EXPECT_EQ(client_.answer(1).bytes, std::string("\0\0\0\0\5hello", 10));
  EXPECT_EQ(StatusOf(1), "0 ");
  EXPECT_TRUE(client_.answer(1).ended);
  EXPECT_FALSE(client_.answer(1).reset);
  EXPECT_EQ(server_->calls(), 0U);
}

// However the bytes fall into pieces.
TEST_F(ConnectionTest, ByteByByte) {
  std::string all = RawClient::Hello();
  all += client_.Call(1, kUnary, "hello");
  all += client_.Call(3, "/test.Echo/Fail", "5 gone");
  for (const char byte : all) Exchange(std::string(1, byte));
  EXPECT_EQ(client_.answer(1).bytes, std::string("\0\0\0\0\5hello", 10));
  EXPECT_EQ(StatusOf(3), "5 gone");
}

TEST_F(ConnectionTest, MessagesInOddFrames) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf("/test.Echo/Collect")));
  const std::string two = std::string("\0\0\0\0\3abc", 8) + std::string("\0\0\0\0\0", 5) +
                          std::string("\0\0\0\0\2de", 7);
  for (size_t i = 0; i < two.size(); i += 3) Exchange(RawClient::Data(1, two.substr(i, 3)));
  Exchange(RawClient::Data(1, "", Frame::kEndStream));
  EXPECT_EQ(client_.answer(1).bytes, std::string("\0\0\0\0\5abcde", 10));
}

TEST_F(ConnectionTest, AnEndInTheMiddleOfAMessage) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf(kUnary)) +
           RawClient::Data(1, std::string("\0\0\0\0\5he", 7), Frame::kEndStream));
  EXPECT_EQ(StatusOf(1), "13 unexpected EOF");
}

TEST_F(ConnectionTest, TheSizeIsJudgedBeforeTheMessageComes) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf(kUnary)) +
           RawClient::Data(1, std::string("\0\xFF\xFF\xFF\xFF", 5)));
  EXPECT_EQ(StatusOf(1), "8 grpc: received message larger than max (4294967295 vs. 1000000)");
  // The client is told to stop, too.
  EXPECT_TRUE(client_.answer(1).reset);
  EXPECT_EQ(client_.answer(1).reset_code, kNoError);
  EXPECT_EQ(core_.incoming.used(), 0U);
  EXPECT_EQ(methods_.heard().over_sent, 1) << "its handler hears of it";
}

TEST_F(ConnectionTest, FlagsThatGrpcDoesNotHave) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf(kUnary)) +
           RawClient::Data(1, std::string("\7\0\0\0\0", 5), Frame::kEndStream));
  EXPECT_EQ(StatusOf(1), "13 grpc: received unexpected payload format 7");
  Exchange(client_.Headers(3, RawClient::CallOf(kUnary)) +
           RawClient::Data(3, std::string("\1\0\0\0\1x", 6), Frame::kEndStream));
  EXPECT_EQ(StatusOf(3), "13 grpc: compressed flag set with identity or empty encoding");
}

TEST_F(ConnectionTest, AnotherEncodingIsRefusedAndIdentityIsNot) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf(kUnary, {{"grpc-encoding", "snappy"}})));
  EXPECT_EQ(StatusOf(1), "12 grpc: Decompressor is not installed for grpc-encoding \"snappy\"");
  EXPECT_EQ(FieldOf(1, "grpc-accept-encoding"), "identity");
  Exchange(client_.Headers(3, RawClient::CallOf(kUnary, {{"grpc-encoding", "identity"}})) +
           RawClient::Message(3, "hello", Frame::kEndStream));
  EXPECT_EQ(StatusOf(3), "0 ");
}

// As curl asks.
TEST_F(ConnectionTest, WhatIsNoCallIsAnsweredByHttp) {
  Hello();
  Exchange(client_.Headers(
      1,
      {{":method", "GET"}, {":scheme", "http"}, {":path", "/version"}, {":authority", "127.0.0.1"}},
      Frame::kEndHeaders | Frame::kEndStream));
  EXPECT_EQ(FieldOf(1, ":status"), "415");
  EXPECT_TRUE(client_.answer(1).ended);
  Exchange(client_.Headers(3, {{":method", "POST"},
                               {":scheme", "http"},
                               {":path", kUnary},
                               {":authority", "127.0.0.1"},
                               {"content-type", "application/json"}}));
  EXPECT_EQ(FieldOf(3, ":status"), "415");
  EXPECT_EQ(StatusOf(3), "3 invalid gRPC request content-type \"application/json\"");
  Exchange(client_.Headers(5, RawClient::CallOf(kUnary, {{"grpc-timeout", "5 minutes"}})));
  EXPECT_EQ(FieldOf(5, ":status"), "400");
  RawClient::Fields get = RawClient::CallOf(kUnary);
  get[0].second = "GET";
  Exchange(client_.Headers(7, get));
  EXPECT_EQ(FieldOf(7, ":status"), "405");
  EXPECT_EQ(methods_.heard().opened, 0);
}

TEST_F(ConnectionTest, ADeadlineEndsACall) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf("/test.Echo/Hold", {{"grpc-timeout", "300m"}})));
  executor_.Advance(290ms);
  Listen();
  EXPECT_EQ(methods_.held(), 1U);
  EXPECT_FALSE(client_.answer(1).ended);
  executor_.Advance(10ms + TimerWheel::kTick);
  Listen();
  EXPECT_EQ(StatusOf(1), "4 context deadline exceeded");
  EXPECT_EQ(methods_.held(), 0U);
  EXPECT_EQ(methods_.heard().over_unsent, 1);
}

TEST_F(ConnectionTest, ACallThatEndsInTimeLeavesNoTimer) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf(kUnary, {{"grpc-timeout", "10S"}})) +
           RawClient::Message(1, "hello", Frame::kEndStream));
  EXPECT_EQ(StatusOf(1), "0 ");
  executor_.Advance(11s);
  EXPECT_EQ(StatusOf(1), "0 ");
  EXPECT_EQ(methods_.heard().over_sent, 1);
}

TEST_F(ConnectionTest, CallsBeyondTheLimitAreRefused) {
  Hello();
  for (uint32_t i = 0; i < 51; ++i) {
    Exchange(client_.Headers(1 + 2 * i, RawClient::CallOf("/test.Echo/Hold")));
  }
  EXPECT_EQ(methods_.held(), 50U);
  EXPECT_TRUE(client_.answer(101).reset);
  EXPECT_EQ(client_.answer(101).reset_code, kRefusedStream);
}

TEST_F(ConnectionTest, HeadersWithoutEndAreReset) {
  Hello();
  RawClient::Fields many;
  for (int i = 0; i < 70; ++i) many.emplace_back(Cat("x-", i), std::string(1'000, 'x'));
  const std::string frame = client_.Headers(1, RawClient::CallOf(kUnary, many));
  // Too long for one frame: cut as a client has to.
  std::string_view block = std::string_view(frame).substr(9);
  std::string cut;
  for (uint8_t type = Frame::kHeaders; !block.empty(); type = Frame::kContinuation) {
    const std::string part(block.substr(0, 16'384));
    block.remove_prefix(part.size());
    cut += Frame{.type = type,
                 .flags = block.empty() ? Frame::kEndHeaders : Frame::kNone,
                 .stream = 1,
                 .payload = part}
               .Encode();
  }
  Exchange(cut);
  EXPECT_TRUE(client_.answer(1).reset);
  EXPECT_EQ(methods_.heard().opened, 0);
  Exchange(client_.Call(3, kUnary, "hello"));
  EXPECT_EQ(StatusOf(3), "0 ");
}

TEST_F(ConnectionTest, ResetsWithoutEndEndTheConnection) {
  Hello();
  uint32_t id = 1;
  for (; listens_ && !server_->finished() && id < 2 * 30'000; id += 2) {
    Exchange(client_.Headers(id, RawClient::CallOf("/test.Echo/Hold")) + RawClient::Reset(id));
  }
  EXPECT_GT(id, 2 * limits::kResetBurst);
  EXPECT_TRUE(server_->finished());
  EXPECT_NE(GoAway(), "");
  EXPECT_EQ(methods_.held(), 0U);
}

// Nobody reads what the server says to them.
TEST_F(ConnectionTest, PingsAndSettingsWithoutEndEndTheConnection) {
  Hello();
  std::string flood;
  for (int i = 0; i < 100; ++i) flood += Frame{.type = Frame::kSettings}.Encode();
  int floods = 0;
  while (server_.Send(flood) && floods < 1'000) ++floods;
  EXPECT_LT(floods, 20);
  EXPECT_TRUE(server_->finished());
}

TEST_F(ConnectionTest, WhatIsNoHttp2EndsTheConnection) {
  EXPECT_FALSE(server_.Send("GET /version HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_TRUE(server_->finished());
}

TEST_F(ConnectionTest, AFrameThatBreaksTheRulesEndsTheConnection) {
  Hello();
  Exchange(RawClient::Data(1, "data of no stream"));
  EXPECT_NE(GoAway(), "");
  EXPECT_TRUE(server_->finished());
}

TEST_F(ConnectionTest, WindowsOpenAsHandlersRead) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf("/test.Echo/Deaf")));
  const std::string part(16'384, 'x');
  const std::string message = std::string("\0\0\x0F\0\0", 5);  // 983,040 bytes follow
  Exchange(RawClient::Data(1, message));
  for (size_t sent = 0; sent + part.size() <= 240'000; sent += part.size()) {
    Exchange(RawClient::Data(1, part));
  }
  EXPECT_EQ(client_.Count(Frame::kWindowUpdate), 1U) << "the connection's own, of its beginning";
  // Beyond its window.
  for (int i = 0; i < 3; ++i) Exchange(RawClient::Data(1, part));
  EXPECT_TRUE(client_.answer(1).reset || GoAway() != "");
}

TEST_F(ConnectionTest, WhatComesUnreadIsCountedAndGivenBack) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf("/test.Echo/Deaf")));
  Exchange(RawClient::Message(1, std::string(10'000, 'x')));
  Exchange(RawClient::Message(1, std::string(10'000, 'y')));
  EXPECT_GE(core_.incoming.used(), 10'000U);
  Exchange(RawClient::Reset(1));
  EXPECT_EQ(core_.incoming.used(), 0U);
  EXPECT_EQ(server_->calls(), 0U);
}

// A client without a window gets nothing, and costs one message.
TEST_F(ConnectionTest, AClosedWindowHoldsAnswersBack) {
  Hello({{4, 0}});
  Exchange(client_.Call(1, "/test.Echo/Repeat", "1000 5000 x"));
  EXPECT_EQ(client_.answer(1).bytes, "");
  EXPECT_EQ(methods_.heard().written, 0);
  Exchange(RawClient::Window(1, 12'000));
  EXPECT_EQ(client_.answer(1).bytes.size(), 12'000U);
  EXPECT_EQ(methods_.heard().written, 2);
  // And may go in the middle of a message.
  Exchange(RawClient::Reset(1));
  EXPECT_EQ(methods_.heard().over_unsent, 1);
  EXPECT_EQ(server_->calls(), 0U);
}

TEST_F(ConnectionTest, ADeadlineInTheMiddleOfAMessageResets) {
  Hello({{4, 100}});
  Exchange(client_.Headers(1, RawClient::CallOf("/test.Echo/Repeat", {{"grpc-timeout", "1S"}})) +
           RawClient::Message(1, "1 5000 x", Frame::kEndStream));
  EXPECT_EQ(client_.answer(1).bytes.size(), 100U);
  executor_.Advance(2s);
  Listen();
  EXPECT_TRUE(client_.answer(1).reset);
  EXPECT_EQ(server_->calls(), 0U);
}

TEST_F(ConnectionTest, ValuesAreNotCopied) {
  Hello({{4, 1U << 20}});
  Exchange(RawClient::Window(0, 1U << 20));
  server_.Send(client_.Call(1, kUnary, std::string(10'000, 'x')));
  server_->RunEvents(SIZE_MAX);
  server_->Fill();
  EXPECT_GT(server_->output().size(), 10'000U);
  EXPECT_LT(server_->output().copied_bytes(), 200U);
}

}  // namespace
}  // namespace jetd::rpc
