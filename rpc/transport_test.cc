// SPDX-License-Identifier: Apache-2.0
//
// gRPC's own client against the transport.
#include "rpc/transport.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/strings.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"
#include "rpc/testing/grpc_client.h"

namespace jetd::rpc {
namespace {

class TransportTest : public ::testing::Test {
 protected:
  EchoServer server_;
  std::shared_ptr<grpc::Channel> channel_ = ChannelTo(server_.address());
};

TEST_F(TransportTest, AUnaryCallIsAnswered) {
  std::string answer;
  const grpc::Status status = Unary(channel_, "/test.Echo/Unary", "hello", &answer);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer, "hello");
  EXPECT_TRUE(Unary(channel_, "/test.Echo/Unary", "", &answer).ok());
  EXPECT_EQ(answer, "");
}

TEST_F(TransportTest, HandlersHearTheEnd) {
  EXPECT_TRUE(Unary(channel_, "/test.Echo/Unary", "hello").ok());
  server_.WaitUntil([](Transport& transport, EchoMethods&) { return transport.calls() == 0; });
  server_.Run([](Transport& transport, EchoMethods& methods) {
    EXPECT_EQ(methods.heard().opened, 1);
    EXPECT_EQ(methods.heard().over_sent, 1);
    EXPECT_EQ(transport.connections(), 1U);
  });
}

TEST_F(TransportTest, LargeMessagesGoBothWays) {
  for (const size_t bytes : {2'047U, 2'048U, 70'000U, 4U << 20}) {
    std::string request(bytes, 'x');
    for (size_t i = 0; i < bytes; i += 7) request[i] = static_cast<char>(i);
    std::string answer;
    const grpc::Status status = Unary(channel_, "/test.Echo/Unary", request, &answer);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(answer == request) << bytes;
  }
}

TEST_F(TransportTest, MessagesAboveTheLimitAreRefusedInGrpcGosWords) {
  const grpc::Status status = Unary(channel_, "/test.Echo/Unary", std::string((4U << 20) + 1, 'x'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "grpc: received message larger than max (4194305 vs. 4194304)");
  EXPECT_TRUE(Unary(channel_, "/test.Echo/Unary", "the connection goes on").ok());
}

TEST_F(TransportTest, EndsHaveCodesAndTexts) {
  const grpc::Status status = Unary(channel_, "/test.Echo/Fail", "5 nicht da: 100 % \xC3\xBC\n");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "nicht da: 100 % \xC3\xBC\n");
}

TEST_F(TransportTest, WhatIsNotServedIsUnimplemented) {
  grpc::Status status = Unary(channel_, "/test.Echo/Nothing", "");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "unknown method Nothing for service test.Echo");
  status = Unary(channel_, "/other.Service/Unary", "");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "unknown service other.Service");
}

TEST_F(TransportTest, CompressedMessagesAreNotTaken) {
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  const grpc::Status status =
      Unary(channel_, "/test.Echo/Unary", std::string(1'000, 'x'), nullptr, &context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(),
            "grpc: Decompressor is not installed for grpc-encoding \"gzip\"");
}

TEST_F(TransportTest, MetadataThatIsKeptIsThere) {
  grpc::ClientContext context;
  context.AddMetadata("who", "me");
  context.AddMetadata("other", "nobody asks");
  std::string answer;
  EXPECT_TRUE(Unary(channel_, "/test.Echo/Who", "", &answer, &context).ok());
  EXPECT_EQ(answer, "me");
}

TEST_F(TransportTest, StreamsGoBothWays) {
  grpc::ClientContext context;
  const auto chat = OpenStream(channel_, "/test.Echo/Chat", &context);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Say(chat.get(), Cat("message ", i)));
    EXPECT_EQ(Hear(chat.get()), Cat("message ", i));
  }
  chat->WritesDone();
  EXPECT_EQ(Hear(chat.get()), "(end)");
  EXPECT_TRUE(chat->Finish().ok());
}

