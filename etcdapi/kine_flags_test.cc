// SPDX-License-Identifier: Apache-2.0
//
// Command lines as others write them for kine and for etcd, whole. They were read in the sources
// that are named, and are here as those would fill them in.
#include "etcdapi/kine_flags.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/strings.h"
#include "etcdapi/flags.h"
#include "etcdapi/kine_endpoint.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Arguments = std::vector<std::string>;

Config Good(const Arguments& arguments) {
  ParsedFlags parsed = ParseFlags(arguments);
  EXPECT_EQ(parsed.error, "");
  EXPECT_TRUE(parsed.config.has_value());
  return parsed.config.value_or(Config());
}

std::string ErrorOf(const Arguments& arguments) {
  const ParsedFlags parsed = ParseFlags(arguments);
  EXPECT_FALSE(parsed.config.has_value());
  EXPECT_EQ(parsed.exit_code, kExitUsage);
  return parsed.error;
}

// kine's `--endpoint`, where nothing else is said.
Config Endpoint(const std::string& text) {
  return Good({"--endpoint", text, "--listen-address=127.0.0.1:1"});
}
std::string EndpointError(const std::string& text) {
  const std::string error = ErrorOf({"--endpoint", text});
  EXPECT_THAT(error, StartsWith("--endpoint: "));
  return error.substr(std::string("--endpoint: ").size());
}

// k0s main (of 2026, with kine 0.16), pkg/component/controller/kine.go: "2379" is a part of the
// socket's name.
TEST(KineFlagsTest, TakesWhatK0sWritesForKine) {
  const Config config = Good(
      {"--compact-interval=0", "--endpoint=nats://10.0.0.5:4222?bucket=k0s&noEmbed",
       "--listen-address=unix:///run/k0s/kine/kine.sock:2379", "--metrics-bind-address=:2380"});
  EXPECT_THAT(config.nats.urls, ElementsAre("nats://10.0.0.5:4222"));
  EXPECT_EQ(config.nats.bucket, "k0s");
  ASSERT_EQ(config.listen_client_urls.size(), 1U);
  EXPECT_EQ(config.listen_client_urls[0].path(), "/run/k0s/kine/kine.sock:2379");
  EXPECT_TRUE(config.listen_client_urls[0].owner_only);
  EXPECT_FALSE(config.listen_client_urls[0].tls);
  ASSERT_EQ(config.listen_metrics_urls.size(), 1U);
  EXPECT_THAT(config.listen_metrics_urls[0].address, AnyOf("[::]:2380", "0.0.0.0:2380"));
  EXPECT_EQ(config.watch_progress_interval, 5s) << "kine's default";
  EXPECT_THAT(config.warnings, ElementsAre(StartsWith("--compact-interval has no effect: ")));
}

// k0smotron main (of 2026) hands its kineDataSourceURL to k0s, as above. Its storage type "nats"
// asks for a nats-server inside of kine
// (internal/controller/k0smotron.io/k0smotroncluster_nats.go).
TEST(KineFlagsTest, WhatK0smotronWritesForANatsServerInsideKineIsRefused) {
  EXPECT_EQ(EndpointError("nats://?serverConfig=/etc/nats/nats.conf&replicas=3"),
            "serverConfig is for kine's own nats-server; jetd configures its one itself. Run a "
            "nats-server with that file and write its address");
}

