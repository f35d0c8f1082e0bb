// SPDX-License-Identifier: Apache-2.0
//
// How a connection asks for signs of life, and how it ends.
#include <chrono>
#include <string>

#include "base/strings.h"
#include "gtest/gtest.h"
#include "rpc/connection.h"
#include "rpc/testing/connection_fixture.h"

namespace jetd::rpc {
namespace {

using namespace std::chrono_literals;

using ConnectionEndTest = ConnectionFixture;

TEST_F(ConnectionEndTest, PingsAreAnswered) {
  Hello();
  Exchange(RawClient::Ping("abcdefgh"));
  EXPECT_EQ(client_.others().back().payload, "abcdefgh");
  EXPECT_EQ(client_.others().back().flags, Frame::kAck);
}

TEST_F(ConnectionEndTest, TooManyPingsEndTheConnection) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf("/test.Echo/Hold")));
  for (int i = 0; i < 3; ++i) Exchange(RawClient::Ping());
  EXPECT_EQ(GoAway(), "");
  Exchange(RawClient::Ping());
  EXPECT_EQ(GoAway(), Cat(kEnhanceYourCalm, " too_many_pings up to 1"));
  EXPECT_TRUE(server_->finished());
  EXPECT_FALSE(server_.Send(RawClient::Ping()));
}

// What it has asked for along with them is not begun.
TEST_F(ConnectionEndTest, WhoIsSentAwayIsNotServed) {
  Hello();
  std::string bytes = client_.Call(1, kUnary, "hello");
  for (int i = 0; i < 4; ++i) bytes += RawClient::Ping();
  bytes += client_.Call(3, kUnary, "hello");
  Exchange(bytes);
  EXPECT_EQ(methods_.heard().opened, 0);
  EXPECT_EQ(GoAway(), Cat(kEnhanceYourCalm, " too_many_pings up to 1"));
}

TEST_F(ConnectionEndTest, HandlersHearWhatTheClientWasTold) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf(kUnary)) +
           RawClient::Data(1, std::string("\0\0\0\0\5he", 7), Frame::kEndStream));
  EXPECT_EQ(methods_.heard().last_code, Code::kInternal);
  Exchange(client_.Headers(3, RawClient::CallOf(kUnary)) +
           RawClient::Data(3, std::string("\0\xFF\xFF\xFF\xFF", 5)));
  EXPECT_EQ(methods_.heard().last_code, Code::kResourceExhausted);
  Exchange(client_.Headers(5, RawClient::CallOf("/test.Echo/Hold", {{"grpc-timeout", "1S"}})));
  executor_.Advance(2s);
  Listen();
  EXPECT_EQ(methods_.heard().last_code, Code::kDeadlineExceeded);
  Exchange(client_.Headers(7, RawClient::CallOf("/test.Echo/Hold")));
  Exchange(RawClient::Reset(7));
  EXPECT_EQ(methods_.heard().last_code, Code::kCancelled);
  EXPECT_EQ(methods_.heard().over_sent, 2);
}

TEST_F(ConnectionEndTest, PingsAtEtcdsPaceAreNotTooMany) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf("/test.Echo/Hold")));
  for (int i = 0; i < 20; ++i) {
    executor_.Advance(5s);
    Exchange(RawClient::Ping());
  }
  EXPECT_EQ(GoAway(), "");
  // Without a call they are, at any pace that is not hours.
  methods_.Release();
  Listen();
  for (int i = 0; i < 4; ++i) {
    executor_.Advance(60s);
    Exchange(RawClient::Ping());
  }
  EXPECT_EQ(GoAway(), Cat(kEnhanceYourCalm, " too_many_pings up to 1"));
}

// As the client of Go measures its window: a ping to every answer.
TEST_F(ConnectionEndTest, PingsToAnswersAreForgiven) {
  Hello();
  for (uint32_t id = 1; id < 201; id += 2) {
    Exchange(client_.Call(id, kUnary, "hello"));
    Exchange(RawClient::Ping());
  }
  EXPECT_EQ(GoAway(), "");
}

TEST_F(ConnectionEndTest, ASilentClientIsAskedAndGivenUp) {
  Hello();
  executor_.Advance(2h + 1s);
  Listen();
  EXPECT_EQ(client_.Count(Frame::kPing), 1U);
  EXPECT_FALSE(server_->finished());
  executor_.Advance(21s);
  EXPECT_TRUE(server_->finished());
}

