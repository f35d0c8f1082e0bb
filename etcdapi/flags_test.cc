// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/flags.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Config Good(const std::vector<std::string>& arguments) {
  ParsedFlags parsed = ParseFlags(arguments);
  EXPECT_EQ(parsed.error, "");
  EXPECT_TRUE(parsed.config.has_value());
  return parsed.config.value_or(Config());
}

std::string ErrorOf(const std::vector<std::string>& arguments) {
  const ParsedFlags parsed = ParseFlags(arguments);
  EXPECT_FALSE(parsed.config.has_value());
  EXPECT_EQ(parsed.exit_code, kExitUsage);
  return parsed.error;
}

TEST(FlagsTest, HasEtcdsDefaults) {
  const Config config = Good({});
  EXPECT_EQ(config.name, "default");
  EXPECT_EQ(config.data_dir, "default.jetd");
  ASSERT_EQ(config.listen_client_urls.size(), 1U);
  EXPECT_EQ(config.listen_client_urls[0].address, "127.0.0.1:2379");
  EXPECT_THAT(config.advertise_client_urls, ElementsAre("http://127.0.0.1:2379"));
  EXPECT_EQ(config.limits.max_request_bytes, 1572864U);
  EXPECT_EQ(config.limits.max_txn_ops, 128);
  EXPECT_EQ(config.keepalive_min_time, 5s);
  EXPECT_EQ(config.keepalive_interval, 2h);
  EXPECT_EQ(config.keepalive_timeout, 20s);
  EXPECT_EQ(config.mirror_audit_interval, 10min);
  EXPECT_EQ(config.watch_progress_interval, 10min);
  EXPECT_EQ(config.compaction.mode, AutoCompaction::Mode::kOff);
  EXPECT_TRUE(config.nats.urls.empty());
  EXPECT_TRUE(config.warnings.empty());
}

// As in etcd, which then gives gRPC nothing, so that its own values count.
TEST(FlagsTest, KeepaliveOfZeroIsGrpcsOwn) {
  for (const char* zero : {"--grpc-keepalive-interval=0s", "--grpc-keepalive-timeout=0s"}) {
    const Config config = Good({"--grpc-keepalive-interval=3s", zero});
    EXPECT_EQ(config.keepalive_interval, 2h);
    EXPECT_EQ(config.keepalive_timeout, 20s);
  }
  EXPECT_EQ(Good({"--grpc-keepalive-min-time=0s"}).keepalive_min_time, 5min);
  EXPECT_EQ(Good({"--grpc-keepalive-interval=3s"}).keepalive_interval, 3s);
  EXPECT_EQ(Good({"--mirror-audit-interval=0"}).mirror_audit_interval, 0s);
  EXPECT_EQ(Good({"--mirror-audit-interval=1h"}).mirror_audit_interval, 1h);
}

TEST(FlagsTest, TakesFlagsInEverySpelling) {
  const Config config = Good({"-name", "a", "--max-txn-ops=7", "--listen-client-urls",
                              "http://127.0.0.1:1,unix:///run/jetd.sock", "--nats-url",
                              "nats://a:1,nats://b:2", "--watch-progress-notify-interval", "5s"});
  EXPECT_EQ(config.name, "a");
  EXPECT_EQ(config.data_dir, "a.jetd");
  EXPECT_EQ(config.limits.max_txn_ops, 7);
  ASSERT_EQ(config.listen_client_urls.size(), 2U);
  EXPECT_EQ(config.listen_client_urls[1].address, "unix:/run/jetd.sock");
  EXPECT_THAT(config.nats.urls, ElementsAre("nats://a:1", "nats://b:2"));
  EXPECT_EQ(config.watch_progress_interval, 5s);
  EXPECT_EQ(Good({"--experimental-watch-progress-notify-interval=7s"}).watch_progress_interval, 7s);
}

