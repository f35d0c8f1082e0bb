// SPDX-License-Identifier: Apache-2.0
//
// Who is served over TLS, and with which certificate, while the files change.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "base/testing/test_certificate.h"
#include "etcdapi/testing/test_server.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::chrono::seconds kFarTooLong{60};

grpc::Status RangeOn(const std::shared_ptr<grpc::Channel>& channel) {
  etcdserverpb::RangeRequest request;
  request.set_key("a");
  etcdserverpb::RangeResponse response;
  grpc::ClientContext context;
  return etcdserverpb::KV::NewStub(channel)->Range(&context, request, &response);
}

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    Use(MakeTestCertificate("server", &ca_));
    files_.trusted_ca_file = Write("ca.crt", ca_.cert_pem);
  }

  std::string Write(const std::string& name, const std::string& text) const {
    std::string path = Cat(folder_, "/", name);
    std::ofstream(path) << text;
    return path;
  }
  void Use(const TestCertificate& server) {
    files_.cert_file = Write("server.crt", server.cert_pem);
    files_.key_file = Write("server.key", server.key_pem);
  }
  void Start() {
    server_ = std::make_unique<TestServer>(
        TestServer::Options{.url = "https://127.0.0.1:0", .tls = files_});
  }
  // A connection of its own.
  [[nodiscard]] std::shared_ptr<grpc::Channel> Connect(const TestCertificate& ca,
                                                       const TestCertificate& client) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ca.cert_pem;
    options.pem_cert_chain = client.cert_pem;
    options.pem_private_key = client.key_pem;
    return grpc::CreateChannel(server_->address(), grpc::SslCredentials(options));
  }
  [[nodiscard]] grpc::StatusCode CodeFor(const TestCertificate& ca,
                                         const TestCertificate& client) const {
    return RangeOn(Connect(ca, client)).error_code();
  }
  [[nodiscard]] std::string Refusal() const {
    return std::string(
        MessageOf(PrepareListeners({*ParseListenUrl("https://127.0.0.1:0")}, files_).status()));
  }

  const TestCertificate ca_ = MakeTestCertificate("ca");
  const TestCertificate client_ = MakeTestCertificate("client", &ca_);
  const ScratchFolder scratch_;
  const std::string& folder_ = scratch_.path();
  TlsFiles files_;
  std::unique_ptr<TestServer> server_;
};