// Kamaji main (of 2026), internal/builders/controlplane/deployment.go, its NATS driver with TLS.
TEST(KineFlagsTest, TakesWhatKamajiWritesForKine) {
  const Config config =
      Good({"--ca-file=/certs/ca.crt", "--cert-file=/certs/server.crt",
            "--endpoint=nats://kamaji:p%40ss@nats.kamaji-system.svc:4222?bucket=default_a&noEmbed",
            "--key-file=/certs/server.key", "--listen-address=unix:///uds/kine"});
  EXPECT_THAT(config.nats.urls, ElementsAre("nats://nats.kamaji-system.svc:4222"));
  EXPECT_EQ(config.nats.user, "kamaji");
  EXPECT_EQ(config.nats.password, "p@ss");
  EXPECT_EQ(config.nats.bucket, "default_a");
  EXPECT_EQ(config.nats.ca_file, "/certs/ca.crt");
  EXPECT_EQ(config.nats.cert_file, "/certs/server.crt");
  EXPECT_EQ(config.nats.key_file, "/certs/server.key");
  EXPECT_EQ(config.tls.cert_file, "");
  EXPECT_EQ(config.listen_client_urls[0].path(), "/uds/kine");
  EXPECT_THAT(config.listen_metrics_urls, IsEmpty());
  EXPECT_THAT(config.warnings,
              ElementsAre("--endpoint: everybody on this machine could read the user in its URL "
                          "until jetd hid it; give the URL by KINE_ENDPOINT, or use credsFile"));
}

// Kamaji makes the bucket of its endpoint itself, as an ordinary one of NATS's, which jetd refuses:
// spec.controlPlane.deployment.extraArgs.kine of a tenant names another one.
TEST(KineFlagsTest, TheBucketInJetdsWordsCountsForMore) {
  EXPECT_EQ(Good({"--bucket=jetd-a", "--endpoint=nats://u:p@nats:4222?bucket=default_a&noEmbed",
                  "--listen-address=unix:///uds/kine"})
                .nats.bucket,
            "jetd-a");
}

// kine has no flag for a name, and a tenant may have several, each in a pod or on a machine.
TEST(KineFlagsTest, MembersAreCalledAsTheirHosts) {
  char host[HOST_NAME_MAX + 1] = {};
  ASSERT_EQ(gethostname(host, HOST_NAME_MAX), 0);
  EXPECT_EQ(Endpoint("nats://h").name, host);
  EXPECT_EQ(Endpoint("nats://?noEmbed").name, host);
  EXPECT_EQ(Good({"--endpoint=nats://h", "--listen-address=127.0.0.1:1", "--name=a"}).name, "a");
  // Its own store: the folder's name comes from the member's.
  EXPECT_EQ(Endpoint("nats://").name, "default");
}

// vcluster 0.2x (main of 2026), pkg/k8s/k8s.go, StartKineWithDone.
TEST(KineFlagsTest, TakesWhatVclusterWritesForKine) {
  const Config config =
      Good({"--endpoint=nats://n1:4222,nats://n2:4222", "--ca-file=/ca", "--key-file=/key",
            "--cert-file=/cert", "--metrics-bind-address=0.0.0.0:2381",
            "--listen-address=unix:///data/kine.sock"});
  EXPECT_THAT(config.nats.urls, ElementsAre("nats://n1:4222", "nats://n2:4222"));
  EXPECT_EQ(config.nats.bucket, "kine");
  EXPECT_EQ(config.nats.key_file, "/key");
  EXPECT_EQ(config.listen_client_urls[0].path(), "/data/kine.sock");
  EXPECT_EQ(config.listen_metrics_urls[0].address, "0.0.0.0:2381");
  EXPECT_THAT(config.warnings, IsEmpty());
}

// k3s (pkg/cluster/cluster.go) runs kine as a library: it hands over no arguments. To jetd it comes
// as a client, `--datastore-endpoint http://` or https://, and unix:// with a kine of 2026.
TEST(KineFlagsTest, KinesOwnExamples) {
  // kine 0.16, scripts/test-run-nats and examples/nats.md.
  const Config config = Good({"--endpoint",
                              "nats://172.17.0.2:4222?noEmbed&bucket=kine&replicas=3"
                              "&slowMethod=500ms&revHistory=10",
                              "--listen-address", "tcp://127.0.0.1:2379", "--debug", "--log-format",
                              "plain", "--server-cert-file", "s.crt", "--server-key-file=s.key",
                              "--metrics-bind-address", "127.0.0.1:9", "--skip-verify=false"});
  EXPECT_EQ(config.nats.replicas, 3);
  EXPECT_EQ(config.slow_request, 500ms);
  EXPECT_EQ(config.log.level, log::Level::kDebug);
  EXPECT_EQ(config.listen_client_urls[0].text, "https://127.0.0.1:2379");
  EXPECT_FALSE(config.listen_client_urls[0].owner_only);
  EXPECT_EQ(config.listen_metrics_urls[0].text, "https://127.0.0.1:9");
  EXPECT_EQ(config.tls.cert_file, "s.crt");
  EXPECT_EQ(config.nats.cert_file, "");
}