TEST(FlagsTest, KeepsValuesInFilesUnlessNatsIsOutside) {
  EXPECT_EQ(Good({}).value_cache_bytes, 48U << 20U);
  EXPECT_EQ(Good({"--value-cache-bytes=0"}).value_cache_bytes, 0U);
  EXPECT_EQ(Good({"--value-cache-bytes=16777216"}).value_cache_bytes, 16U << 20U);
  EXPECT_EQ(Good({"--value-cache-bytes=all"}).value_cache_bytes, std::nullopt);
  EXPECT_EQ(Good({"--nats-url", "nats://a:1"}).value_cache_bytes, std::nullopt);
  EXPECT_EQ(Good({"--nats-url", "nats://a:1", "--value-cache-bytes", "5"}).value_cache_bytes, 5U);
  for (const char* wrong : {"-1", "16M", "some"}) {
    EXPECT_THAT(ErrorOf({std::string("--value-cache-bytes=") + wrong}),
                StartsWith("--value-cache-bytes: \""));
  }
}

// A variable for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
};

TEST(FlagsTest, TakesVariablesAndLetsFlagsOverrideThem) {
  const Variable name("JETD_NAME", "from-variable");
  const Variable auth("JETD_CLIENT_CERT_AUTH", "true");
  const Variable empty("JETD_MAX_TXN_OPS", "");
  EXPECT_EQ(Good({"--trusted-ca-file", "ca"}).name, "from-variable");
  EXPECT_TRUE(Good({"--trusted-ca-file", "ca"}).tls.client_cert_auth);
  EXPECT_EQ(Good({"--name", "from-flag", "--client-cert-auth=false"}).name, "from-flag");
  EXPECT_FALSE(Good({"--client-cert-auth=false"}).tls.client_cert_auth);
}

// As Go's flags do it.
TEST(FlagsTest, OfAFlagGivenTwiceTheLastCounts) {
  EXPECT_EQ(Good({"--name", "a", "--name=b"}).name, "b");
}

// etcd 3.5 knows the experimental one only, 3.6 both.
TEST(FlagsTest, OfTheTwoProgressIntervalsTheNewSpellingCounts) {
  const std::string older = "--experimental-watch-progress-notify-interval=";
  const std::string newer = "--watch-progress-notify-interval=";
  EXPECT_EQ(Good({older + "6s", older + "7s"}).watch_progress_interval, 7s);
  EXPECT_EQ(Good({newer + "5s", older + "7s"}).watch_progress_interval, 5s);
  EXPECT_EQ(Good({older + "7s", newer + "5s"}).watch_progress_interval, 5s);
  EXPECT_EQ(Good({older + "7s", newer + "10m"}).watch_progress_interval, 10min);
  EXPECT_THAT(ErrorOf({older + "soon", newer + "5s"}),
              StartsWith(older.substr(0, older.size() - 1)));
  const Variable variable("JETD_WATCH_PROGRESS_NOTIFY_INTERVAL", "5s");
  EXPECT_EQ(Good({older + "7s"}).watch_progress_interval, 5s);
}

TEST(FlagsTest, TakesTheTimeOfSlowRequestsInBothSpellings) {
  EXPECT_EQ(Good({}).slow_request, 300ms);
  EXPECT_EQ(Good({"--experimental-warning-unary-request-duration=1s"}).slow_request, 1s);
  EXPECT_EQ(Good({"--experimental-warning-unary-request-duration=1s",
                  "--warning-unary-request-duration=0"})
                .slow_request,
            0s);
  EXPECT_THAT(ErrorOf({"--warning-unary-request-duration=slow"}),
              StartsWith("--warning-unary-request-duration: "));
}

TEST(FlagsTest, ComplaintsNameWhereTheValueCameFrom) {
  const Variable ops("JETD_MAX_TXN_OPS", "many");
  EXPECT_THAT(ErrorOf({}), StartsWith("JETD_MAX_TXN_OPS: \"many\""));
  EXPECT_THAT(ErrorOf({"--max-txn-ops", "few"}), StartsWith("--max-txn-ops: \"few\""));
  const Variable auth("JETD_CLIENT_CERT_AUTH", "perhaps");
  EXPECT_THAT(ErrorOf({"--max-txn-ops=1"}), StartsWith("JETD_CLIENT_CERT_AUTH: \"perhaps\""));
}

