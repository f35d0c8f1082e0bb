// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/server.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "base/testing/test_certificate.h"
#include "etcdapi/testing/test_server.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "rpc/testing/raw_client.h"

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
  const ScratchFolder scratch_;
  const std::string& folder_ = scratch_.path();
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

// A client of its own making on a unix socket.
class RawSocket {
 public:
  explicit RawSocket(const std::string& path)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  ~RawSocket() { close(fd_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  void Send(const std::string& bytes) const {
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void ReceiveAll(rpc::RawClient* client) const {
    std::string bytes(65'536, '\0');
    for (;;) {
      const ssize_t got = recv(fd_, bytes.data(), bytes.size(), 0);
      if (got <= 0) return;
      client->Receive(std::string_view(bytes).substr(0, static_cast<size_t>(got)));
    }
  }

 private:
  const int fd_;
};

// What the engine has answered reaches a client that reads it only when the server has begun to
// end.
TEST_F(ServerTest, LastAnswersAreRead) {
  const std::string path = Cat(folder_, "/jetd.sock");
  TestServer server({.url = Cat("unix://", path), .stop_grace = std::chrono::minutes(1)});
  // More than a socket's buffer holds.
  constexpr size_t kBytes = 900'000;
  etcdserverpb::PutRequest put;
  put.set_key("a");
  put.set_value(std::string(kBytes, 'x'));
  etcdserverpb::PutResponse done;
  grpc::ClientContext context;
  const auto stub =
      KV::NewStub(grpc::CreateChannel(Cat("unix:", path), grpc::InsecureChannelCredentials()));
  ASSERT_TRUE(stub->Put(&context, put, &done).ok());

  constexpr uint32_t kMost = (1U << 31) - 1;
  const RawSocket slow(path);
  const RawSocket idle(path);
  rpc::RawClient client;
  rpc::RawClient other;
  etcdserverpb::RangeRequest range;
  range.set_key("a");
  slow.Send(rpc::RawClient::Hello({{4, kMost}}) + rpc::RawClient::Window(0, kMost - 65'535) +
            client.Call(1, "/etcdserverpb.KV/Range", range.SerializeAsString()));
  idle.Send(rpc::RawClient::Hello());
  uint64_t answered = 0;
  while (answered == 0) {
    server.OnEngine([&] {
      server.server()->ForEachTally([&](const RpcTally& tally) {
        if (tally.method->name() == "Range") answered = tally.ok;
      });
    });
  }
  std::thread stop([&] { server.Stop(); });
  idle.ReceiveAll(&other);
  EXPECT_GE(other.Count(rpc::Frame::kGoAway), 1U);
  slow.ReceiveAll(&client);
  stop.join();
  EXPECT_TRUE(client.answer(1).ended);
  EXPECT_GT(client.answer(1).bytes.size(), kBytes);
  EXPECT_EQ(client.answer(1).fields.at("grpc-status"), "0");
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