TEST(KineFlagsTest, MetricsMayGoWithoutTls) {
  const Arguments tls = {"--endpoint=nats://h", "--listen-address=unix:///s",
                         "--server-cert-file=c", "--server-key-file=k"};
  const auto with = [&tls](Arguments more) {
    more.insert(more.end(), tls.begin(), tls.end());
    return Good(more);
  };
  EXPECT_EQ(with({}).listen_client_urls[0].text, "unixs:///s");
  EXPECT_THAT(with({"--metrics-bind-address=0"}).listen_metrics_urls, IsEmpty());
  const Config plain = with({"--metrics-bind-address=127.0.0.1:9", "--metrics-ignore-tls-config"});
  EXPECT_EQ(plain.listen_metrics_urls[0].text, "http://127.0.0.1:9");
  EXPECT_THAT(ErrorOf({"--endpoint=nats://h", "--server-cert-file=c"}),
              HasSubstr("--server-key-file go together"));
}

TEST(KineFlagsTest, EndpointsOfEveryKind) {
  EXPECT_THAT(Endpoint("nats://h").nats.urls, ElementsAre("nats://h:4222"));
  EXPECT_THAT(Endpoint("nats://[::1]:5").nats.urls, ElementsAre("nats://[::1]:5"));
  EXPECT_THAT(Endpoint("nats://:5").nats.urls, ElementsAre("nats://127.0.0.1:5"));
  EXPECT_THAT(Endpoint("nats://?noEmbed").nats.urls, ElementsAre("nats://127.0.0.1:4222"));
  EXPECT_THAT(Endpoint("jetstream://h:1").nats.urls, ElementsAre("nats://h:1"));
  const Config token = Endpoint("nats://s3cret@h?credsFile=/c%20d.creds");
  EXPECT_EQ(token.nats.token, "s3cret");
  EXPECT_EQ(token.nats.user, "");
  EXPECT_EQ(token.nats.creds_file, "/c d.creds");
  // What is written in jetd's words counts.
  EXPECT_EQ(Good({"--endpoint=nats://h?bucket=a", "--bucket=b"}).nats.bucket, "b");
}

TEST(KineFlagsTest, WithoutAHostItsOwnServerRuns) {
  const Config config = Endpoint("nats://?dontListen&stdoutLogging&bucket=a");
  EXPECT_THAT(config.nats.urls, IsEmpty());
  EXPECT_EQ(config.nats.bucket, "a");
  EXPECT_THAT(config.warnings,
              ElementsAre(StartsWith("--endpoint: dontListen has no effect: "),
                          StartsWith("--endpoint: stdoutLogging has no effect: "),
                          StartsWith("--endpoint: it has no host: jetd runs a nats-server")));
}

TEST(KineFlagsTest, EndpointsThatAreRefused) {
  for (const char* other : {"mysql://u@tcp(db)/kine", "sqlite:///db", "http://etcd:2379", "kine"}) {
    EXPECT_THAT(EndpointError(other), HasSubstr("it must start with nats://"));
    EXPECT_THAT(EndpointError(other), HasSubstr("jetctl import"));
  }
  EXPECT_THAT(EndpointError("nats://h?serverConfig=/x"), HasSubstr("write its address"));
  EXPECT_THAT(EndpointError("nats://?dataDir=/x"), HasSubstr("give --data-dir"));
  EXPECT_THAT(EndpointError("nats://h?dontListen"), HasSubstr("one that runs already"));
  EXPECT_THAT(EndpointError("nats://u:p@?bucket=b"), HasSubstr("a user and no host"));
  EXPECT_EQ(EndpointError("nats://h?buckett=x"),
            "\"buckett\" is no parameter of kine's NATS endpoint; did you mean bucket?");
  EXPECT_THAT(EndpointError("nats://h?bucket=a.b"), HasSubstr("letters, digits"));
  EXPECT_THAT(EndpointError("nats://h?replicas=2"), HasSubstr("none of 1, 3 or 5"));
  EXPECT_THAT(EndpointError("nats://h?slowMethod=slow"), HasSubstr("no time"));
  EXPECT_THAT(EndpointError("nats://h,mysql://i"), HasSubstr("URL number 2 must start"));
  EXPECT_THAT(EndpointError("nats://h,nats://i?bucket=b"), HasSubstr("behind the first URL"));
  EXPECT_THAT(EndpointError("nats://h,nats://u:secret@i"), HasSubstr("in the first URL"));
  for (const char* secret : {"nats://u:secret@h?x", "nats://u:sec ret@h", "nats://u:secret@h:port",
                             "nats://h,nats://u:secret@i", "secret@h"}) {
    EXPECT_THAT(EndpointError(secret), Not(HasSubstr("ret")));
  }
}