TEST_F(ConnectionEndTest, ASilentClientThatAnswersGoesOn) {
  Hello();
  executor_.Advance(1min);
  for (int i = 0; i < 3; ++i) {
    executor_.Advance(2h - 1min + 1s);
    Listen();
    ASSERT_EQ(client_.Count(Frame::kPing), static_cast<size_t>(i + 1));
    Exchange(Frame{.type = Frame::kPing, .flags = Frame::kAck, .payload = std::string(8, '\0')}
                 .Encode());
    executor_.Advance(1min);
    EXPECT_FALSE(server_->finished());
  }
}

// They lie in one stream's window, and are taken from there one by one.
TEST_F(ConnectionEndTest, ManyMessagesAtOnceAreAllRead) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf("/test.Echo/Chat")));
  constexpr size_t kEach = 3'200, kFrames = 4;
  std::string some;
  for (size_t i = 0; i < kEach; ++i) some += std::string(5, '\0');
  std::string all;
  for (size_t i = 0; i < kFrames; ++i) all += RawClient::Data(1, some);
  Exchange(all);
  Exchange(RawClient::Data(1, "", Frame::kEndStream));
  EXPECT_EQ(StatusOf(1), "0 ");
  EXPECT_EQ(client_.answer(1).bytes.size(), kEach * kFrames * 5);
}

// The patience for an answer may be longer than the silence before a ping.
TEST_F(ConnectionEndTest, ASilentClientThatAnswersGoesOnWhenAskedOften) {
  TransportOptions options = Options();
  options.keepalive_interval = 10s;
  Core core(&executor_, &methods_.methods(), options);
  MemoryConnection server(&core);
  EXPECT_TRUE(server.Send(RawClient::Hello({})));
  const std::string alive =
      Frame{.type = Frame::kPing, .flags = Frame::kAck, .payload = std::string(8, '\0')}.Encode();
  for (int i = 0; i < 5; ++i) {
    executor_.Advance(10s + TimerWheel::kTick);
    client_.Receive(server.Receive());
    EXPECT_TRUE(server.Send(alive));
    executor_.Advance(10s);
    EXPECT_FALSE(server->finished()) << i;
  }
  client_.Receive(server.Receive());
  EXPECT_GE(client_.Count(Frame::kPing), 3U);
  executor_.Advance(1min);
  EXPECT_TRUE(server->finished()) << "it does not answer any more";
}

TEST_F(ConnectionEndTest, ADrainIsInTwoSteps) {
  Hello();
  server_->Drain();
  Listen();
  EXPECT_EQ(GoAway(), Cat(kNoError, "  up to ", 0x7FFFFFFF));
  EXPECT_EQ(client_.Count(Frame::kPing), 1U);
  // A call that crossed it on the way.
  Exchange(client_.Call(1, kUnary, "hello"));
  EXPECT_EQ(StatusOf(1), "0 ");
  EXPECT_FALSE(server_->finished());
  Exchange(Pong());
  EXPECT_EQ(GoAway(), Cat(kNoError, " graceful_stop up to 1"));
  EXPECT_TRUE(server_->finished());
}

// gRPC C++ puts its pongs in front of calls that it had begun before it read the notice. Behind the
// pong comes the farewell, which says that nothing was done for such a call: so nothing may be, for
// the client sends it again elsewhere.
TEST_F(ConnectionEndTest, WhatComesBehindThePongIsNotDone) {
  Hello();
  server_->Drain();
  Listen();
  Exchange(Pong() + client_.Call(1, kUnary, "hello"));
  EXPECT_EQ(GoAway(), Cat(kNoError, " graceful_stop up to 0"));
  EXPECT_EQ(methods_.heard().opened, 0);
  EXPECT_FALSE(client_.answer(1).ended);
  EXPECT_TRUE(server_->finished());
}

TEST_F(ConnectionEndTest, ADrainWaitsForCallsAndNotForPongs) {
  Hello();
  Exchange(client_.Headers(1, RawClient::CallOf("/test.Echo/Hold")));
  server_->Drain();
  executor_.Advance(limits::kFarewellPatience + TimerWheel::kTick);
  Listen();
  EXPECT_EQ(GoAway(), Cat(kNoError, " graceful_stop up to 1"));
  // Too late, and the client has been told.
  Exchange(client_.Call(3, kUnary, "hello"));
  EXPECT_FALSE(client_.answer(3).ended);
  EXPECT_FALSE(server_->finished());
  methods_.Release();
  Listen();
  EXPECT_TRUE(client_.answer(1).ended);
  Exchange(RawClient::Reset(1));
  EXPECT_TRUE(server_->finished());
}

}  // namespace
}  // namespace jetd::rpc
