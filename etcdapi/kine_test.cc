// SPDX-License-Identifier: Apache-2.0
//
// jetd in kine's place: started with kine's command line, on a nats-server that kine may have used.
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
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
using ::testing::Not;

constexpr std::chrono::seconds kFarTooLong{60};

class KineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!JetdProcess::Available()) GTEST_SKIP() << "JETD_BIN names no jetd";
  }
  // False: there is no nats-server, the test is skipped.
  bool StartNats(const std::string& config = "") {
    nats_ = NatsTestServer::StartFrom("JETD_NATS_SERVER", config);
    return nats_ != nullptr;
  }
  [[nodiscard]] std::string Host() const { return nats_->url().substr(std::size("nats://") - 1); }
  // Publishes or asks as somebody else.
  nlohmann::json Ask(const std::string& subject, const std::string& payload) {
    return jetstream::ParseAnswer(jetstream::AskNats({.url = nats_->url(), .credentials = {}},
                                                     {.subject = subject, .payload = payload},
                                                     kFarTooLong)
                                      .value());
  }

  std::unique_ptr<NatsTestServer> nats_;
};

// As kine 0.16 makes a bucket and writes into it (pkg/drivers/nats): the tokens of a key in base58,
// its value packed with S2, of which an empty one is the beginning.
TEST_F(KineTest, ABucketOfKinesIsLeftAsItIs) {
  if (!StartNats()) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  const nlohmann::json config = {{"name", "KV_kine"},
                                 {"description", "Holds kine key/values"},
                                 {"subjects", {"$KV.kine.>"}},
                                 {"retention", "limits"},
                                 {"storage", "file"},
                                 {"discard", "new"},
                                 {"max_consumers", -1},
                                 {"max_msgs", -1},
                                 {"max_bytes", -1},
                                 {"max_age", 0},
                                 {"max_msgs_per_subject", 10},
                                 {"max_msg_size", -1},
                                 {"num_replicas", 1},
                                 {"duplicate_window", 120'000'000'000},
                                 {"allow_direct", true},
                                 {"allow_rollup_hdrs", true},
                                 {"deny_delete", true}};
  ASSERT_TRUE(Ask("$JS.API.STREAM.CREATE.KV_kine", config.dump()).contains("config"));
  // "/registry/health" and "/registry/pods".
  const std::string packed("\xff\x06\x00\x00S2sTwO", 10);
  EXPECT_EQ(Ask("$KV.kine.L8nZchjdPLL.tzCUBDXD", packed).at("seq"), 1);
  EXPECT_EQ(Ask("$KV.kine.L8nZchjdPLL.3sh2fL", packed).at("seq"), 2);
  const nlohmann::json before = Ask("$JS.API.STREAM.INFO.KV_kine", "");

  JetdProcess jetd({Cat("--endpoint=nats://", Host(), "?noEmbed"),
                    Cat("--listen-address=127.0.0.1:", FreePort())});
  EXPECT_EQ(jetd.WaitForEnd(), kExitFailed);
  EXPECT_THAT(jetd.output(), HasSubstr("bucket \"kine\" (stream KV_kine) holds data of kine"));
  EXPECT_THAT(jetd.output(), HasSubstr("jetctl import --from-endpoints"));
  EXPECT_THAT(jetd.output(), Not(HasSubstr("leading in term")));

  const nlohmann::json after = Ask("$JS.API.STREAM.INFO.KV_kine", "");
  EXPECT_EQ(after.at("config"), before.at("config"));
  EXPECT_EQ(after.at("state"), before.at("state"));
}

// Kamaji makes its tenants' buckets itself (internal/datastore/nats.go, CreateDB), with nothing but
// a name, and starts kine on them.
TEST_F(KineTest, ABucketOfKamajisIsLeftAsItIsAndAnotherServed) {
  if (!StartNats()) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  const nlohmann::json config = {{"name", "KV_default_a"}, {"subjects", {"$KV.default_a.>"}},
                                 {"retention", "limits"},  {"storage", "file"},
                                 {"discard", "new"},       {"max_msgs_per_subject", 1},
                                 {"num_replicas", 1},      {"duplicate_window", 120'000'000'000},
                                 {"allow_direct", true},   {"allow_rollup_hdrs", true},
                                 {"deny_delete", true}};
  ASSERT_TRUE(Ask("$JS.API.STREAM.CREATE.KV_default_a", config.dump()).contains("config"));
  const nlohmann::json before = Ask("$JS.API.STREAM.INFO.KV_default_a", "");
  const std::vector<std::string> line = {
      Cat("--endpoint=nats://", Host(), "?bucket=default_a&noEmbed"),
      Cat("--listen-address=unix://", nats_->folder(), "/kine")};

  JetdProcess refused(line);
  EXPECT_EQ(refused.WaitForEnd(), kExitFailed);
  EXPECT_THAT(refused.output(), HasSubstr("was not made by jetd; it was left unchanged"));

  std::vector<std::string> with_bucket = line;
  with_bucket.emplace_back("--bucket=jetd-a");
  JetdProcess jetd(with_bucket);
  ASSERT_TRUE(jetd.WaitFor("ready to serve client requests")) << jetd.output();
  EXPECT_TRUE(Ask("$JS.API.STREAM.INFO.KV_jetd-a", "").contains("config"));
  const nlohmann::json after = Ask("$JS.API.STREAM.INFO.KV_default_a", "");
  EXPECT_EQ(after.at("config"), before.at("config"));
  EXPECT_EQ(after.at("state"), before.at("state"));
}

// The command line of k0s, whose socket has a port in its name.
TEST_F(KineTest, ServesOnKinesSocketWithoutShowingThePassword) {
  if (!StartNats("authorization { user: u, password: \"p@ss\" }\n")) {
    GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  }
  const std::string socket = Cat(nats_->folder(), "/kine.sock:2379");
  JetdProcess jetd({"--compact-interval=0",
                    Cat("--endpoint=nats://u:p%40ss@", Host(), "?bucket=k0s&noEmbed"),
                    Cat("--listen-address=unix://", socket), "--metrics-bind-address=0"});
  ASSERT_TRUE(jetd.WaitFor("ready to serve client requests")) << jetd.output();
  EXPECT_THAT(jetd.output(), Not(HasSubstr("p%40ss")));
  EXPECT_THAT(jetd.output(), Not(HasSubstr("p@ss")));
  struct stat info {};
  ASSERT_EQ(stat(socket.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777U, 0600U);

  std::ifstream file(Cat("/proc/", jetd.pid(), "/cmdline"));
  std::string line((std::istreambuf_iterator<char>(file)), {});
  std::replace(line.begin(), line.end(), '\0', ' ');
  EXPECT_THAT(line, HasSubstr(Cat("--endpoint=nats://********@", Host(), "?bucket=k0s")));

  const auto kv = etcdserverpb::KV::NewStub(
      grpc::CreateChannel(Cat("unix:", socket), grpc::InsecureChannelCredentials()));
  etcdserverpb::PutRequest request;
  request.set_key("/registry/a");
  etcdserverpb::PutResponse response;
  grpc::ClientContext context;
  EXPECT_TRUE(kv->Put(&context, request, &response).ok());
  EXPECT_EQ(response.header().revision(), 2);
}

}  // namespace
}  // namespace jetd::etcdapi