TEST(FlagsTest, EtcdsOwnFlagsCountAsVariablesToo) {
  {
    const Variable ours("JETD_SNAPSHOT_COUNT", "100");
    EXPECT_THAT(Good({}).warnings, ElementsAre("JETD_SNAPSHOT_COUNT has no effect: the records are "
                                               "in JetStream"));
  }
  const Variable refused("JETD_AUTO_TLS", "true");
  EXPECT_THAT(ErrorOf({}), StartsWith("JETD_AUTO_TLS of etcd is not supported"));
}

TEST(FlagsTest, AMistypedVariableGetsAWarning) {
  const Variable mistyped("JETD_LISTEN_CLIENT_URL", "http://127.0.0.1:1");
  const Variable mistyped_too("JETD_NATS_CRED", "x");
  // What tests, tools and jetctl use, and what Kubernetes sets for a service named jetd.
  std::vector<std::unique_ptr<Variable>> others;
  for (const char* name : {"JETD_BIN",
                           "JETD_CACHE",
                           "JETD_ETCD",
                           "JETD_ETCDCTL",
                           "JETD_NATS_SERVER_2_10",
                           "JETD_NATS_SERVER_2_9",
                           "JETD_SIM_SEED",
                           "JETD_SIM_SEEDS",
                           "JETD_TEST_FOLDER",
                           "JETD_TEST_SCENARIO",
                           "JETD_PROTOC",
                           "JETD_SANITIZE",
                           "JETD_PORT",
                           "JETD_SERVICE_HOST",
                           "JETD_SERVICE_PORT",
                           "JETD_PORT_2379_TCP_ADDR",
                           "JETD_STATE_DIR",
                           "JETD_STREAM",
                           "JETD_PID_FILE",
                           "JETD_NATS_CONFIG"}) {
    others.push_back(std::make_unique<Variable>(name, "x"));
  }
  EXPECT_THAT(
      Good({}).warnings,
      ElementsAre("JETD_LISTEN_CLIENT_URL has no effect; did you mean JETD_LISTEN_CLIENT_URLS?",
                  "JETD_NATS_CRED has no effect; did you mean JETD_NATS_CREDS?"));
}

TEST(FlagsTest, TakesWhatKubeadmWritesForEtcd) {
  const Config config = Good(
      {"--advertise-client-urls=https://10.0.0.1:2379", "--cert-file=/pki/server.crt",
       "--client-cert-auth=true", "--data-dir=/var/lib/etcd",
       "--experimental-initial-corrupt-check=true",
       "--experimental-watch-progress-notify-interval=5s",
       "--initial-advertise-peer-urls=https://10.0.0.1:2380",
       "--initial-cluster=cp=https://10.0.0.1:2380", "--key-file=/pki/server.key",
       "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379",
       "--listen-metrics-urls=http://127.0.0.1:2381", "--listen-peer-urls=https://10.0.0.1:2380",
       "--name=cp", "--peer-cert-file=/pki/peer.crt", "--peer-client-cert-auth=true",
       "--peer-key-file=/pki/peer.key", "--peer-trusted-ca-file=/pki/ca.crt",
       "--snapshot-count=10000", "--trusted-ca-file=/pki/ca.crt"});
  EXPECT_TRUE(config.tls.client_cert_auth);
  EXPECT_EQ(config.tls.trusted_ca_file, "/pki/ca.crt");
  EXPECT_EQ(config.watch_progress_interval, 5s);
  EXPECT_EQ(config.listen_metrics_urls.size(), 1U);
  EXPECT_FALSE(config.extensive_metrics);
  EXPECT_EQ(config.warnings.size(), 9U);
  EXPECT_EQ(config.warnings[1],
            "--initial-advertise-peer-urls has no effect: jetd has no raft and no peers");
}

TEST(FlagsTest, ForeignFlagsTakeTheirValuesAlong) {
  const Config config =
      Good({"--heartbeat-interval", "100", "--pre-vote", "--name", "x", "--snapshot-count=8",
            "--experimental-snapshot-catchup-entries", "5"});
  EXPECT_EQ(config.name, "x");
  EXPECT_EQ(config.warnings.size(), 4U);
}