class ContextTest : public ::testing::Test {
 protected:
  void TearDown() override { unlink(path_.c_str()); }
  Config Read(const std::string& json, const std::string& more = "") {
    std::ofstream(path_) << json;
    return Endpoint(Cat("nats://?contextFile=", path_, more));
  }
  std::string Error(const std::string& json) {
    std::ofstream(path_) << json;
    return EndpointError(Cat("nats://?contextFile=", path_));
  }
  const std::string path_ = Cat(::testing::TempDir(), "jetd-context-", getpid(), ".json");
};

TEST_F(ContextTest, SaysHowToConnect) {
  setenv("HOME", "/h", 1);
  const Config config = Read(
      R"({"description": "d", "url": "nats://u:p@n1:1,nats://n2", "token": "", "creds": "~/c",
          "nkey": "", "cert": "/c", "key": "/k", "ca": "/a", "jetstream_domain": "hub",
          "jetstream_api_prefix": "", "tls_first": false, "nsc": null})",
      "&bucket=b");
  EXPECT_THAT(config.nats.urls, ElementsAre("nats://n1:1", "nats://n2:4222"));
  EXPECT_EQ(config.nats.user, "u");
  EXPECT_EQ(config.nats.password, "p");
  EXPECT_EQ(config.nats.bucket, "b");
  EXPECT_EQ(config.nats.creds_file, "/h/c");
  EXPECT_EQ(config.nats.ca_file, "/a");
  EXPECT_EQ(config.nats.cert_file, "/c");
  EXPECT_EQ(config.nats.key_file, "/k");
  EXPECT_EQ(config.nats.domain, "hub");
  EXPECT_EQ(Read(R"({"nkey": "/n"})").nats.nkey_file, "/n");
  EXPECT_THAT(Read(R"({"user": "u", "password": "p"})").nats.urls,
              ElementsAre("nats://127.0.0.1:4222"));
}