TEST_F(TransportTest, AClientMayStreamAlone) {
  grpc::ClientContext context;
  const auto collect = OpenStream(channel_, "/test.Echo/Collect", &context);
  std::string all;
  for (int i = 0; i < 1'000; ++i) {
    const std::string part(static_cast<size_t>(i), static_cast<char>('a' + i % 26));
    ASSERT_TRUE(Say(collect.get(), part));
    all += part;
  }
  collect->WritesDone();
  EXPECT_EQ(Hear(collect.get()), all);
  EXPECT_TRUE(collect->Finish().ok());
}

TEST_F(TransportTest, AServerMayStreamAlone) {
  grpc::ClientContext context;
  const auto repeat = OpenStream(channel_, "/test.Echo/Repeat", &context);
  ASSERT_TRUE(Say(repeat.get(), "50 100000 x"));
  const std::string wanted(100'000, 'x');
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Hear(repeat.get()), wanted) << i;
  EXPECT_EQ(Hear(repeat.get()), "(end)");
  EXPECT_TRUE(repeat->Finish().ok()) << "though this client never said that it has no more";
}

TEST_F(TransportTest, ManyStreamsOfOneConnection) {
  constexpr int kStreams = 1'000;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<ClientStream>> streams;
  for (int i = 0; i < kStreams; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(OpenStream(channel_, "/test.Echo/Chat", contexts.back().get()));
    ASSERT_TRUE(Say(streams.back().get(), Cat("stream ", i)));
  }
  for (int i = 0; i < kStreams; ++i) EXPECT_EQ(Hear(streams[i].get()), Cat("stream ", i));
  server_.Run([](Transport& transport, EchoMethods&) {
    EXPECT_EQ(transport.connections(), 1U);
    EXPECT_EQ(transport.calls(), size_t{kStreams});
  });
  for (const auto& stream : streams) stream->WritesDone();
  for (const auto& stream : streams) EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(TransportTest, ACancelledCallIsOver) {
  grpc::ClientContext context;
  const auto held = OpenStream(channel_, "/test.Echo/Hold", &context);
  server_.WaitUntil([](Transport&, EchoMethods& methods) { return methods.held() == 1; });
  context.TryCancel();
  EXPECT_EQ(held->Finish().error_code(), grpc::StatusCode::CANCELLED);
  server_.WaitUntil([](Transport&, EchoMethods& methods) { return methods.held() == 0; });
  server_.Run([](Transport&, EchoMethods& methods) { EXPECT_EQ(methods.heard().over_unsent, 1); });
}

TEST_F(TransportTest, AClientThatGoesTakesItsCallsAlong) {
  {
    grpc::ClientContext context;
    const auto held = OpenStream(channel_, "/test.Echo/Hold", &context);
    server_.WaitUntil([](Transport&, EchoMethods& methods) { return methods.held() == 1; });
    context.TryCancel();
    (void)held->Finish();
    channel_.reset();
  }
  server_.WaitUntil([](Transport& transport, EchoMethods& methods) {
    return methods.held() == 0 && transport.connections() == 0;
  });
}

TEST_F(TransportTest, ACallEndsAtItsDeadline) {
  bool opened = false;
  // On a busy machine a deadline may be over before its call was sent.
  for (std::chrono::milliseconds time(100); !opened; time *= 2) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + time);
    const auto held = OpenStream(channel_, "/test.Echo/Hold", &context);
    EXPECT_EQ(held->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    server_.Run([&](Transport&, EchoMethods& methods) { opened = methods.heard().opened > 0; });
  }
  server_.WaitUntil([](Transport&, EchoMethods& methods) { return methods.held() == 0; });
}

