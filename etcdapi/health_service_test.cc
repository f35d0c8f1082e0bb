// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/health_service.h"

#include <memory>
#include <string>
#include <vector>

#include "etcdapi/pb/health.grpc.pb.h"
#include "etcdapi/pb/reflection_v1.grpc.pb.h"
#include "etcdapi/testing/test_server.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::reflection::v1::ServerReflection;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;
using ::testing::Contains;

TEST(HealthServiceTest, KnowsTheServerAsAWhole) {
  TestServer server;
  auto health = Health::NewStub(server.channel());
  HealthCheckRequest request;
  HealthCheckResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(health->Check(&context, request, &response).ok());
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  }
  request.set_service("etcdserverpb.KV");
  grpc::ClientContext context;
  const grpc::Status status = health->Check(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "unknown service");
}

// The loss is told when LeaderGuard has lost its patience.
TEST(HealthServiceTest, SaysWhetherTheMemberCanServe) {
  TestServer server({.wait_until_leading = false, .connect_on_open = false});
  auto health = Health::NewStub(server.channel());
  HealthCheckResponse response;
  grpc::ClientContext watch_context;
  auto reader = health->Watch(&watch_context, HealthCheckRequest());
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  {
    grpc::ClientContext context;
    ASSERT_TRUE(health->Check(&context, {}, &response).ok());
    EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  }
  server.OnEngine([&] { server.log()->Reconnect(); });
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server.OnEngine([&] { server.log()->Disconnect(); });
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  grpc::ClientContext context;
  ASSERT_TRUE(health->Check(&context, {}, &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
}

TEST(HealthServiceTest, WatchStaysOpen) {
  TestServer server;
  auto health = Health::NewStub(server.channel());
  grpc::ClientContext context;
  auto reader = health->Watch(&context, HealthCheckRequest());
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server.Stop();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_message(), "etcdserver: server stopped");
}

TEST(ReflectionServiceTest, ListsServicesAndTheirFiles) {
  TestServer server;
  auto reflection = ServerReflection::NewStub(server.channel());
  grpc::ClientContext context;
  auto stream = reflection->ServerReflectionInfo(&context);
  ServerReflectionRequest request;
  ServerReflectionResponse response;
  request.set_list_services("*");
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  std::vector<std::string> names;
  for (const auto& service : response.list_services_response().service()) {
    names.push_back(service.name());
  }
  EXPECT_THAT(names, Contains("etcdserverpb.KV"));
  EXPECT_THAT(names, Contains("grpc.reflection.v1.ServerReflection"));

  request.set_file_containing_symbol("etcdserverpb.KV");
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  google::protobuf::FileDescriptorProto file;
  ASSERT_TRUE(file.ParseFromString(response.file_descriptor_response().file_descriptor_proto(0)));
  EXPECT_EQ(file.package(), "etcdserverpb");

  request.set_file_containing_symbol("no.such.Thing");
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace jetd::etcdapi
