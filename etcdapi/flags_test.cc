// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/flags.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
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
  EXPECT_EQ(config.watch_progress_interval, 10min);
  EXPECT_EQ(config.compaction.mode, AutoCompaction::Mode::kOff);
  EXPECT_TRUE(config.nats.urls.empty());
  EXPECT_TRUE(config.warnings.empty());
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

TEST(FlagsTest, TakesVariablesAndLetsFlagsOverrideThem) {
  ASSERT_EQ(setenv("JETD_NAME", "from-variable", 1), 0);
  EXPECT_EQ(Good({}).name, "from-variable");
  EXPECT_EQ(Good({"--name", "from-flag"}).name, "from-flag");
  ASSERT_EQ(unsetenv("JETD_NAME"), 0);
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
  EXPECT_EQ(config.warnings.size(), 10U);
  EXPECT_EQ(config.warnings[1],
            "--initial-advertise-peer-urls has no effect: jetd has no raft and no peers");
}

TEST(FlagsTest, ForeignFlagsTakeTheirValuesAlong) {
  const Config config =
      Good({"--heartbeat-interval", "100", "--pre-vote", "--name", "x", "--quota-backend-bytes=8"});
  EXPECT_EQ(config.name, "x");
  EXPECT_EQ(config.warnings.size(), 3U);
}

TEST(FlagsTest, RefusesWhatWouldWeakenTheServer) {
  EXPECT_EQ(ErrorOf({"--client-crl-file", "x"}),
            "--client-crl-file of etcd is not supported: revoked certificates would be let in");
}

TEST(FlagsTest, NamesTheNearestFlag) {
  EXPECT_EQ(ErrorOf({"--listen-client-url", "x"}),
            "unknown flag --listen-client-url; did you mean --listen-client-urls?");
  EXPECT_EQ(ErrorOf({"--heartbeat-intervall=5"}),
            "unknown flag --heartbeat-intervall; did you mean --heartbeat-interval?");
  EXPECT_EQ(ErrorOf({"--something-else"}), "unknown flag --something-else; see jetd --help");
  EXPECT_THAT(ErrorOf({"serve"}), StartsWith("\"serve\" is not a flag"));
}

TEST(FlagsTest, ExplainsBadValues) {
  EXPECT_THAT(ErrorOf({"--listen-client-urls", "127.0.0.1:2379"}), HasSubstr("http://"));
  EXPECT_THAT(ErrorOf({"--listen-client-urls", "http://127.0.0.1"}), HasSubstr("port is missing"));
  EXPECT_THAT(ErrorOf({"--listen-client-urls", "http://example.com:1"}),
              HasSubstr("no IP address"));
  EXPECT_THAT(ErrorOf({"--listen-client-urls", "http://127.0.0.1:99999"}), HasSubstr("no port"));
  EXPECT_THAT(ErrorOf({"--listen-client-urls", "https://127.0.0.1:1"}), HasSubstr("--cert-file"));
  EXPECT_THAT(ErrorOf({"--cert-file", "x"}), HasSubstr("--key-file is missing"));
  EXPECT_THAT(ErrorOf({"--client-cert-auth"}), HasSubstr("--trusted-ca-file"));
  EXPECT_THAT(ErrorOf({"--max-txn-ops", "0"}), HasSubstr("at least 1"));
  EXPECT_THAT(ErrorOf({"--max-txn-ops", "many"}), HasSubstr("max-txn-ops"));
  EXPECT_THAT(ErrorOf({"--grpc-keepalive-timeout", "20"}), HasSubstr("write 500ms"));
  EXPECT_THAT(ErrorOf({"--log-level", "loud"}), HasSubstr("--log-level"));
  EXPECT_THAT(ErrorOf({"--nats-url", "http://x"}), HasSubstr("nats://"));
  EXPECT_THAT(ErrorOf({"--nats-url", "user:secret@x:4222"}), Not(HasSubstr("secret")));
  EXPECT_THAT(ErrorOf({"--bucket", "a.b"}), HasSubstr("letters, digits, - and _"));
  EXPECT_THAT(ErrorOf({"--bucket", ""}), HasSubstr("--bucket"));
  EXPECT_THAT(ErrorOf({"--nats-replicas", "3"}), HasSubstr("needs a NATS cluster"));
  EXPECT_THAT(ErrorOf({"--nats-replicas", "2", "--nats-url", "nats://x:1"}),
              HasSubstr("1, 3 or 5"));
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