TEST(FlagsTest, TakesTheQuotaAsEtcdDoes) {
  EXPECT_EQ(Good({}).quota_backend_bytes, 2ULL << 30U);
  EXPECT_EQ(Good({"--quota-backend-bytes", "0"}).quota_backend_bytes, 2ULL << 30U);
  EXPECT_EQ(Good({"--quota-backend-bytes", "8"}).quota_backend_bytes, 8U);
  EXPECT_EQ(Good({"--quota-backend-bytes=-1"}).quota_backend_bytes, UINT64_MAX);
  EXPECT_EQ(ErrorOf({"--quota-backend-bytes", "8GB"}),
            "--quota-backend-bytes: \"8GB\" is no number of bytes");
}

TEST(FlagsTest, RefusesWhatWouldWeakenTheServer) {
  EXPECT_EQ(ErrorOf({"--auto-tls"}),
            "--auto-tls of etcd is not supported: give --cert-file and --key-file");
}

TEST(FlagsTest, NamesTheNearestFlag) {
  EXPECT_EQ(ErrorOf({"--listen-client-url", "x"}),
            "unknown flag --listen-client-url; did you mean --listen-client-urls?");
  EXPECT_EQ(ErrorOf({"--heartbeat-intervall=5"}),
            "unknown flag --heartbeat-intervall; did you mean --heartbeat-interval?");
  EXPECT_EQ(ErrorOf({"--something-else"}), "unknown flag --something-else; see jetd --help");
  EXPECT_EQ(ErrorOf({"--", "-"}), "unknown flag --; see jetd --help");
  EXPECT_THAT(ErrorOf({"serve"}), StartsWith("\"serve\" is not a flag"));
}

