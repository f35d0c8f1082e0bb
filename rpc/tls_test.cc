// SPDX-License-Identifier: Apache-2.0
//
// TLS on the transport's sockets, with gRPC's own client and OpenSSL's.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "base/testing/test_certificate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"
#include "rpc/testing/grpc_client.h"
#include "rpc/tls_wire.h"

namespace jetd::rpc {
namespace {

using ::testing::ContainsRegex;
using ::testing::Each;
using ::testing::HasSubstr;

// Certificates that a test may change while the server runs.
class TestSource final : public TlsSource {
 public:
  explicit TestSource(TlsCertificates certificates) { Use(std::move(certificates)); }

  // Any thread.
  void Use(TlsCertificates certificates) {
    MutexLock lock(mutex_);
    current_ = std::make_shared<const TlsCertificates>(std::move(certificates));
  }
  void Refuse(bool refuses) {
    MutexLock lock(mutex_);
    refuses_ = refuses;
  }
  [[nodiscard]] int asked() {
    MutexLock lock(mutex_);
    return asked_;
  }

  [[nodiscard]] std::shared_ptr<const TlsCertificates> Current() override {
    MutexLock lock(mutex_);
    ++asked_;
    return current_;
  }
  [[nodiscard]] int chain_size() {
    MutexLock lock(mutex_);
    return chain_size_;
  }
  [[nodiscard]] absl::Status Check(X509* /*leaf*/, const STACK_OF(X509) * chain) override {
    MutexLock lock(mutex_);
    chain_size_ = sk_X509_num(chain);
    return refuses_ ? absl::UnauthenticatedError("not this one") : absl::OkStatus();
  }
  [[nodiscard]] absl::Status CheckCall(X509* leaf, const STACK_OF(X509) * chain) override {
    return Check(leaf, chain);
  }
  [[nodiscard]] TlsVersion min_version() const override { return min_version_; }
  [[nodiscard]] TlsVersion max_version() const override { return max_version_; }
  [[nodiscard]] const std::string& ciphers() const override { return ciphers_; }

  // Before the server runs.
  TlsVersion min_version_ = TlsVersion::k12;
  TlsVersion max_version_ = TlsVersion::k13;
  std::string ciphers_;

 private:
  Mutex mutex_;
  std::shared_ptr<const TlsCertificates> current_ ABSL_GUARDED_BY(mutex_);
  bool refuses_ ABSL_GUARDED_BY(mutex_) = false;
  int asked_ ABSL_GUARDED_BY(mutex_) = 0;
  int chain_size_ ABSL_GUARDED_BY(mutex_) = 0;
};

class TlsTest : public ::testing::Test {
 protected:
  [[nodiscard]] TlsCertificates ServedBy(const TestCertificate& ca) const {
    const TestCertificate server = MakeTestCertificate("server", &ca);
    return {.cert = server.cert_pem, .key = server.key_pem};
  }
  void Start() { server_ = std::make_unique<EchoServer>(EchoServer::Options{.tls = source_}); }
  [[nodiscard]] grpc::Status CallWith(const TestCertificate& ca,
                                      const TestCertificate& client) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ca.cert_pem;
    options.pem_cert_chain = client.cert_pem;
    options.pem_private_key = client.key_pem;
    std::string answer;
    const grpc::Status status = Unary(ChannelTo(server_->address(), grpc::SslCredentials(options)),
                                      "/test.Echo/Unary", std::string(100'000, 'x'), &answer);
    EXPECT_EQ(answer.size(), status.ok() ? 100'000U : 0U);
    return status;
  }
  // OpenSSL's own client, with these protocols by ALPN ("": none). The version and what was chosen,
  // or "refused".
  [[nodiscard]] std::string ShakeHands(int most_version, const std::string& protocol,
                                       const TestCertificate* client = nullptr,
                                       const std::string& another = "") const {
    const std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_max_proto_version(context.get(), most_version);
    if (client != nullptr) Use(context.get(), *client);
    const std::unique_ptr<SSL, FreeSsl> ssl(SSL_new(context.get()));
    std::string offered;
    for (const std::string& one : {protocol, another}) {
      if (!one.empty()) CatTo(offered, static_cast<char>(one.size()), one);
    }
    if (!protocol.empty()) {
      SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(offered.data()),
                          static_cast<unsigned>(offered.size()));
    }
    const int fd = ConnectTo(server_->port());
    SSL_set_fd(ssl.get(), fd);
    const bool good = SSL_connect(ssl.get()) == 1;
    const unsigned char* chosen = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl.get(), &chosen, &size);
    std::string result = good ? Cat(SSL_get_version(ssl.get()), " ",
                                    std::string_view(reinterpret_cast<const char*>(chosen), size))
                              : "refused";
    close(fd);
    return result;
  }
  static void Use(SSL_CTX* context, const TestCertificate& client) {
    BIO* const cert = BIO_new_mem_buf(client.cert_pem.data(), -1);
    BIO* const key = BIO_new_mem_buf(client.key_pem.data(), -1);
    X509* const leaf = PEM_read_bio_X509(cert, nullptr, nullptr, nullptr);
    EVP_PKEY* const its_key = PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
    EXPECT_EQ(SSL_CTX_use_certificate(context, leaf), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context, its_key), 1);
    X509_free(leaf);
    EVP_PKEY_free(its_key);
    BIO_free(cert);
    BIO_free(key);
  }
  static int ConnectTo(int port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }

  const TestCertificate ca_ = MakeTestCertificate("ca");
  const TestCertificate client_ = MakeTestCertificate("client", &ca_);
  std::shared_ptr<TestSource> source_ = std::make_shared<TestSource>(ServedBy(ca_));
  std::unique_ptr<EchoServer> server_;
};

TEST_F(TlsTest, CallsAreServed) {
  Start();
  EXPECT_TRUE(CallWith(ca_, {}).ok());
  const TestCertificate other = MakeTestCertificate("other");
  EXPECT_EQ(CallWith(other, {}).error_code(), grpc::StatusCode::UNAVAILABLE);
}

// More of them than a round lets on: they wait for each other, and each has its turn.
TEST_F(TlsTest, ManyHandshakesAtOnce) {
  Start();
  constexpr size_t kClients = 24;
  std::vector<std::string> results(kClients);
  std::vector<std::thread> clients;
  for (std::string& result : results) {
    clients.emplace_back([&] { result = ShakeHands(TLS1_3_VERSION, "h2"); });
  }
  for (auto& client : clients) client.join();
  EXPECT_THAT(results, Each("TLSv1.3 h2"));
}

TEST_F(TlsTest, LargeMessagesGoBothWays) {
  Start();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca_.cert_pem;
  const auto channel = ChannelTo(server_->address(), grpc::SslCredentials(options));
  std::string request(3'000'000, 'x');
  for (size_t i = 0; i < request.size(); i += 7) request[i] = static_cast<char>(i);
  for (int i = 0; i < 5; ++i) {
    std::string answer;
    EXPECT_TRUE(Unary(channel, "/test.Echo/Unary", request, &answer).ok());
    EXPECT_TRUE(answer == request);
  }
}

TEST_F(TlsTest, ClientsShowCertificatesOfTheCa) {
  TlsCertificates certificates = ServedBy(ca_);
  certificates.ca = ca_.cert_pem;
  source_->Use(certificates);
  Start();
  EXPECT_TRUE(CallWith(ca_, client_).ok());
  EXPECT_EQ(CallWith(ca_, {}).error_code(), grpc::StatusCode::UNAVAILABLE);
  const TestCertificate other_ca = MakeTestCertificate("other ca");
  const TestCertificate stranger = MakeTestCertificate("client", &other_ca);
  EXPECT_EQ(CallWith(ca_, stranger).error_code(), grpc::StatusCode::UNAVAILABLE);
  source_->Refuse(true);
  EXPECT_EQ(CallWith(ca_, client_).error_code(), grpc::StatusCode::UNAVAILABLE);
  source_->Refuse(false);
  EXPECT_TRUE(CallWith(ca_, client_).ok());
}

// Whoever set up a client finds the reason there; the client itself says "context deadline
// exceeded".
TEST_F(TlsTest, TheLogSaysWhyAHandshakeFails) {
  log::Init({.level = log::Level::kInfo});
  TlsCertificates certificates = ServedBy(ca_);
  certificates.ca = ca_.cert_pem;
  source_->Use(certificates);
  const TestCertificate other_ca = MakeTestCertificate("other ca");
  const TestCertificate stranger = MakeTestCertificate("client", &other_ca);
  const auto said_of = [&](const std::function<void()>& fail) {
    ::testing::internal::CaptureStderr();
    Start();
    fail();
    server_.reset();  // it has said all
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(said_of([&] { (void)ShakeHands(TLS1_2_VERSION, "h2"); }),
              ContainsRegex("a connection from 127.0.0.1:[0-9]+ is refused at its TLS handshake: "
                            "peer did not return a certificate"));
  EXPECT_THAT(said_of([&] { (void)ShakeHands(TLS1_2_VERSION, "h2", &stranger); }),
              ContainsRegex("certificate verify failed: [a-z ]+"));
  EXPECT_THAT(said_of([&] {
                const int fd = ConnectTo(server_->port());
                EXPECT_EQ(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
                char byte = 0;
                while (read(fd, &byte, 1) > 0) continue;
                close(fd);
              }),
              HasSubstr("http request"));
  // One that only looks whether somebody listens.
  EXPECT_EQ(said_of([&] { close(ConnectTo(server_->port())); }), "");
}

TEST_F(TlsTest, CallsOfAClientThatIsNotWelcomeAnyMoreAreRefused) {
  TlsCertificates certificates = ServedBy(ca_);
  certificates.ca = ca_.cert_pem;
  source_->Use(certificates);
  Start();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca_.cert_pem;
  options.pem_cert_chain = client_.cert_pem;
  options.pem_private_key = client_.key_pem;
  const auto channel = ChannelTo(server_->address(), grpc::SslCredentials(options));
  EXPECT_TRUE(Unary(channel, "/test.Echo/Unary", "hello").ok());
  source_->Refuse(true);
  const grpc::Status status = Unary(channel, "/test.Echo/Unary", "hello");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(status.error_message(), "not this one");
  source_->Refuse(false);
  EXPECT_TRUE(Unary(channel, "/test.Echo/Unary", "hello").ok());
}

TEST_F(TlsTest, RenewedCertificatesAreForNewConnections) {
  Start();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca_.cert_pem;
  const auto before = ChannelTo(server_->address(), grpc::SslCredentials(options));
  EXPECT_TRUE(Unary(before, "/test.Echo/Unary", "hello").ok());
  const TestCertificate next = MakeTestCertificate("next ca");
  source_->Use(ServedBy(next));
  EXPECT_TRUE(CallWith(next, {}).ok());
  EXPECT_EQ(CallWith(ca_, {}).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Unary(before, "/test.Echo/Unary", "hello").ok()) << "a connection goes on";
  EXPECT_GE(source_->asked(), 3);
}

// A root that the client does not send along is not asked about.
TEST_F(TlsTest, TheChainIsWhatTheClientSends) {
  TlsCertificates certificates = ServedBy(ca_);
  certificates.ca = ca_.cert_pem;
  source_->Use(certificates);
  Start();
  EXPECT_EQ(ShakeHands(TLS1_2_VERSION, "h2", &client_), "TLSv1.2 h2");
  EXPECT_EQ(source_->chain_size(), 1);
}

TEST_F(TlsTest, VersionsAndProtocols) {
  Start();
  EXPECT_EQ(ShakeHands(TLS1_3_VERSION, "h2"), "TLSv1.3 h2");
  EXPECT_EQ(ShakeHands(TLS1_2_VERSION, "h2"), "TLSv1.2 h2");
  EXPECT_EQ(ShakeHands(TLS1_3_VERSION, "http/1.1"), "TLSv1.3 http/1.1");
  EXPECT_EQ(ShakeHands(TLS1_3_VERSION, ""), "TLSv1.3 ");
  // As browsers, curl and Prometheus do; no client of gRPC does.
  EXPECT_EQ(ShakeHands(TLS1_3_VERSION, "h2", nullptr, "http/1.1"), "TLSv1.3 http/1.1");
  EXPECT_EQ(ShakeHands(TLS1_3_VERSION, "spdy/3", nullptr, "h2"), "TLSv1.3 h2");
}

TEST_F(TlsTest, TheNewestVersionCounts) {
  source_->max_version_ = TlsVersion::k12;
  Start();
  EXPECT_EQ(ShakeHands(TLS1_3_VERSION, "h2"), "TLSv1.2 h2");
}

TEST_F(TlsTest, TheLeastVersionCounts) {
  source_->min_version_ = TlsVersion::k13;
  Start();
  EXPECT_EQ(ShakeHands(TLS1_2_VERSION, "h2"), "refused");
  EXPECT_EQ(ShakeHands(TLS1_3_VERSION, "h2"), "TLSv1.3 h2");
}

TEST_F(TlsTest, CiphersOfTheListOnly) {
  source_->ciphers_ = "ECDHE-RSA-AES256-GCM-SHA384";  // the test's keys are ECDSA
  Start();
  EXPECT_EQ(ShakeHands(TLS1_2_VERSION, "h2"), "refused");
  EXPECT_EQ(ShakeHands(TLS1_3_VERSION, "h2"), "TLSv1.3 h2");
}

TEST_F(TlsTest, WhatCannotBeUsedIsSaid) {
  const auto made = MakeTlsContext(*source_, {.cert = "no certificate", .key = "no key"});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(MessageOf(made.status())), HasSubstr("certificate"));
}

// The session goes along, with what was read of it.
TEST_F(TlsTest, WhoeverSpeaksHttp1IsHandedOver) {
  EchoServer::Options options{.tls = source_};
  options.transport.http1 = [](Http1Client client) {
    EXPECT_EQ(client.received, "GET /health HTTP/1.1\r\n\r\n");
    ASSERT_NE(client.ssl, nullptr);
    EXPECT_EQ(SSL_get_fd(client.ssl), client.fd);
    EXPECT_EQ(SSL_write(client.ssl, "200", 3), 3);
    SSL_free(client.ssl);
    close(client.fd);
  };
  server_ = std::make_unique<EchoServer>(std::move(options));
  const std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));
  const std::unique_ptr<SSL, FreeSsl> ssl(SSL_new(context.get()));
  const int fd = ConnectTo(server_->port());
  SSL_set_fd(ssl.get(), fd);
  ASSERT_EQ(SSL_connect(ssl.get()), 1);
  const std::string request = "GET /health HTTP/1.1\r\n\r\n";
  EXPECT_EQ(SSL_write(ssl.get(), request.data(), static_cast<int>(request.size())),
            static_cast<int>(request.size()));
  char answer[8] = "";
  EXPECT_EQ(SSL_read(ssl.get(), answer, sizeof(answer)), 3);
  EXPECT_STREQ(answer, "200");
  close(fd);
}

// A client that never says what it wants holds nobody else up, and is closed in the end.
TEST_F(TlsTest, SilentClientsAreClosed) {
  EchoServer::Options options{.tls = source_};
  options.transport.greeting_timeout = std::chrono::milliseconds(50);
  server_ = std::make_unique<EchoServer>(std::move(options));
  const int fd = ConnectTo(server_->port());
  char byte = 0;
  EXPECT_EQ(read(fd, &byte, 1), 0);
  close(fd);
}

}  // namespace
}  // namespace jetd::rpc
