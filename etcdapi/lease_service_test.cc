// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/lease_service.h"

#include <memory>

#include "base/etcdpb/rpc.grpc.pb.h"
#include "etcdapi/testing/test_server.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::Lease;

class LeaseServiceTest : public ::testing::Test {
 protected:
  grpc::Status Grant(int64_t id, int64_t ttl, etcdserverpb::LeaseGrantResponse* response) {
    etcdserverpb::LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(ttl);
    grpc::ClientContext context;
    return lease_->LeaseGrant(&context, request, response);
  }
  void Put(const std::string& key, int64_t lease) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_lease(lease);
    etcdserverpb::PutResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(kv_->Put(&context, request, &response).ok());
  }

  TestServer server_;
  std::unique_ptr<etcdserverpb::KV::Stub> kv_ = etcdserverpb::KV::NewStub(server_.channel());
  std::unique_ptr<Lease::Stub> lease_ = Lease::NewStub(server_.channel());
};

TEST_F(LeaseServiceTest, GrantsTellsAndRevokes) {
  etcdserverpb::LeaseGrantResponse granted;
  ASSERT_TRUE(Grant(77, 100, &granted).ok());
  EXPECT_EQ(granted.id(), 77);
  EXPECT_EQ(granted.ttl(), 100);
  EXPECT_EQ(granted.header().revision(), 1);
  Put("a", 77);

  etcdserverpb::LeaseTimeToLiveRequest ask;
  ask.set_id(77);
  ask.set_keys(true);
  etcdserverpb::LeaseTimeToLiveResponse told;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(lease_->LeaseTimeToLive(&context, ask, &told).ok());
  }
  EXPECT_EQ(told.grantedttl(), 100);
  EXPECT_GT(told.ttl(), 0);
  ASSERT_EQ(told.keys_size(), 1);
  EXPECT_EQ(told.keys(0), "a");

  etcdserverpb::LeaseLeasesResponse leases;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(lease_->LeaseLeases(&context, {}, &leases).ok());
  }
  ASSERT_EQ(leases.leases_size(), 1);
  EXPECT_EQ(leases.leases(0).id(), 77);

  etcdserverpb::LeaseRevokeRequest revoke;
  revoke.set_id(77);
  etcdserverpb::LeaseRevokeResponse revoked;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(lease_->LeaseRevoke(&context, revoke, &revoked).ok());
  }
  EXPECT_EQ(revoked.header().revision(), 3);
  {
    grpc::ClientContext context;
    const grpc::Status status = lease_->LeaseRevoke(&context, revoke, &revoked);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(status.error_message(), "etcdserver: requested lease not found");
  }
  grpc::ClientContext context;
  ASSERT_TRUE(lease_->LeaseTimeToLive(&context, ask, &told).ok());
  EXPECT_EQ(told.ttl(), -1);
  EXPECT_EQ(told.id(), 77);
}

TEST_F(LeaseServiceTest, RefusesWithEtcdsWords) {
  etcdserverpb::LeaseGrantResponse granted;
  ASSERT_TRUE(Grant(5, 100, &granted).ok());
  const grpc::Status exists = Grant(5, 100, &granted);
  EXPECT_EQ(exists.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(exists.error_message(), "etcdserver: lease already exists");
  const grpc::Status too_large = Grant(6, 9'000'000'001, &granted);
  EXPECT_EQ(too_large.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(too_large.error_message(), "etcdserver: too large lease TTL");
}

// More keepalives than may wait at once, then answers in the order of the requests.
TEST_F(LeaseServiceTest, KeepsAliveInOrder) {
  constexpr int kRequests = 1000;
  etcdserverpb::LeaseGrantResponse granted;
  ASSERT_TRUE(Grant(1, 100, &granted).ok());
  grpc::ClientContext context;
  auto stream = lease_->LeaseKeepAlive(&context);
  for (int i = 0; i < kRequests; ++i) {
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(i);
    ASSERT_TRUE(stream->Write(request));
  }
  ASSERT_TRUE(stream->WritesDone());
  for (int i = 0; i < kRequests; ++i) {
    etcdserverpb::LeaseKeepAliveResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.id(), i);
    EXPECT_EQ(response.ttl(), i == 1 ? 100 : 0);
    EXPECT_EQ(response.header().revision(), 1);
  }
  etcdserverpb::LeaseKeepAliveResponse none;
  EXPECT_FALSE(stream->Read(&none));
  EXPECT_TRUE(stream->Finish().ok());
}

// The engine still holds a callback to the stream when its client is gone.
TEST_F(LeaseServiceTest, OutlivesItsClient) {
  server_.OnEngine([&] { server_.log()->Hold(jetstream::MemoryLog::Leg::kRequest); });
  {
    grpc::ClientContext context;
    auto stream = lease_->LeaseKeepAlive(&context);
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(1);
    ASSERT_TRUE(stream->Write(request));
    bool waits = false;
    while (!waits) {
      server_.OnEngine(
          [&] { waits = server_.log()->waiting(jetstream::MemoryLog::Leg::kRequest) > 0; });
    }
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  server_.OnEngine([&] { server_.log()->Release(jetstream::MemoryLog::Leg::kRequest); });
  etcdserverpb::LeaseGrantResponse granted;
  EXPECT_TRUE(Grant(1, 100, &granted).ok());
}

}  // namespace
}  // namespace jetd::etcdapi
