// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/server.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/strings.h"
#include "base/testing/test_certificate.h"
#include "etcdapi/testing/test_server.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::KV;
using ::testing::EndsWith;
using ::testing::HasSubstr;

grpc::Status RangeOn(const std::shared_ptr<grpc::Channel>& channel) {
  etcdserverpb::RangeRequest request;
  request.set_key("a");
  etcdserverpb::RangeResponse response;
  grpc::ClientContext context;
  return KV::NewStub(channel)->Range(&context, request, &response);
}

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = Cat(::testing::TempDir(), "jetd-server-XXXXXX");
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  std::string Write(const std::string& name, const std::string& text) const {
    std::string path = Cat(folder_, "/", name);
    std::ofstream(path) << text;
    return path;
  }
  [[nodiscard]] TlsFiles Files(bool client_cert_auth) const {
    TlsFiles files;
    files.cert_file = Write("server.crt", server_.cert_pem);
    files.key_file = Write("server.key", server_.key_pem);
    files.trusted_ca_file = Write("ca.crt", ca_.cert_pem);
    files.client_cert_auth = client_cert_auth;
    return files;
  }
  // `client` null: shows no certificate.
  [[nodiscard]] grpc::Status RangeOverTls(int port, const TestCertificate* client) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ca_.cert_pem;
    if (client != nullptr) {
      options.pem_cert_chain = client->cert_pem;
      options.pem_private_key = client->key_pem;
    }
    // Not by name: c-ares 1.18, which gRPC resolves names with, leaks the name "localhost".
    return RangeOn(grpc::CreateChannel(Cat("127.0.0.1:", port), grpc::SslCredentials(options)));
  }

  const TestCertificate ca_ = MakeTestCertificate("ca");
  const TestCertificate server_ = MakeTestCertificate("server", &ca_);
  std::string folder_;
};

TEST_F(ServerTest, ServesTls) {
  TlsFiles files = Files(/*client_cert_auth=*/false);
  files.trusted_ca_file.clear();
  TestServer server({.url = "https://127.0.0.1:0", .tls = files});
  EXPECT_TRUE(RangeOverTls(server.server()->port(0), nullptr).ok());
}

// As etcd: --trusted-ca-file alone demands them.
TEST_F(ServerTest, DemandsCertificatesWhenItKnowsACa) {
  TestServer server({.url = "https://127.0.0.1:0", .tls = Files(/*client_cert_auth=*/false)});
  const int port = server.server()->port(0);
  const TestCertificate good = MakeTestCertificate("client", &ca_);
  EXPECT_TRUE(RangeOverTls(port, &good).ok());
  EXPECT_EQ(RangeOverTls(port, nullptr).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, DemandsCertificatesOfItsCa) {
  TestServer server({.url = "https://127.0.0.1:0", .tls = Files(/*client_cert_auth=*/true)});
  const int port = server.server()->port(0);
  const TestCertificate good = MakeTestCertificate("client", &ca_);
  EXPECT_TRUE(RangeOverTls(port, &good).ok());
  EXPECT_EQ(RangeOverTls(port, nullptr).error_code(), grpc::StatusCode::UNAVAILABLE);
  const TestCertificate other_ca = MakeTestCertificate("other ca");
  const TestCertificate stranger = MakeTestCertificate("client", &other_ca);
  EXPECT_EQ(RangeOverTls(port, &stranger).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, ServesUnixSockets) {
  const std::string path = Cat(folder_, "/jetd.sock");
  TestServer server({.url = Cat("unix://", path)});
  EXPECT_TRUE(
      RangeOn(grpc::CreateChannel(Cat("unix:", path), grpc::InsecureChannelCredentials())).ok());
}

TEST_F(ServerTest, AUnixSocketIsForOneServer) {
  const auto complaint = [](const std::string& path) {
    const auto listeners = PrepareListeners({*ParseListenUrl(Cat("unix://", path))}, {});
    return std::string(MessageOf(listeners.status()));
  };
  const std::string path = Cat(folder_, "/jetd.sock");
  EXPECT_EQ(complaint(path), "");
  TestServer server({.url = Cat("unix://", path)});
  EXPECT_THAT(complaint(path), HasSubstr("already in use"));
  EXPECT_THAT(complaint(path), HasSubstr("stop who has it"));
  EXPECT_THAT(complaint(Cat(folder_, "/none/jetd.sock")),
              EndsWith("No such file or directory; choose another --listen-client-urls"));
  EXPECT_THAT(complaint(Write("file", "text")), HasSubstr("File exists"));
  EXPECT_THAT(complaint(Cat(folder_, "/", std::string(200, 'x'))), HasSubstr("too long"));
}

TEST_F(ServerTest, SaysWhichFileIsMissing) {
  TlsFiles files;
  files.cert_file = Cat(folder_, "/none.crt");
  files.key_file = files.cert_file;
  const auto listeners = PrepareListeners({*ParseListenUrl("https://127.0.0.1:0")}, files);
  ASSERT_FALSE(listeners.ok());
  EXPECT_THAT(std::string(MessageOf(listeners.status())), HasSubstr("none.crt"));
}

TEST_F(ServerTest, APortIsForOneServer) {
  TestServer first;
  const auto url = ParseListenUrl(Cat("http://127.0.0.1:", first.server()->port(0)));
  ASSERT_TRUE(url.ok());
  EXPECT_THAT(std::string(MessageOf(PrepareListeners({*url}, {}).status())),
              HasSubstr("already in use"));
  Loop loop;
  Server second(&loop, {.listeners = {{*url, nullptr}}}, [] { return true; });
  const absl::Status status = second.Start();
  EXPECT_THAT(std::string(MessageOf(status)), HasSubstr(url->text));
}

// Calls come and go on many threads while the server ends: each is answered or refused, none is
// forgotten.
TEST_F(ServerTest, EndsUnderLoad) {
  TestServer server;
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      grpc::Status status;
      while (status.ok()) status = RangeOn(server.channel());
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    });
  }
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(RangeOn(server.channel()).ok());
  server.Stop();
  for (auto& client : clients) client.join();
}

}  // namespace
}  // namespace jetd::etcdapi