TEST_F(TlsTest, ARenewedCertificateIsForNewConnections) {
  Start();
  const auto before = Connect(ca_, client_);
  EXPECT_TRUE(RangeOn(before).ok());
  // All of it: the server's CA, its certificate and the clients' CA.
  const TestCertificate next = MakeTestCertificate("next ca");
  const TestCertificate next_client = MakeTestCertificate("client", &next);
  EXPECT_EQ(CodeFor(next, next_client), grpc::StatusCode::UNAVAILABLE);
  Use(MakeTestCertificate("server", &next));
  (void)Write("ca.crt", next.cert_pem);
  EXPECT_EQ(CodeFor(next, next_client), grpc::StatusCode::OK);
  EXPECT_EQ(CodeFor(ca_, client_), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(CodeFor(next, client_), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(RangeOn(before).ok()) << "a connection goes on";
}

TEST_F(TlsTest, HalfARenewalWaitsForTheOtherHalf) {
  Start();
  const TestCertificate renewed = MakeTestCertificate("server", &ca_, {.serial = 9});
  (void)Write("server.crt", renewed.cert_pem);
  EXPECT_EQ(CodeFor(ca_, client_), grpc::StatusCode::OK);
  std::filesystem::remove(files_.key_file);
  EXPECT_EQ(CodeFor(ca_, client_), grpc::StatusCode::OK);
  (void)Write("server.key", renewed.key_pem);
  EXPECT_EQ(CodeFor(ca_, client_), grpc::StatusCode::OK);
}

// As Kubernetes does it: the name is a link to a folder, which is set anew.
TEST_F(TlsTest, ALinkThatIsSetAnewCounts) {
  const TestCertificate other_ca = MakeTestCertificate("other ca");
  const TestCertificate other = MakeTestCertificate("server", &other_ca);
  const TestCertificate own = MakeTestCertificate("server", &ca_);
  std::filesystem::create_directory(folder_ + "/1");
  std::filesystem::create_directory(folder_ + "/2");
  (void)Write("1/tls.crt", own.cert_pem);
  (void)Write("1/tls.key", own.key_pem);
  (void)Write("2/tls.crt", other.cert_pem);
  (void)Write("2/tls.key", other.key_pem);
  std::filesystem::create_symlink("1", folder_ + "/now");
  files_.cert_file = folder_ + "/now/tls.crt";
  files_.key_file = folder_ + "/now/tls.key";
  Start();
  EXPECT_EQ(CodeFor(ca_, client_), grpc::StatusCode::OK);
  std::filesystem::create_symlink("2", folder_ + "/next");
  std::filesystem::rename(folder_ + "/next", folder_ + "/now");
  EXPECT_EQ(CodeFor(other_ca, client_), grpc::StatusCode::OK);
  EXPECT_EQ(CodeFor(ca_, client_), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, ARevokedClientIsRefusedOnItsOpenConnectionToo) {
  const TestCertificate good = MakeTestCertificate("good", &ca_, {.serial = 8});
  const TestCertificate bad = MakeTestCertificate("bad", &ca_, {.serial = 7});
  const TestCertificate worse = MakeTestCertificate("worse", &ca_, {.serial = 6});
  files_.crl_file = Write("crl", MakeTestCrl(ca_, {6}));
  Start();
  const auto channel = Connect(ca_, bad);
  EXPECT_TRUE(RangeOn(channel).ok());
  EXPECT_EQ(CodeFor(ca_, good), grpc::StatusCode::OK);
  EXPECT_EQ(CodeFor(ca_, worse), grpc::StatusCode::UNAVAILABLE) << "as with etcd";
  (void)Write("crl", MakeTestCrl(ca_, {6, 7}));
  // Looked at once a second.
  const auto deadline = std::chrono::steady_clock::now() + kFarTooLong;
  grpc::Status status;
  while (status.ok() && std::chrono::steady_clock::now() < deadline) {
    status = RangeOn(channel);
  }
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(status.error_message(),
            "jetd: the client's certificate is revoked (--client-crl-file)");
  EXPECT_EQ(CodeFor(ca_, bad), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(CodeFor(ca_, good), grpc::StatusCode::OK);
  // Something else in its place changes nothing.
  (void)Write("crl", "nothing");
  EXPECT_EQ(CodeFor(ca_, bad), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, AllowedNames) {
  const TestCertificate dns = MakeTestCertificate("x", &ca_, {.names = "DNS:*.example.org"});
  const TestCertificate ip = MakeTestCertificate("x", &ca_, {.names = "IP:10.0.0.1"});
  const TestCertificate cn = MakeTestCertificate("a.example.org", &ca_, {.names = "DNS:other"});
  files_.allowed_hostnames = {"a.example.org", "10.0.0.1"};
  Start();
  EXPECT_EQ(CodeFor(ca_, dns), grpc::StatusCode::OK);
  EXPECT_EQ(CodeFor(ca_, ip), grpc::StatusCode::OK);
  EXPECT_EQ(CodeFor(ca_, client_), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(CodeFor(ca_, cn), grpc::StatusCode::UNAVAILABLE);
  files_.allowed_hostnames.clear();
  files_.allowed_cns = {"b", "a.example.org"};
  Start();
  EXPECT_EQ(CodeFor(ca_, cn), grpc::StatusCode::OK);
  EXPECT_EQ(CodeFor(ca_, dns), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, AListThatIsNoneIsSaidAtTheStart) {
  EXPECT_EQ(Refusal(), "");
  files_.crl_file = folder_ + "/none";
  EXPECT_THAT(Refusal(), StartsWith("--client-crl-file: cannot read "));
  files_.crl_file = files_.cert_file;
  EXPECT_THAT(Refusal(), HasSubstr("holds no list of revoked certificates"));
}

}  // namespace
}  // namespace jetd::etcdapi