// The handler asks for nothing: the client is held back by its window, others are not.
TEST_F(TransportTest, AStreamThatNobodyReadsHoldsItsClientOnly) {
  grpc::ClientContext context;
  const auto deaf = OpenStream(channel_, "/test.Echo/Deaf", &context);
  bool wrote_all = true;
  std::thread writer([&] {
    for (int i = 0; i < 64 && wrote_all; ++i) {
      wrote_all = Say(deaf.get(), std::string(1U << 20, 'x'));
    }
  });
  for (int i = 0; i < 100; ++i) {
    std::string answer;
    ASSERT_TRUE(Unary(channel_, "/test.Echo/Unary", std::string(100'000, 'y'), &answer).ok());
    ASSERT_EQ(answer.size(), 100'000U);
  }
  context.TryCancel();
  writer.join();
  EXPECT_FALSE(wrote_all);
  (void)deaf->Finish();
}

TEST_F(TransportTest, AClientThatReadsNothingHoldsItsStreamOnly) {
  grpc::ClientContext context;
  const auto repeat = OpenStream(channel_, "/test.Echo/Repeat", &context);
  ASSERT_TRUE(Say(repeat.get(), "1000 1000000 x"));
  for (int i = 0; i < 100; ++i) {
    std::string answer;
    ASSERT_TRUE(Unary(channel_, "/test.Echo/Unary", "hello", &answer).ok());
  }
  server_.Run([](Transport&, EchoMethods& methods) {
    // What gRPC's client takes in advance is some messages, not a gigabyte.
    EXPECT_LT(methods.heard().written, 100);
  });
  context.TryCancel();
  EXPECT_EQ(repeat->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(TransportTest, ADrainLetsCallsEnd) {
  grpc::ClientContext context;
  const auto chat = OpenStream(channel_, "/test.Echo/Chat", &context);
  ASSERT_TRUE(Say(chat.get(), "before"));
  EXPECT_EQ(Hear(chat.get()), "before");
  server_.Run([](Transport& transport, EchoMethods&) { transport.Drain(); });
  ASSERT_TRUE(Say(chat.get(), "after"));
  EXPECT_EQ(Hear(chat.get()), "after");
  chat->WritesDone();
  EXPECT_EQ(Hear(chat.get()), "(end)");
  EXPECT_TRUE(chat->Finish().ok());
  server_.WaitUntil(
      [](Transport& transport, EchoMethods&) { return transport.connections() == 0; });
  EXPECT_EQ(Unary(channel_, "/test.Echo/Unary", "").error_code(), grpc::StatusCode::UNAVAILABLE);
}

// Calls that are under way when the server drains end well, or never reached it (Unavailable): none
// is lost in between, none is told that somebody cancelled it.
TEST_F(TransportTest, ADrainLosesNoCall) {
  std::vector<std::thread> clients;
  std::atomic<int> answered{0};
  std::atomic<int> wrong{0};
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < 8; ++i) channels.push_back(ChannelTo(server_.address()));
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      for (;;) {
        const grpc::Status status = Unary(channels[i], "/test.Echo/Unary", "hello");
        if (status.ok()) {
          answered.fetch_add(1);
          continue;
        }
        if (status.error_code() != grpc::StatusCode::UNAVAILABLE) wrong.fetch_add(1);
        return;
      }
    });
  }
  server_.WaitUntil([&](Transport&, EchoMethods&) { return answered.load() > 200; });
  server_.Run([](Transport& transport, EchoMethods&) { transport.Drain(); });
  for (auto& client : clients) client.join();
  EXPECT_EQ(wrong.load(), 0);
  server_.WaitUntil(
      [](Transport& transport, EchoMethods&) { return transport.connections() == 0; });
  server_.Run([&](Transport&, EchoMethods& methods) {
    EXPECT_EQ(methods.heard().over_sent, answered.load());
    EXPECT_EQ(methods.heard().over_unsent, 0);
  });
}

TEST_F(TransportTest, ACloseEndsCalls) {
  grpc::ClientContext context;
  const auto held = OpenStream(channel_, "/test.Echo/Hold", &context);
  server_.WaitUntil([](Transport&, EchoMethods& methods) { return methods.held() == 1; });
  server_.Run([](Transport& transport, EchoMethods& methods) {
    transport.Close();
    EXPECT_EQ(methods.held(), 0U);
    EXPECT_EQ(transport.connections(), 0U);
  });
  EXPECT_EQ(held->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace jetd::rpc
