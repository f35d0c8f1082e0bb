// SPDX-License-Identifier: Apache-2.0
//
// Versions and ciphers of TLS that jetd takes, at its client port and its port for metrics.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/strings.h"
#include "base/testing/free_port.h"
#include "base/testing/test_certificate.h"
#include "etcdapi/testing/jetd_process.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_server.h"

namespace jetd::etcdapi {
namespace {

using jetstream::NatsTestServer;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};

// The version that a client ends up with, which knows one version and, of 1.2, one cipher; "" if
// the two do not come together.
std::string VersionWith(int port, int version, const std::string& cipher) {
  const std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  JETD_CHECK(SSL_CTX_set_cipher_list(context.get(), cipher.c_str()) == 1) << cipher;
  const std::unique_ptr<BIO, Free> bio(BIO_new_ssl_connect(context.get()));
  BIO_set_conn_hostname(bio.get(), Cat("127.0.0.1:", port).c_str());
  SSL* ssl = nullptr;
  BIO_get_ssl(bio.get(), &ssl);
  static constexpr unsigned char kProtocols[] = "\x02h2\x08http/1.1";
  SSL_set_alpn_protos(ssl, kProtocols, sizeof(kProtocols) - 1);
  const bool done = BIO_do_handshake(bio.get()) == 1;
  ERR_clear_error();
  return done ? SSL_get_version(ssl) : "";
}

class TlsLimitsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!JetdProcess::Available()) GTEST_SKIP() << "JETD_BIN names no jetd";
    nats_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (nats_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  }
  void Start(std::vector<std::string> flags) {
    const TestCertificate server = MakeTestCertificate("server");
    ports_ = {FreePort(), FreePort()};
    flags.insert(flags.end(),
                 {"--nats-url", nats_->url(), "--cert-file", Write("s.crt", server.cert_pem),
                  "--key-file", Write("s.key", server.key_pem), "--listen-client-urls",
                  Cat("https://127.0.0.1:", ports_[0]), "--listen-metrics-urls",
                  Cat("https://127.0.0.1:", ports_[1])});
    jetd_ = std::make_unique<JetdProcess>(flags);
    ASSERT_TRUE(jetd_->WaitFor("ready to serve client requests")) << jetd_->output();
  }
  [[nodiscard]] std::string Write(const std::string& name, const std::string& text) const {
    std::string path = Cat(nats_->folder(), "/", name);
    std::ofstream(path) << text;
    return path;
  }

  std::unique_ptr<NatsTestServer> nats_;
  std::unique_ptr<JetdProcess> jetd_;
  std::vector<int> ports_;
};

constexpr char kAes128[] = "ECDHE-ECDSA-AES128-GCM-SHA256";
constexpr char kAes256[] = "ECDHE-ECDSA-AES256-GCM-SHA384";

TEST_F(TlsLimitsTest, BothVersionsByDefault) {
  Start({});
  for (const int port : ports_) {
    EXPECT_EQ(VersionWith(port, TLS1_2_VERSION, kAes128), "TLSv1.2");
    EXPECT_EQ(VersionWith(port, TLS1_3_VERSION, kAes128), "TLSv1.3");
  }
}

TEST_F(TlsLimitsTest, TheLeastVersion) {
  Start({"--tls-min-version=TLS1.3"});
  for (const int port : ports_) {
    EXPECT_EQ(VersionWith(port, TLS1_2_VERSION, "ALL"), "");
    EXPECT_EQ(VersionWith(port, TLS1_3_VERSION, kAes128), "TLSv1.3");
  }
}

TEST_F(TlsLimitsTest, TheNewestVersion) {
  Start({"--tls-max-version=TLS1.2"});
  for (const int port : ports_) {
    EXPECT_EQ(VersionWith(port, TLS1_2_VERSION, kAes128), "TLSv1.2");
    EXPECT_EQ(VersionWith(port, TLS1_3_VERSION, kAes128), "");
  }
}

TEST_F(TlsLimitsTest, Ciphers) {
  Start({"--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"});
  for (const int port : ports_) {
    EXPECT_EQ(VersionWith(port, TLS1_2_VERSION, kAes128), "");
    EXPECT_EQ(VersionWith(port, TLS1_2_VERSION, kAes256), "TLSv1.2");
    EXPECT_EQ(VersionWith(port, TLS1_3_VERSION, kAes128), "TLSv1.3");
  }
}

}  // namespace
}  // namespace jetd::etcdapi