TEST(FlagsTest, ExplainsBadValues) {
  EXPECT_THAT(ErrorOf({"--listen-client-urls", "127.0.0.1:2379"}), HasSubstr("http://"));
  EXPECT_THAT(ErrorOf({"--listen-client-urls", "http://127.0.0.1"}), HasSubstr("port is missing"));
  EXPECT_THAT(ErrorOf({"--listen-client-urls", "http://example.com:1"}),
              HasSubstr("no IP address"));
  EXPECT_THAT(ErrorOf({"--listen-client-urls", "http://127.0.0.1:99999"}), HasSubstr("no port"));
  EXPECT_THAT(ErrorOf({"--listen-client-urls", "https://127.0.0.1:1"}), HasSubstr("--cert-file"));
  EXPECT_THAT(ErrorOf({"--listen-metrics-urls", "https://127.0.0.1:1"}),
              HasSubstr("--listen-metrics-urls: https://127.0.0.1:1: client TLS key/cert "));
  EXPECT_THAT(ErrorOf({"--listen-metrics-urls", "unix:///run/x"}),
              HasSubstr("it must be http:// or https://"));
  EXPECT_EQ(ErrorOf({"--listen-client-http-urls", "https://127.0.0.1:1"}),
            "--listen-client-http-urls: https://127.0.0.1:1 needs a certificate; give --cert-file "
            "and --key-file");
  EXPECT_EQ(ErrorOf({"--listen-client-http-urls", "unix:///run/x"}),
            "--listen-client-http-urls: \"unix:///run/x\": it must be http:// or https://");
  EXPECT_EQ(ErrorOf({"--metrics", "all"}), "--metrics: \"all\" is neither basic nor extensive");
  EXPECT_THAT(ErrorOf({"--cert-file", "x"}), HasSubstr("--key-file is missing"));
  EXPECT_THAT(ErrorOf({"--client-cert-auth"}), HasSubstr("--trusted-ca-file"));
  EXPECT_THAT(ErrorOf({"--max-txn-ops", "0"}), HasSubstr("at least 1"));
  EXPECT_EQ(ErrorOf({"--max-txn-ops", "many"}),
            "--max-txn-ops: \"many\" is no number that it takes: a whole one, at least 1");
  EXPECT_THAT(ErrorOf({"--max-txn-ops", "99999999999999999999"}), HasSubstr("at least 1"));
  EXPECT_THAT(ErrorOf({"--max-request-bytes", "1.5MB"}), HasSubstr("from 1 to 67108864"));
  EXPECT_THAT(ErrorOf({"--client-cert-auth=maybe"}), HasSubstr("write true or false"));
  EXPECT_EQ(ErrorOf({"--name"}), "--name needs a value: --name=VALUE; see jetd --help");
  EXPECT_EQ(ErrorOf({"--name", "--max-txn-ops", "1"}),
            "--name needs a value: --name=VALUE; see jetd --help");
  EXPECT_THAT(ErrorOf({"--name=", "a"}), StartsWith("--name needs a value"));
  EXPECT_THAT(ErrorOf({"--grpc-keepalive-timeout", "20"}), HasSubstr("write 500ms"));
  EXPECT_THAT(ErrorOf({"--log-level", "loud"}), HasSubstr("--log-level"));
  EXPECT_THAT(ErrorOf({"--nats-url", "http://x"}), HasSubstr("nats://"));
  EXPECT_EQ(ErrorOf({"--nats-url=nats://me:secret@x:y"}),
            "--nats-url: \"x:y\" has no port from 1 to 65535; write nats://host:4222");
  EXPECT_EQ(ErrorOf({"--nats-url=nats://x", "--nats-domain=a b"}),
            "--nats-domain: \"a b\" is no name of a JetStream domain; it takes no blanks, dots, * "
            "and >");
  for (const char* url : {"foo", "http:/", "http://", "ftp://a:1", "://a"}) {
    EXPECT_EQ(ErrorOf({std::string("--advertise-client-urls=http://a:1,") + url}),
              Cat("--advertise-client-urls: \"", url,
                  "\": it must start with http://, https://, unix:// or unixs://"));
  }
  EXPECT_THAT(ErrorOf({"--nats-url", "user:secret@x:4222"}), Not(HasSubstr("secret")));
  EXPECT_THAT(ErrorOf({"--bucket", "a.b"}), HasSubstr("letters, digits, - and _"));
  EXPECT_THAT(ErrorOf({"--bucket", ""}), HasSubstr("--bucket"));
  EXPECT_THAT(ErrorOf({"--nats-replicas", "3"}), HasSubstr("needs a NATS cluster"));
  for (const char* replicas : {"2", "three"}) {
    EXPECT_THAT(ErrorOf({"--nats-replicas", replicas, "--nats-url", "nats://x:1"}),
                HasSubstr("1, 3 or 5"));
  }
}

// Otherwise the records would go where nobody looks for them.
TEST(FlagsTest, WhatIsForAServerOutsideNeedsOne) {
  for (const char* flag :
       {"--nats-creds", "--nats-nkey", "--nats-token-file", "--nats-ca-file", "--nats-domain"}) {
    EXPECT_EQ(ErrorOf({flag, "x"}), Cat(flag,
                                        " is for a NATS server that runs already; give "
                                        "--nats-url with its address, or leave it out"));
    EXPECT_TRUE(ParseFlags({flag, "x", "--nats-url", "nats://x:1"}).config.has_value());
  }
  EXPECT_THAT(ErrorOf({"--nats-cert-file=x", "--nats-key-file=y"}), HasSubstr("--nats-url"));
  const std::vector<std::string> both = {"--nats-url=nats://x:1", "--nats-server=/n"};
  EXPECT_THAT(Good(both).warnings, ElementsAre(StartsWith("--nats-server has no effect")));
  // tools/run always sets it.
  const Variable program("JETD_NATS_SERVER", "/n");
  EXPECT_THAT(Good({"--nats-url=nats://x:1"}).warnings, ElementsAre());
}

TEST(FlagsTest, OneWayToSayWhoConnects) {
  EXPECT_EQ(ErrorOf({"--nats-url=nats://x:1", "--nats-creds=c", "--nats-token-file=t"}),
            "--nats-token-file and --nats-creds exclude each other");
  EXPECT_EQ(Good({"--nats-url=nats://x:1", "--nats-token-file=t"}).nats.token_file, "t");
}

