// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/watch_service.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/strings.h"
#include "etcdapi/testing/test_server.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

class WatchServiceTest : public ::testing::Test {
 protected:
  using Stream = grpc::ClientReaderWriter<WatchRequest, WatchResponse>;

  void SetUp() override { stream_ = watch_->Watch(&context_); }
  void TearDown() override {
    if (finished_) return;
    context_.TryCancel();
    WatchResponse rest;
    while (stream_->Read(&rest)) {
    }
    EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }

  int64_t Put(const std::string& key, const std::string& value) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    etcdserverpb::PutResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(kv_->Put(&context, request, &response).ok());
    return response.header().revision();
  }
  static WatchRequest Create(const std::string& key, const std::string& end = "",
                             int64_t start_revision = 0) {
    WatchRequest request;
    request.mutable_create_request()->set_key(key);
    request.mutable_create_request()->set_range_end(end);
    request.mutable_create_request()->set_start_revision(start_revision);
    return request;
  }
  void Send(const WatchRequest& request) { ASSERT_TRUE(stream_->Write(request)); }
  WatchResponse Next() {
    WatchResponse response;
    EXPECT_TRUE(stream_->Read(&response));
    return response;
  }

  TestServer server_;
  std::unique_ptr<etcdserverpb::KV::Stub> kv_ = etcdserverpb::KV::NewStub(server_.channel());
  std::unique_ptr<etcdserverpb::Watch::Stub> watch_ =
      etcdserverpb::Watch::NewStub(server_.channel());
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  bool finished_ = false;
};

TEST_F(WatchServiceTest, SaysWhatHappens) {
  Send(Create("a", "b"));
  const WatchResponse created = Next();
  EXPECT_TRUE(created.created());
  EXPECT_EQ(created.header().revision(), 1);
  EXPECT_NE(created.header().cluster_id(), 0U);
  Put("a1", "x");
  Put("b", "not ours");
  Put("a2", std::string(5000, 'y'));
  const WatchResponse first = Next();
  ASSERT_EQ(first.events_size(), 1);
  EXPECT_EQ(first.events(0).kv().key(), "a1");
  EXPECT_EQ(first.watch_id(), created.watch_id());
  const WatchResponse second = Next();
  ASSERT_EQ(second.events_size(), 1);
  EXPECT_EQ(second.events(0).kv().value(), std::string(5000, 'y'));
  EXPECT_EQ(second.events(0).kv().mod_revision(), 4);
}

TEST_F(WatchServiceTest, StartsInThePastWithPreviousValues) {
  Put("a", "1");
  Put("a", "2");
  WatchRequest request = Create("a", "", 2);
  request.mutable_create_request()->set_prev_kv(true);
  Send(request);
  EXPECT_TRUE(Next().created());
  std::vector<std::string> seen;
  while (seen.size() < 2) {
    const WatchResponse response = Next();
    for (const auto& event : response.events()) {
      seen.push_back(Cat(event.prev_kv().value(), ">", event.kv().value()));
    }
  }
  EXPECT_EQ(seen, (std::vector<std::string>{">1", "1>2"}));
}

TEST_F(WatchServiceTest, CancelsAndReportsProgress) {
  Send(Create("a"));
  const int64_t id = Next().watch_id();
  WatchRequest progress;
  progress.mutable_progress_request();
  Send(progress);
  const WatchResponse answer = Next();
  EXPECT_EQ(answer.watch_id(), -1);
  EXPECT_EQ(answer.events_size(), 0);
  WatchRequest cancel;
  cancel.mutable_cancel_request()->set_watch_id(id);
  Send(cancel);
  const WatchResponse canceled = Next();
  EXPECT_TRUE(canceled.canceled());
  EXPECT_EQ(canceled.watch_id(), id);
}

TEST_F(WatchServiceTest, RefusesAStartBelowZero) {
  Send(Create("a", "", -5));
  const WatchResponse refused = Next();
  EXPECT_TRUE(refused.created());
  EXPECT_TRUE(refused.canceled());
  EXPECT_EQ(refused.watch_id(), -1);
  EXPECT_EQ(refused.cancel_reason(), "etcdserver: mvcc: required revision has been compacted");
}

TEST_F(WatchServiceTest, GoesOnAfterTheClientClosedItsSide) {
  Send(Create("a"));
  EXPECT_TRUE(Next().created());
  ASSERT_TRUE(stream_->WritesDone());
  Put("a", "x");
  EXPECT_EQ(Next().events_size(), 1);
}

// A client that asks and never reads: its requests stay unread, the server goes on.
TEST_F(WatchServiceTest, LeavesRequestsUnreadOfOneWhoDoesNotRead) {
  constexpr int kRequests = 5000;
  for (int i = 0; i < kRequests; ++i) Send(Create("a"));
  Put("b", "others are served");
  for (int i = 0; i < kRequests; ++i) ASSERT_TRUE(Next().created());
}

// A stream without the metadata goes on.
TEST_F(WatchServiceTest, EndsForThoseWhoAskedForALeader) {
  grpc::ClientContext context;
  context.AddMetadata("hasleader", "true");
  auto asking = watch_->Watch(&context);
  ASSERT_TRUE(asking->Write(Create("a")));
  WatchResponse response;
  ASSERT_TRUE(asking->Read(&response));
  Send(Create("a"));
  EXPECT_TRUE(Next().created());
  server_.OnEngine([&] { server_.server()->TellLeader(false); });
  EXPECT_FALSE(asking->Read(&response));
  const grpc::Status status = asking->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "etcdserver: no leader");
  Put("a", "x");
  EXPECT_EQ(Next().events_size(), 1);
}

TEST_F(WatchServiceTest, EndsWithTheServer) {
  Send(Create("a"));
  EXPECT_TRUE(Next().created());
  server_.Stop();
  WatchResponse response;
  EXPECT_FALSE(stream_->Read(&response));
  const grpc::Status status = stream_->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "etcdserver: server stopped");
  finished_ = true;
}

// A client takes "cancelled" for its own decision, and gives the watch up.
TEST_F(WatchServiceTest, ComesBackToAServerThatStopsAndIsNotCancelled) {
  std::vector<std::thread> clients;
  std::atomic<int> watching{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      grpc::Status status;
      do {
        grpc::ClientContext context;
        const auto stream = watch_->Watch(&context);
        stream->Write(Create("a"));
        WatchResponse response;
        while (stream->Read(&response)) ++watching;
        status = stream->Finish();
        EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
      } while (status.error_message() == "etcdserver: server stopped");
    });
  }
  while (watching < 8) std::this_thread::yield();
  server_.Stop();
  for (auto& client : clients) client.join();
  EXPECT_EQ(stream_->Finish().error_message(), "etcdserver: server stopped");
  finished_ = true;
}

}  // namespace
}  // namespace jetd::etcdapi
