// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/maintenance_service.h"

#include <memory>

#include "base/etcdpb/auth_rpc.grpc.pb.h"
#include "base/etcdpb/election.grpc.pb.h"
#include "base/etcdpb/lock.grpc.pb.h"
#include "base/etcdpb/rpc.grpc.pb.h"
#include "etcdapi/testing/test_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::Cluster;
using etcdserverpb::Maintenance;
using grpc::StatusCode;
using ::testing::HasSubstr;

class MaintenanceServiceTest : public ::testing::Test {
 protected:
  etcdserverpb::StatusResponse Status() {
    etcdserverpb::StatusResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(maintenance_->Status(&context, {}, &response).ok());
    return response;
  }

  TestServer server_;
  std::unique_ptr<Maintenance::Stub> maintenance_ = Maintenance::NewStub(server_.channel());
  grpc::ClientContext context_;
};

TEST_F(MaintenanceServiceTest, StatusTellsTheTruth) {
  const auto status = Status();
  EXPECT_EQ(status.version(), "3.5.30");
  EXPECT_GT(status.dbsize(), 0);
  EXPECT_GT(status.dbsizeinuse(), -1);
  EXPECT_LE(status.dbsizeinuse(), status.dbsize());
  EXPECT_EQ(status.leader(), StableId("member"));
  EXPECT_EQ(status.raftterm(), 1U);
  EXPECT_EQ(status.raftindex(), 1U);  // the record of the term
  EXPECT_EQ(status.header().revision(), 1);
  EXPECT_EQ(status.errors_size(), 0);
}

TEST_F(MaintenanceServiceTest, StatusAnswersWithoutNats) {
  const int64_t size = Status().dbsize();
  server_.OnEngine([&] { server_.log()->Hold(jetstream::MemoryLog::Leg::kApi); });
  EXPECT_EQ(Status().dbsize(), size);
}

TEST_F(MaintenanceServiceTest, StatusKnowsASizeBeforeNatsWasAsked) {
  auto kv = etcdserverpb::KV::NewStub(server_.channel());
  etcdserverpb::PutRequest request;
  request.set_key("a");
  request.set_value(std::string(10'000, 'x'));
  etcdserverpb::PutResponse response;
  ASSERT_TRUE(kv->Put(&context_, request, &response).ok());
  server_.OnEngine([&] { server_.log()->Hold(jetstream::MemoryLog::Leg::kApi); });
  EXPECT_GT(Status().dbsize(), 10'000);
}

TEST_F(MaintenanceServiceTest, HashKv) {
  etcdserverpb::HashKVResponse response;
  ASSERT_TRUE(maintenance_->HashKV(&context_, {}, &response).ok());
  EXPECT_EQ(response.header().revision(), 1);
  etcdserverpb::HashKVRequest future;
  future.set_revision(99);
  grpc::ClientContext context;
  const grpc::Status status = maintenance_->HashKV(&context, future, &response);
  EXPECT_EQ(status.error_code(), StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(status.error_message(), "etcdserver: mvcc: required revision is a future revision");
}

TEST_F(MaintenanceServiceTest, AlarmsAreListed) {
  etcdserverpb::AlarmResponse response;
  ASSERT_TRUE(maintenance_->Alarm(&context_, {}, &response).ok());
  EXPECT_EQ(response.alarms_size(), 0);
  EXPECT_TRUE(response.has_header());
}

TEST_F(MaintenanceServiceTest, MembersAreListedWithoutARevision) {
  auto cluster = Cluster::NewStub(server_.channel());
  etcdserverpb::MemberListRequest request;
  request.set_linearizable(true);
  etcdserverpb::MemberListResponse response;
  ASSERT_TRUE(cluster->MemberList(&context_, request, &response).ok());
  ASSERT_EQ(response.members_size(), 1);
  EXPECT_EQ(response.members(0).name(), "test");
  EXPECT_EQ(response.members(0).clienturls(0), "http://127.0.0.1:2379");
  EXPECT_EQ(response.header().revision(), 0);
  EXPECT_EQ(response.header().member_id(), response.members(0).id());
}

// Nobody else gets at the embedded server's stream.
std::string EmbeddedSnapshotText() {
  TestServer server({.exclusive = true});
  grpc::ClientContext context;
  auto reader = etcdserverpb::Maintenance::NewStub(server.channel())->Snapshot(&context, {});
  return reader->Finish().error_message();
}

TEST_F(MaintenanceServiceTest, SaysWhatIsNotThere) {
  auto reader = maintenance_->Snapshot(&context_, {});
  etcdserverpb::SnapshotResponse snapshot;
  EXPECT_FALSE(reader->Read(&snapshot));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("Snapshot is not supported: "));
  EXPECT_THAT(status.error_message(), HasSubstr("nats stream backup"));
  EXPECT_THAT(EmbeddedSnapshotText(), HasSubstr("--data-dir"));

  auto auth = etcdserverpb::Auth::NewStub(server_.channel());
  {
    grpc::ClientContext context;
    etcdserverpb::AuthStatusResponse response;
    ASSERT_TRUE(auth->AuthStatus(&context, {}, &response).ok());
    EXPECT_FALSE(response.enabled());
  }
  {
    grpc::ClientContext context;
    etcdserverpb::AuthenticateResponse response;
    const grpc::Status refused = auth->Authenticate(&context, {}, &response);
    EXPECT_EQ(refused.error_code(), StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(refused.error_message(), "etcdserver: authentication is not enabled");
  }
  auto lock = v3lockpb::Lock::NewStub(server_.channel());
  grpc::ClientContext context;
  v3lockpb::LockResponse locked;
  EXPECT_EQ(lock->Lock(&context, {}, &locked).error_code(), StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace jetd::etcdapi
