// SPDX-License-Identifier: Apache-2.0
//
// What jetd serves over HTTP/1.1 where its clients connect, beside gRPC.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/strings.h"
#include "base/testing/free_port.h"
#include "base/testing/test_certificate.h"
#include "etcdapi/flags.h"
#include "etcdapi/testing/http_get.h"
#include "etcdapi/testing/jetd_process.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_server.h"

namespace jetd::etcdapi {
namespace {

using jetstream::NatsTestServer;
using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kVersion[] = R"({"etcdserver":"3.5.30","etcdcluster":"3.5.0"})";

// What a unix socket answers, to the end.
std::string AskUnix(const std::string& path, const std::string& request) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  JETD_CHECK(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  JETD_CHECK(write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size()));
  std::string all;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(fd, buffer, sizeof(buffer))) > 0;) {
    all.append(buffer, static_cast<size_t>(got));
  }
  close(fd);
  return all;
}

grpc::Status PutOn(const std::shared_ptr<grpc::Channel>& channel) {
  etcdserverpb::PutRequest request;
  request.set_key("key");
  etcdserverpb::PutResponse response;
  grpc::ClientContext context;
  return etcdserverpb::KV::NewStub(channel)->Put(&context, request, &response);
}

class ClientPortHttpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!JetdProcess::Available()) GTEST_SKIP() << "JETD_BIN names no jetd";
    nats_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (nats_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  }
  void Start(std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--nats-url", nats_->url()});
    jetd_ = std::make_unique<JetdProcess>(flags);
    ASSERT_TRUE(jetd_->WaitFor("ready to serve client requests")) << jetd_->output();
  }
  [[nodiscard]] std::vector<std::string> Threads() const {
    std::vector<std::string> names;
    const std::string folder = Cat("/proc/", jetd_->pid(), "/task");
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::ifstream file(entry.path() / "comm");
      std::getline(file, names.emplace_back());
    }
    return names;
  }
  [[nodiscard]] std::string Write(const std::string& name, const std::string& text) const {
    std::string path = Cat(nats_->folder(), "/", name);
    std::ofstream(path) << text;
    return path;
  }

  std::unique_ptr<NatsTestServer> nats_;
  std::unique_ptr<JetdProcess> jetd_;
};

TEST_F(ClientPortHttpTest, IsServedBesideGrpc) {
  const int port = FreePort();
  Start({"--listen-client-urls", Cat("http://127.0.0.1:", port)});
  EXPECT_THAT(Threads(), Not(Contains("http"))) << "nobody has asked yet";
  // kubeadm's check of an external etcd.
  const HttpAnswer version = Get({.port = port, .path = "/version"});
  EXPECT_EQ(version.status, 200);
  EXPECT_EQ(version.body, kVersion);
  EXPECT_EQ(version.headers.at("Content-Type"), "application/json");
  const auto channel =
      grpc::CreateChannel(Cat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
  EXPECT_TRUE(PutOn(channel).ok());
  EXPECT_EQ(Get({.port = port, .path = "/health"}).body, R"({"health":"true","reason":""})");
  EXPECT_EQ(Get({.port = port, .path = "/health?serializable=true"}).status, 200);
  EXPECT_THAT(Get({.port = port, .path = "/readyz?verbose&exclude=non_learner"}).body,
              Not(HasSubstr("non_learner")));
  EXPECT_EQ(Get({.port = port, .path = "/livez"}).body, "ok\n");
  EXPECT_THAT(Get({.port = port, .path = "/metrics"}).body, HasSubstr("\netcd_mvcc_put_total 1\n"));
  EXPECT_EQ(Get({.port = port, .path = "/v3/kv/range", .method = "POST"}).status, 404);
  EXPECT_EQ(Get({.port = port, .path = "/version", .method = "POST"}).status, 405);
  EXPECT_TRUE(PutOn(channel).ok());
  jetd_->Signal(SIGTERM);
  EXPECT_EQ(jetd_->WaitForEnd(), kExitOk) << jetd_->output();
}

TEST_F(ClientPortHttpTest, IsServedOnUnixSockets) {
  const std::string path = Cat(nats_->folder(), "/etcd.sock");
  Start({"--listen-client-urls", Cat("unix://", path)});
  const std::string answer = AskUnix(path, "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, EndsWith(kVersion));
  EXPECT_TRUE(
      PutOn(grpc::CreateChannel(Cat("unix:", path), grpc::InsecureChannelCredentials())).ok());
}

TEST_F(ClientPortHttpTest, MovesToUrlsOfItsOwn) {
  const int port = FreePort();
  const int http = FreePort();
  Start({"--listen-client-urls", Cat("http://127.0.0.1:", port), "--listen-client-http-urls",
         Cat("http://127.0.0.1:", http)});
  EXPECT_EQ(Get({.port = http, .path = "/version"}).body, kVersion);
  EXPECT_EQ(Get({.port = port, .path = "/version"}).status, 0);
  EXPECT_TRUE(
      PutOn(grpc::CreateChannel(Cat("127.0.0.1:", port), grpc::InsecureChannelCredentials())).ok());
}

// By the rules of the client port: whoever has no certificate of the CA is not let in.
TEST_F(ClientPortHttpTest, IsServedWithTlsToThoseWhoAreLetIn) {
  const TestCertificate ca = MakeTestCertificate("ca");
  const TestCertificate server = MakeTestCertificate("server", &ca);
  const TestCertificate client = MakeTestCertificate("client", &ca);
  const TestCertificate other = MakeTestCertificate("other", &ca);
  const std::string ca_file = Write("ca.crt", ca.cert_pem);
  const int port = FreePort();
  Start({"--listen-client-urls", Cat("https://127.0.0.1:", port), "--cert-file",
         Write("s.crt", server.cert_pem), "--key-file", Write("s.key", server.key_pem),
         "--trusted-ca-file", ca_file, "--client-cert-allowed-cn", "client"});
  const auto ask = [&](const std::string& path, const TestCertificate& who) {
    return Get({.port = port,
                .path = path,
                .ca_file = ca_file,
                .cert_file = Write("c.crt", who.cert_pem),
                .key_file = Write("c.key", who.key_pem)});
  };
  EXPECT_EQ(ask("/version", client).body, kVersion);
  // Longer than one record of TLS.
  EXPECT_THAT(ask("/metrics", client).body, HasSubstr("\netcd_server_has_leader 1\n"));
  EXPECT_EQ(ask("/version", other).status, 0);
  EXPECT_EQ(Get({.port = port, .path = "/version", .ca_file = ca_file}).status, 0);
  EXPECT_EQ(Get({.port = port, .path = "/version"}).status, 0) << "without TLS";
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca.cert_pem;
  options.pem_cert_chain = client.cert_pem;
  options.pem_private_key = client.key_pem;
  EXPECT_TRUE(
      PutOn(grpc::CreateChannel(Cat("127.0.0.1:", port), grpc::SslCredentials(options))).ok());
}

}  // namespace
}  // namespace jetd::etcdapi