TEST(FlagsTest, SaysWhenTlsIsNotUsed) {
  const std::vector<std::string> files = {"--cert-file=c", "--key-file=k"};
  const auto with = [&files](std::vector<std::string> more) {
    more.insert(more.end(), files.begin(), files.end());
    return Good(more).warnings;
  };
  EXPECT_THAT(with({}), ElementsAre("--cert-file has no effect: http://127.0.0.1:2379 is without "
                                    "TLS; write https://"));
  EXPECT_THAT(Good({"--trusted-ca-file=ca"}).warnings,
              ElementsAre("--trusted-ca-file has no effect: http://127.0.0.1:2379 is without TLS; "
                          "write https://"));
  EXPECT_THAT(with({"--listen-client-urls=https://127.0.0.1:1"}), ElementsAre());
  EXPECT_THAT(with({"--listen-metrics-urls=https://127.0.0.1:1"}), ElementsAre());
  EXPECT_THAT(with({"--listen-client-http-urls=https://127.0.0.1:1"}), ElementsAre());
  EXPECT_THAT(with({"--listen-client-urls=https://127.0.0.1:1,http://127.0.0.1:2"}), ElementsAre());
  EXPECT_THAT(with({"--listen-client-urls=https://127.0.0.1:1,http://127.0.0.1:2",
                    "--client-cert-auth", "--trusted-ca-file=ca"}),
              ElementsAre("--client-cert-auth has no effect on http://127.0.0.1:2: it is without "
                          "TLS, and lets everybody in"));
}

