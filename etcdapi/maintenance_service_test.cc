// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/maintenance_service.h"

#include <openssl/sha.h>

#include <memory>
#include <string>
#include <vector>

#include "base/bolt/reader.h"
#include "base/etcdpb/auth_rpc.grpc.pb.h"
#include "base/etcdpb/election.grpc.pb.h"
#include "base/etcdpb/lock.grpc.pb.h"
#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/limits.h"
#include "base/strings.h"
#include "etcdapi/testing/test_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::AlarmRequest;
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

  void Put(const std::string& key, const std::string& value) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    etcdserverpb::PutResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(kv_->Put(&context, request, &response).ok());
  }
  absl::StatusOr<etcdserverpb::AlarmResponse> Alarm(AlarmRequest::AlarmAction action,
                                                    etcdserverpb::AlarmType type,
                                                    uint64_t member = 0) {
    AlarmRequest request;
    request.set_action(action);
    request.set_alarm(type);
    request.set_memberid(member);
    etcdserverpb::AlarmResponse response;
    grpc::ClientContext context;
    const grpc::Status status = maintenance_->Alarm(&context, request, &response);
    if (status.ok()) return response;
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), "refused");
  }

  TestServer server_;
  std::unique_ptr<etcdserverpb::KV::Stub> kv_ = etcdserverpb::KV::NewStub(server_.channel());
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
  Put("a", std::string(10'000, 'x'));
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
  const auto response = *Alarm(AlarmRequest::GET, etcdserverpb::NONE);
  EXPECT_EQ(response.alarms_size(), 0);
  EXPECT_TRUE(response.has_header());
}

TEST_F(MaintenanceServiceTest, AlarmsAreRaisedAndDisarmed) {
  for (const auto type : {etcdserverpb::NOSPACE, etcdserverpb::CORRUPT}) {
    for (int i = 0; i < 2; ++i) {  // the second changes nothing
      const auto raised = *Alarm(AlarmRequest::ACTIVATE, type, 7);
      ASSERT_EQ(raised.alarms_size(), 1);
      EXPECT_EQ(raised.alarms(0).memberid(), 7U);
      EXPECT_EQ(raised.alarms(0).alarm(), type);
      EXPECT_EQ(raised.header().revision(), 1);
    }
    EXPECT_EQ(Alarm(AlarmRequest::GET, type)->alarms_size(), 1);
    EXPECT_EQ(Alarm(AlarmRequest::GET, etcdserverpb::NONE)->alarms_size(), 1);
    const std::string name = etcdserverpb::AlarmType_Name(type);
    ASSERT_EQ(Status().errors_size(), 1);
    EXPECT_EQ(Status().errors(0), "memberID:7 alarm:" + name + " ");
    EXPECT_EQ(Alarm(AlarmRequest::DEACTIVATE, type, 8)->alarms_size(), 0) << "another member's";
    EXPECT_EQ(Alarm(AlarmRequest::DEACTIVATE, type, 7)->alarms_size(), 1);
    EXPECT_EQ(Alarm(AlarmRequest::DEACTIVATE, type, 7)->alarms_size(), 0) << "gone already";
    EXPECT_EQ(Status().errors_size(), 0);
  }
}

TEST_F(MaintenanceServiceTest, AlarmsOfNoKind) {
  EXPECT_EQ(Alarm(AlarmRequest::ACTIVATE, etcdserverpb::NONE, 7)->alarms_size(), 0);
  EXPECT_EQ(Alarm(AlarmRequest::DEACTIVATE, etcdserverpb::NONE, 7)->alarms_size(), 0);
  const auto unknown = static_cast<etcdserverpb::AlarmType>(9);
  EXPECT_EQ(Alarm(AlarmRequest::GET, unknown)->alarms_size(), 0);
  EXPECT_EQ(Alarm(AlarmRequest::DEACTIVATE, unknown)->alarms_size(), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(Alarm(AlarmRequest::ACTIVATE, unknown).status()));
  const auto action = static_cast<AlarmRequest::AlarmAction>(9);
  EXPECT_TRUE(absl::IsInvalidArgument(Alarm(action, etcdserverpb::NOSPACE).status()));
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

// Pieces of a file, how much of it is left, and its sum in the last message.
TEST_F(MaintenanceServiceTest, SnapshotIsAFileInPieces) {
  for (int i = 0; i < 300; ++i) Put(Cat("key", i), std::string(1000, 'v'));
  auto reader = maintenance_->Snapshot(&context_, {});
  std::vector<etcdserverpb::SnapshotResponse> pieces;
  for (etcdserverpb::SnapshotResponse piece; reader->Read(&piece);) pieces.push_back(piece);
  ASSERT_TRUE(reader->Finish().ok());
  ASSERT_GT(pieces.size(), 3U);
  const std::string sum = pieces.back().blob();
  pieces.pop_back();
  uint64_t left = pieces.front().blob().size() + pieces.front().remaining_bytes();
  std::string file;
  for (const auto& piece : pieces) {
    file += piece.blob();
    left -= piece.blob().size();
    EXPECT_EQ(piece.remaining_bytes(), left);
  }
  EXPECT_EQ(left, 0U);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(file.data()), file.size(), digest);
  EXPECT_EQ(sum, std::string(reinterpret_cast<const char*>(digest), sizeof(digest)));
  const auto content = bolt::Reader::Open(file);
  ASSERT_TRUE(content.ok()) << content.status();
  int keys = 0;
  const absl::Status read = content->ForEach("key", [&](std::string_view, std::string_view) {
    ++keys;
    return absl::OkStatus();
  });
  EXPECT_TRUE(read.ok()) << read;
  EXPECT_EQ(keys, 300);
}

TEST_F(MaintenanceServiceTest, OnlySoManySnapshotsAtATime) {
  for (int i = 0; i < 3'000; ++i) Put(Cat("key", i), std::string(10'000, 'v'));
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<etcdserverpb::SnapshotResponse>>> readers;
  etcdserverpb::SnapshotResponse piece;
  for (size_t i = 0; i < limits::kMaxSnapshots; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(maintenance_->Snapshot(contexts.back().get(), {}));
    ASSERT_TRUE(readers.back()->Read(&piece)) << "30 MB: it is not at its end";
  }
  auto one_more = maintenance_->Snapshot(&context_, {});
  EXPECT_FALSE(one_more->Read(&piece));
  EXPECT_EQ(one_more->Finish().error_message(), "etcdserver: too many requests");
  for (auto& context : contexts) context->TryCancel();
}

TEST_F(MaintenanceServiceTest, SaysWhatIsNotThere) {
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