TEST_F(ContextTest, WhatJetdCannotDoIsRefused) {
  EXPECT_EQ(Error(R"({"socks_proxy": "x"})"), "contextFile: jetd does not take socks_proxy");
  EXPECT_EQ(Error(R"({"tls_first": true})"), "contextFile: jetd does not take tls_first");
  EXPECT_EQ(Error(R"({"jetstream_api_prefix": "JS.hub"})"),
            "contextFile: jetd does not take jetstream_api_prefix");
  EXPECT_THAT(Error("[]"), HasSubstr("holds no JSON object"));
  EXPECT_THAT(Error(R"({"url": "http://h"})"), HasSubstr("must start with nats://"));
  EXPECT_THAT(EndpointError("nats://?contextFile=/none/x"), HasSubstr("cannot read /none/x"));
  EXPECT_THAT(EndpointError("nats://h?contextFile=/none/x"), HasSubstr("the file names it"));
}

TEST(KineFlagsTest, WhatMeansNothingHereIsSaid) {
  const Arguments none = {"--metrics-enable-profiling",
                          "--emulated-etcd-version=3.5.13",
                          "--datastore-max-idle-connections=1",
                          "--datastore-max-open-connections=1",
                          "--datastore-connection-max-lifetime=",
                          "--slow-sql-threshold=1s",
                          "--slow-sql-warning-threshold=5s",
                          "--poll-batch-size=500",
                          "--identity-provider=aws",
                          "--compact-interval=5m",
                          "--compact-interval-jitter=0",
                          "--compact-timeout=5s",
                          "--compact-min-retain=1000",
                          "--compact-batch-size=1000"};
  for (const std::string& argument : none) {
    const Config config = Good({"--endpoint=nats://h", "--listen-address=127.0.0.1:1", argument});
    ASSERT_EQ(config.warnings.size(), 1U) << argument;
    EXPECT_THAT(config.warnings[0],
                StartsWith(Cat(argument.substr(0, argument.find('=')), " has no effect: ")));
  }
  EXPECT_THAT(ErrorOf({"--endpoint=nats://h", "--skip-verify"}), StartsWith("--skip-verify: "));
  EXPECT_EQ(ErrorOf({"--endpoint"}), "--endpoint needs a value: --endpoint=VALUE; see jetd --help");
  EXPECT_THAT(ErrorOf({"--listen-address=nowhere"}), StartsWith("--listen-address: "));
  EXPECT_THAT(ErrorOf({"--metrics-bind-address=h:9"}), StartsWith("--metrics-bind-address: "));
  EXPECT_EQ(ErrorOf({"--endpoin=nats://h"}), "unknown flag --endpoin; did you mean --endpoint?");
}

// kine listens everywhere by default, without TLS or a password.
TEST(KineFlagsTest, ItListensOnThisMachineOnlyUnlessToldOtherwise) {
  const Config config = Good({"--endpoint=nats://h"});
  EXPECT_EQ(config.listen_client_urls[0].address, "127.0.0.1:2379");
  EXPECT_THAT(config.warnings, ElementsAre(StartsWith("--listen-address is not given: ")));
}

TEST(KineFlagsTest, TakesKinesVariables) {
  setenv("KINE_ENDPOINT", "nats://u:p@h?bucket=a&revHistory=5", 1);
  setenv("KINE_LISTEN_ADDRESS", "127.0.0.1:1", 1);
  setenv("KINE_CERT_FILE", "c", 1);
  setenv("KINE_KEY_FILE", "k", 1);
  const Config config = Good({});
  EXPECT_EQ(config.nats.user, "u");
  EXPECT_EQ(config.nats.bucket, "a");
  EXPECT_EQ(config.nats.cert_file, "c");
  EXPECT_EQ(config.listen_client_urls[0].address, "127.0.0.1:1");
  EXPECT_THAT(config.warnings, ElementsAre(StartsWith("KINE_ENDPOINT: revHistory has no effect")));
  EXPECT_EQ(Good({"--endpoint=nats://h?bucket=b"}).nats.bucket, "b");
  setenv("KINE_ENDPOINT", "mysql://h", 1);
  EXPECT_THAT(ErrorOf({}), StartsWith("KINE_ENDPOINT: jetd keeps its records in NATS"));
  for (const char* name : {"ENDPOINT", "LISTEN_ADDRESS", "CERT_FILE", "KEY_FILE"}) {
    unsetenv(Cat("KINE_", name).c_str());
  }
}

TEST(KineFlagsTest, OfALineOfBothItIsSaidWhichIsMeant) {
  EXPECT_EQ(ErrorOf({"--endpoint=nats://h", "--cert-file=c", "--key-file=k",
                     "--listen-client-urls=https://127.0.0.1:1"}),
            "--cert-file is for NATS in a command line of kine's, and --listen-client-urls is "
            "etcd's; write --nats-cert-file, or --server-cert-file for clients");
  // Without a word of kine's it is etcd's.
  const Config config = Good({"--cert-file=c", "--key-file=k", "--log-format=json",
                              "--listen-client-urls=https://127.0.0.1:1"});
  EXPECT_EQ(config.tls.cert_file, "c");
  EXPECT_EQ(config.watch_progress_interval, 10min);
}

// kubeadm 1.34 (Kubernetes main of 2025), cmd/kubeadm/app/phases/etcd/local.go, for etcd 3.6. What
// it writes for etcd 3.5 is in flags_test.
TEST(EtcdFlagsTest, TakesWhatKubeadmWritesForEtcd36) {
  const Config config = Good({"--advertise-client-urls=https://10.0.0.1:2379",
                              "--cert-file=/pki/server.crt",
                              "--client-cert-auth=true",
                              "--data-dir=/var/lib/etcd",
                              "--feature-gates=InitialCorruptCheck=true",
                              "--initial-advertise-peer-urls=https://10.0.0.1:2380",
                              "--initial-cluster=cp=https://10.0.0.1:2380",
                              "--initial-cluster-state=existing",
                              "--key-file=/pki/server.key",
                              "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379",
                              "--listen-metrics-urls=http://127.0.0.1:2381",
                              "--listen-peer-urls=https://10.0.0.1:2380",
                              "--name=cp",
                              "--peer-cert-file=/pki/peer.crt",
                              "--peer-client-cert-auth=true",
                              "--peer-key-file=/pki/peer.key",
                              "--peer-trusted-ca-file=/pki/ca.crt",
                              "--snapshot-count=10000",
                              "--trusted-ca-file=/pki/ca.crt",
                              "--watch-progress-notify-interval=5s"});
  EXPECT_EQ(config.tls.cert_file, "/pki/server.crt");
  EXPECT_EQ(config.watch_progress_interval, 5s);
}

// k0s main (of 2025), pkg/component/controller/etcd.go.
TEST(EtcdFlagsTest, TakesWhatK0sWritesForEtcd) {
  const Config config = Good(
      {"--advertise-client-urls=https://127.0.0.1:2379",
       "--auth-token=jwt,pub-key=p,priv-key=k,"
       "sign-method=RS512,ttl=10m",
       "--cert-file=/var/lib/k0s/pki/etcd/server.crt",
       "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,"
       "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,"
       "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,"
       "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
       "--client-cert-auth=true", "--data-dir=/var/lib/k0s/etcd", "--enable-pprof=false",
       "--initial-advertise-peer-urls=https://10.0.0.5:2380",
       "--key-file=/var/lib/k0s/pki/etcd/server.key", "--listen-client-urls=https://127.0.0.1:2379",
       "--listen-peer-urls=https://10.0.0.5:2380", "--log-level=info", "--name=node",
       "--peer-cert-file=/var/lib/k0s/pki/etcd/peer.crt", "--peer-client-cert-auth=true",
       "--peer-key-file=/var/lib/k0s/pki/etcd/peer.key",
       "--peer-trusted-ca-file=/var/lib/k0s/pki/etcd/ca.crt", "--tls-min-version=TLS1.2",
       "--trusted-ca-file=/var/lib/k0s/pki/etcd/ca.crt"});
  EXPECT_THAT(config.tls.ciphers,
              StartsWith("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"));
  EXPECT_EQ(config.tls.key_file, "/var/lib/k0s/pki/etcd/server.key");
  // Newer ones listen on a socket too, whose name is as the certificate has it.
  EXPECT_EQ(ParseListenUrl("unixs:///run/k0s/etcd/localhost:2379")->path(),
            "/run/k0s/etcd/localhost:2379");
}

// k0smotron main (of 2025), internal/controller/k0smotron.io/k0smotroncluster_etcd.go.
TEST(EtcdFlagsTest, TakesWhatK0smotronWritesForEtcd) {
  const Config config = Good({"--name",
                              "kmc-0",
                              "--listen-peer-urls=https://0.0.0.0:2380",
                              "--listen-client-urls=https://0.0.0.0:2379",
                              "--advertise-client-urls=https://kmc-0.kmc-etcd:2379",
                              "--initial-advertise-peer-urls=https://kmc-0.kmc-etcd:2380",
                              "--client-cert-auth=true",
                              "--tls-min-version=TLS1.2",
                              "--trusted-ca-file=/var/lib/k0s/pki/etcd/ca.crt",
                              "--cert-file=/var/lib/k0s/pki/etcd/server.crt",
                              "--key-file=/var/lib/k0s/pki/etcd/server.key",
                              "--peer-trusted-ca-file=/var/lib/k0s/pki/etcd/ca.crt",
                              "--peer-key-file=/var/lib/k0s/pki/etcd/peer.key",
                              "--peer-cert-file=/var/lib/k0s/pki/etcd/peer.crt",
                              "--peer-client-cert-auth=true",
                              "--enable-pprof=false",
                              "--auto-compaction-mode=periodic",
                              "--auto-compaction-retention=5m",
                              "--snapshot-count=10000",
                              "--data-dir=/var/lib/k0s/etcd"});
  EXPECT_EQ(config.name, "kmc-0");
  EXPECT_EQ(config.compaction.period, 5min);
  EXPECT_EQ(config.tls.min_version, TlsVersion::k12);
}

// The chart of vcluster (main of 2026), chart/templates/etcd-statefulset.yaml.
TEST(EtcdFlagsTest, TakesWhatVclusterWritesForEtcd) {
  const Config config =
      Good({"--cert-file=/run/config/pki/etcd-server.crt", "--client-cert-auth=true",
            "--data-dir=/var/lib/etcd", "--advertise-client-urls=https://a.b-etcd-headless.c:2379",
            "--initial-advertise-peer-urls=https://a.b-etcd-headless.c:2380",
            "--initial-cluster=a=https://a.b-etcd-headless.c:2380", "--initial-cluster-token=b",
            "--initial-cluster-state=new", "--listen-client-urls=https://0.0.0.0:2379",
            "--listen-metrics-urls=http://0.0.0.0:2381", "--listen-peer-urls=https://0.0.0.0:2380",
            "--key-file=/run/config/pki/etcd-server.key", "--name=a",
            "--peer-cert-file=/run/config/pki/etcd-peer.crt", "--peer-client-cert-auth=true",
            "--peer-key-file=/run/config/pki/etcd-peer.key",
            "--peer-trusted-ca-file=/run/config/pki/etcd-ca.crt", "--snapshot-count=10000",
            "--trusted-ca-file=/run/config/pki/etcd-ca.crt"});
  EXPECT_EQ(config.name, "a");
  EXPECT_THAT(config.advertise_client_urls, ElementsAre("https://a.b-etcd-headless.c:2379"));
}

// The chart of Kamaji's etcd (kamaji-etcd main of 2025), templates/etcd_sts.yaml.
TEST(EtcdFlagsTest, TakesWhatKamajiWritesForEtcd) {
  const Config config =
      Good({"--data-dir=/var/run/etcd",
            "--name=etcd-0",
            "--initial-cluster-state=new",
            "--initial-cluster=etcd-0=https://etcd-0.etcd.kamaji-system.svc:2380",
            "--initial-advertise-peer-urls=https://etcd-0.etcd.kamaji-system.svc:2380",
            "--advertise-client-urls=https://etcd-0.etcd.kamaji-system.svc:2379",
            "--initial-cluster-token=kamaji",
            "--listen-client-urls=https://0.0.0.0:2379",
            "--listen-metrics-urls=http://0.0.0.0:2381",
            "--listen-peer-urls=https://0.0.0.0:2380",
            "--client-cert-auth=true",
            "--peer-client-cert-auth=true",
            "--trusted-ca-file=/etc/etcd/pki/ca.crt",
            "--cert-file=/etc/etcd/pki/server.pem",
            "--key-file=/etc/etcd/pki/server-key.pem",
            "--peer-trusted-ca-file=/etc/etcd/pki/ca.crt",
            "--peer-cert-file=/etc/etcd/pki/peer.pem",
            "--peer-key-file=/etc/etcd/pki/peer-key.pem",
            "--auto-compaction-mode=periodic",
            "--auto-compaction-retention=5m",
            "--snapshot-count=10000",
            "--quota-backend-bytes=8589934592"});
  EXPECT_EQ(config.quota_backend_bytes, 8ULL << 30U);
  EXPECT_EQ(config.compaction.period, 5min);
}

}  // namespace
}  // namespace jetd::etcdapi