TEST(FlagsTest, SaysWhichClientsAndWhichTls) {
  const auto of = [](std::vector<std::string> more) {
    more.insert(more.end(), {"--cert-file=c", "--key-file=k", "--trusted-ca-file=ca",
                             "--listen-client-urls=https://127.0.0.1:1"});
    return more;
  };
  const TlsFiles plain = Good(of({})).tls;
  EXPECT_TRUE(plain.demands_certificates());
  EXPECT_EQ(plain.min_version, TlsVersion::k12);
  EXPECT_EQ(plain.ciphers, "");
  const TlsFiles tls = Good(of({"--client-crl-file=r", "--client-cert-allowed-hostname=a,10.0.0.1",
                                "--tls-max-version=TLS1.3",
                                "--cipher-suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,"
                                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_AES_128_GCM_SHA256"}))
                           .tls;
  EXPECT_EQ(tls.crl_file, "r");
  EXPECT_THAT(tls.allowed_hostnames, ElementsAre("a", "10.0.0.1"));
  EXPECT_EQ(tls.ciphers, "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305");
  EXPECT_THAT(Good(of({"--client-cert-allowed-cn=a"})).tls.allowed_cns, ElementsAre("a"));
  EXPECT_EQ(Good(of({"--tls-min-version=TLS1.3"})).tls.min_version, TlsVersion::k13);
  const TlsFiles of13 = Good(of({"--cipher-suites=TLS_AES_128_GCM_SHA256"})).tls;
  EXPECT_EQ(of13.min_version, TlsVersion::k13);
  EXPECT_EQ(of13.ciphers, "");
  EXPECT_EQ(plain.max_version, TlsVersion::k13);
  EXPECT_EQ(Good(of({"--tls-max-version=TLS1.2"})).tls.max_version, TlsVersion::k12);
  EXPECT_THAT(ErrorOf({"--client-crl-file=r"}), HasSubstr("only --trusted-ca-file demands"));
  EXPECT_THAT(ErrorOf({"--client-cert-allowed-cn=a"}), StartsWith("--client-cert-allowed-cn is "));
  EXPECT_THAT(ErrorOf(of({"--client-cert-allowed-cn=a", "--client-cert-allowed-hostname=b"})),
              HasSubstr("exclude each other"));
  EXPECT_EQ(ErrorOf({"--tls-min-version=TLS1.1"}),
            "--tls-min-version: \"TLS1.1\" is neither TLS1.2 nor TLS1.3");
  EXPECT_THAT(ErrorOf({"--tls-max-version=TLS1.2", "--tls-min-version=TLS1.3"}),
              HasSubstr("no client could connect"));
  EXPECT_THAT(ErrorOf({"--tls-max-version=TLS1.2", "--cipher-suites=TLS_AES_128_GCM_SHA256"}),
              HasSubstr("names none of TLS1.2"));
  EXPECT_THAT(ErrorOf({"--cipher-suites=TLS_RSA_WITH_RC4_128_SHA"}),
              StartsWith("--cipher-suites: \"TLS_RSA_WITH_RC4_128_SHA\" is none"));
  EXPECT_THAT(ErrorOf({"--cipher-suites=x", "--tls-min-version=TLS1.3"}),
              StartsWith("--cipher-suites is about TLS1.2"));
}

// etcd wants --advertise-client-urls then. An address that means "all" is of no use to a client.
TEST(FlagsTest, AWildcardIsNotAdvertised) {
  const Config config =
      Good({"--listen-client-urls=http://0.0.0.0:1,https://[::]:2,http://127.0.0.1:3",
            "--cert-file=c", "--key-file=k"});
  ASSERT_EQ(config.advertise_client_urls.size(), 3U);
  EXPECT_THAT(config.advertise_client_urls[0], StartsWith("http://"));
  EXPECT_THAT(config.advertise_client_urls[0], EndsWith(":1"));
  EXPECT_THAT(config.advertise_client_urls[0], Not(HasSubstr("0.0.0.0")));
  EXPECT_THAT(config.advertise_client_urls[1], StartsWith("https://"));
  EXPECT_THAT(config.advertise_client_urls[1], EndsWith(":2"));
  EXPECT_THAT(config.advertise_client_urls[1], Not(HasSubstr("[::]")));
  EXPECT_EQ(config.advertise_client_urls[2], "http://127.0.0.1:3");
  ASSERT_EQ(config.warnings.size(), 1U);
  EXPECT_THAT(config.warnings[0], HasSubstr("--advertise-client-urls"));
  EXPECT_THAT(Good({"--listen-client-urls=http://0.0.0.0:1", "--advertise-client-urls=http://a:1"})
                  .advertise_client_urls,
              ElementsAre("http://a:1"));
}

TEST(FlagsTest, ReadsAutoCompactionAsEtcdDoes) {
  const auto of = [](const std::string& mode, const std::string& retention) {
    return Good({"--auto-compaction-mode", mode, "--auto-compaction-retention", retention})
        .compaction;
  };
  EXPECT_EQ(of("periodic", "0").mode, AutoCompaction::Mode::kOff);
  EXPECT_EQ(of("periodic", "2").period, 2h);
  EXPECT_EQ(of("periodic", "90m").period, 90min);
  EXPECT_EQ(of("revision", "1000").revisions, 1000);
  EXPECT_EQ(of("revision", "1000").mode, AutoCompaction::Mode::kRevision);
  EXPECT_EQ(of("revision", "0").mode, AutoCompaction::Mode::kOff);
  EXPECT_THAT(ErrorOf({"--auto-compaction-mode", "revision", "--auto-compaction-retention", "1h"}),
              HasSubstr("number of revisions"));
  EXPECT_THAT(ErrorOf({"--auto-compaction-mode", "sometimes"}), HasSubstr("neither"));
  EXPECT_THAT(ErrorOf({"--auto-compaction-retention", "soon"}), HasSubstr("no time"));
}

TEST(FlagsTest, PrintsVersionAndHelp) {
  const ParsedFlags version = ParseFlags({"--version"});
  EXPECT_EQ(version.exit_code, kExitOk);
  EXPECT_THAT(version.output, StartsWith("jetd Version: 0."));
  EXPECT_THAT(version.output, HasSubstr("\netcd Version: 3.5."));
  const ParsedFlags help = ParseFlags({"--help"});
  EXPECT_EQ(help.exit_code, kExitOk);
  for (const char* part :
       {"Member:", "Security:", "NATS:", "Examples:", "--data-dir", "JETD_DATA_DIR"}) {
    EXPECT_THAT(help.output, HasSubstr(part));
  }
  EXPECT_THAT(help.output, HasSubstr("--max-txn-ops (128)"));
}

}  // namespace
}  // namespace jetd::etcdapi
