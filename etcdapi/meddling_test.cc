// SPDX-License-Identifier: Apache-2.0
//
// jetd on a nats-server whose stream somebody else touches, or that comes back without its newest
// records: what its operator and its clients see.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/strings.h"
#include "base/testing/free_port.h"
#include "etcdapi/flags.h"
#include "etcdapi/testing/jetd_process.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_ask.h"
#include "jetstream/nats_test_server.h"

namespace jetd::etcdapi {
namespace {

using jetstream::NatsTestServer;
using ::testing::HasSubstr;

constexpr std::chrono::seconds kFarTooLong{60};

class MeddlingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!JetdProcess::Available()) GTEST_SKIP() << "JETD_BIN names no jetd";
    nats_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (nats_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    StartJetd();
  }
  void StartJetd() {
    const std::string address = Cat("127.0.0.1:", FreePort());
    jetd_.reset();
    jetd_ = std::make_unique<JetdProcess>(std::vector<std::string>{
        "--nats-url", nats_->url(), "--listen-client-urls", Cat("http://", address)});
    ASSERT_TRUE(jetd_->WaitFor("ready to serve client requests")) << jetd_->output();
    const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    kv_ = etcdserverpb::KV::NewStub(channel);
    maintenance_ = etcdserverpb::Maintenance::NewStub(channel);
  }
  // The revision, or the code of the error.
  std::pair<int64_t, grpc::StatusCode> Put(const std::string& key) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value("v");
    etcdserverpb::PutResponse response;
    grpc::ClientContext context;
    const grpc::Status status = kv_->Put(&context, request, &response);
    return {response.header().revision(), status.error_code()};
  }
  bool CorruptIsRaised() {
    etcdserverpb::AlarmResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(maintenance_->Alarm(&context, {}, &response).ok());
    return response.alarms_size() == 1 && response.alarms(0).alarm() == etcdserverpb::CORRUPT;
  }
  // Publishes or asks as somebody else.
  nlohmann::json Ask(const std::string& subject, const std::string& payload) {
    return jetstream::ParseAnswer(jetstream::AskNats({.url = nats_->url(), .credentials = {}},
                                                     {.subject = subject, .payload = payload},
                                                     kFarTooLong)
                                      .value());
  }

  std::unique_ptr<NatsTestServer> nats_;
  std::unique_ptr<JetdProcess> jetd_;
  std::unique_ptr<etcdserverpb::KV::Stub> kv_;
  std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance_;
};

TEST_F(MeddlingTest, APurgeIsNamedAndRaisesTheAlarm) {
  EXPECT_EQ(Put("/a").second, grpc::OK);
  EXPECT_EQ(Put("/b").second, grpc::OK);
  Ask("$JS.API.STREAM.PURGE.KV_etcd", R"({"filter":"$KV.etcd./a"})");
  ASSERT_TRUE(jetd_->WaitFor("records are gone from the stream")) << jetd_->output();
  EXPECT_THAT(jetd_->output(), HasSubstr("key /a, revision 2"));
  ASSERT_TRUE(jetd_->WaitFor("alarm raised: CORRUPT")) << jetd_->output();
  EXPECT_TRUE(CorruptIsRaised());
  EXPECT_EQ(Put("/c").second, grpc::DATA_LOSS);
}

TEST_F(MeddlingTest, AForeignRecordHarmsNobody) {
  EXPECT_EQ(Put("/a").second, grpc::OK);
  Ask("$KV.etcd./a", "intruder");
  ASSERT_TRUE(jetd_->WaitFor("were not written by this member")) << jetd_->output();
  EXPECT_THAT(jetd_->output(), HasSubstr("$KV.etcd./a"));
  ASSERT_TRUE(jetd_->WaitFor("the stream holds all")) << jetd_->output();
  EXPECT_FALSE(CorruptIsRaised());
  EXPECT_EQ(Put("/a").first, 3) << "it made no revision";
}

TEST_F(MeddlingTest, MaxAgeRaisesTheAlarm) {
  nlohmann::json config = Ask("$JS.API.STREAM.INFO.KV_etcd", "").at("config");
  config["max_age"] = 3'600'000'000'000;
  Ask("$JS.API.STREAM.UPDATE.KV_etcd", config.dump());
  ASSERT_TRUE(jetd_->WaitFor("somebody changed the stream's configuration")) << jetd_->output();
  ASSERT_TRUE(jetd_->WaitFor("alarm raised: CORRUPT")) << jetd_->output();
  EXPECT_TRUE(CorruptIsRaised());
}

TEST_F(MeddlingTest, AStreamThatLostItsNewestRecordsBeginsAboveThem) {
  EXPECT_EQ(Put("/kept").second, grpc::OK);
  nats_->Kill();
  const std::string store = nats_->folder() + "/js";
  const std::string saved = nats_->folder() + "/saved";
  std::filesystem::copy(store, saved, std::filesystem::copy_options::recursive);
  nats_->Restart();
  int64_t newest = 0;
  // Until jetd is connected anew puts wait, or fail.
  while (newest == 0) newest = Put("/lost").first;
  nats_->Kill();
  std::filesystem::remove_all(store);
  std::filesystem::rename(saved, store);
  nats_->Restart();
  EXPECT_EQ(jetd_->WaitForEnd(), kExitFailed) << jetd_->output();
  EXPECT_THAT(jetd_->output(), HasSubstr("the stream went back"));
  EXPECT_THAT(jetd_->output(), HasSubstr("/lost"));
  StartJetd();
  EXPECT_TRUE(CorruptIsRaised());
  EXPECT_EQ(Put("/new").second, grpc::DATA_LOSS);
  etcdserverpb::RangeRequest range;
  range.set_key("/lost");
  etcdserverpb::RangeResponse found;
  grpc::ClientContext context;
  ASSERT_TRUE(kv_->Range(&context, range, &found).ok());
  EXPECT_EQ(found.kvs_size(), 0);
  EXPECT_GT(found.header().revision(), newest + 1);
}

}  // namespace
}  // namespace jetd::etcdapi
