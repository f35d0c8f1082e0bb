// SPDX-License-Identifier: Apache-2.0
//
// jetd as its operator meets it: what it says and does at start and at its end.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
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
#include "nlohmann/json.hpp"

namespace jetd::etcdapi {
namespace {

using jetstream::NatsTestServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class MainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!JetdProcess::Available()) GTEST_SKIP() << "JETD_BIN names no jetd";
    std::string pattern = Cat(::testing::TempDir(), "jetd-main-XXXXXX");
    JETD_CHECK(mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] std::string Path(const std::string& name) const { return Cat(folder_, "/", name); }
  [[nodiscard]] std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }
  static std::string FreeUrl(const std::string& scheme) {
    return Cat(scheme, "://127.0.0.1:", FreePort());
  }

  std::string folder_;
};

// jetd on a nats-server that others may use too.
class MainOutsideTest : public MainTest {
 protected:
  void SetUp() override {
    MainTest::SetUp();
    if (IsSkipped()) return;
    nats_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (nats_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  }
  // Flags of a member that can serve.
  [[nodiscard]] std::vector<std::string> Member(const std::string& name) const {
    return {"--name", name, "--nats-url", nats_->url(), "--listen-client-urls", FreeUrl("http")};
  }

  std::unique_ptr<NatsTestServer> nats_;
};

// What is wrong with a member that starts is found before it takes the lead from the one that
// serves.
TEST_F(MainOutsideTest, AWrongCertificateTakesNobodysLead) {
  JetdProcess first(Member("first"));
  ASSERT_TRUE(first.WaitFor("ready to serve client requests")) << first.output();
  const TestCertificate good = MakeTestCertificate("server");
  const TestCertificate other = MakeTestCertificate("other");
  const std::string cert = Write("good.crt", good.cert_pem);
  const std::string key = Write("good.key", good.key_pem);
  const std::string other_key = Write("other.key", other.key_pem);
  const std::string text = Write("text", "no certificate");
  struct Case {
    std::string cert, key, ca, complaint;
  };
  for (const Case& wrong : {
           Case{Path("none"), key, "", "--cert-file: cannot read "},
           Case{text, key, "", "--cert-file: "},
           Case{cert, Path("none"), "", "--key-file: cannot read "},
           Case{cert, text, "", "--key-file: "},
           Case{cert, other_key, "", "--key-file: "},
           Case{cert, key, Path("none"), "--trusted-ca-file: cannot read "},
           Case{cert, key, text, "--trusted-ca-file: "},
       }) {
    std::vector<std::string> flags = {
        "--name",   "second",     "--nats-url", nats_->url(),           "--cert-file",
        wrong.cert, "--key-file", wrong.key,    "--listen-client-urls", FreeUrl("https")};
    if (!wrong.ca.empty()) flags.insert(flags.end(), {"--trusted-ca-file", wrong.ca});
    JetdProcess second(flags);
    EXPECT_EQ(second.WaitForEnd(), kExitFailed) << second.output();
    EXPECT_THAT(second.output(), HasSubstr(wrong.complaint));
    EXPECT_THAT(second.output(), Not(HasSubstr("leading in term")));
  }
  first.Signal(SIGTERM);
  EXPECT_EQ(first.WaitForEnd(), kExitOk);
  EXPECT_THAT(first.output(), Not(HasSubstr("no longer leading")));
}

TEST_F(MainOutsideTest, SaysThatNamesMustDiffer) {
  JetdProcess first(Member("same"));
  ASSERT_TRUE(first.WaitFor("ready to serve client requests")) << first.output();
  JetdProcess second(Member("same"));
  EXPECT_TRUE(second.WaitFor("following member same in term 1")) << second.output();
  EXPECT_TRUE(first.WaitFor("give each member a --name of its own")) << first.output();
}

TEST_F(MainOutsideTest, SaysWhoTookTheLead) {
  JetdProcess first(Member("first"));
  ASSERT_TRUE(first.WaitFor("ready to serve client requests")) << first.output();
  const std::vector<std::string> flags = Member("second");
  JetdProcess second(flags);
  ASSERT_TRUE(second.WaitFor("ready to serve client requests")) << second.output();
  first.Signal(SIGTERM);
  EXPECT_TRUE(first.WaitFor(Cat("member second at ", flags.back(), " took over in term 2")))
      << first.output();
  EXPECT_TRUE(second.WaitFor("leading in term 2")) << second.output();
  EXPECT_EQ(first.WaitForEnd(), kExitOk);
}

TEST_F(MainOutsideTest, SaysWhatASlowRequestWaitedFor) {
  std::vector<std::string> flags = Member("a");
  flags.insert(flags.end(), {"--warning-unary-request-duration=100ms", "--log-format=json"});
  const std::string address = flags[5].substr(std::size("http://") - 1);
  JetdProcess jetd(flags);
  ASSERT_TRUE(jetd.WaitFor("ready to serve client requests")) << jetd.output();
  const auto kv =
      etcdserverpb::KV::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  const auto put = [&kv](std::chrono::milliseconds patience) {
    etcdserverpb::PutRequest request;
    request.set_key("/secret-key");
    request.set_value("secret-value");
    etcdserverpb::PutResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patience);
    return kv->Put(&context, request, &response).error_code();
  };
  // The first one also asks how much room there is.
  ASSERT_EQ(put(std::chrono::minutes(1)), grpc::StatusCode::OK);
  nats_->Freeze();
  // The client gives up; jetd does not.
  EXPECT_EQ(put(std::chrono::seconds(1)), grpc::StatusCode::DEADLINE_EXCEEDED);
  nats_->Thaw();
  ASSERT_TRUE(jetd.WaitFor("ms for NATS to take the record")) << jetd.output();
  EXPECT_THAT(jetd.output(), HasSubstr("\"msg\":\"slow request: etcdserverpb.KV/Put took "));
  EXPECT_THAT(jetd.output(), Not(HasSubstr("secret")));
}

// By which the operator of NATS sees whose connection it is.
TEST_F(MainTest, ItsConnectionsHaveTheNamesOfBucketAndMember) {
  const int port = FreePort();
  const auto nats =
      NatsTestServer::StartFrom("JETD_NATS_SERVER", Cat("http: \"127.0.0.1:", port, "\"\n"));
  if (nats == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  JetdProcess jetd({"--name", "a", "--bucket", "tenant", "--nats-url", nats->url(),
                    "--listen-client-urls", FreeUrl("http")});
  ASSERT_TRUE(jetd.WaitFor("ready to serve client requests")) << jetd.output();
  EXPECT_THAT(Get({.port = port, .path = "/connz"}).body, HasSubstr("\"jetd/tenant/a\""));
}

// Names of a process's threads.
std::vector<std::string> ThreadsOf(pid_t pid) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(Cat("/proc/", pid, "/task"))) {
    std::ifstream file(entry.path() / "comm");
    std::getline(file, names.emplace_back());
  }
  return names;
}

TEST_F(MainOutsideTest, ServesMetricsWhereItIsTold) {
  const TestCertificate ca = MakeTestCertificate("ca");
  const TestCertificate cert = MakeTestCertificate("server", &ca);
  const std::string ca_file = Write("ca.crt", ca.cert_pem);
  const int plain = FreePort();
  const int secure = FreePort();
  std::vector<std::string> flags = Member("a");
  const std::string urls = Cat("http://127.0.0.1:", plain, ",https://127.0.0.1:", secure);
  flags.insert(flags.end(),
               {"--listen-metrics-urls", urls, "--metrics=extensive", "--cert-file",
                Write("s.crt", cert.cert_pem), "--key-file", Write("s.key", cert.key_pem)});
  JetdProcess jetd(flags);
  ASSERT_TRUE(jetd.WaitFor("ready to serve client requests")) << jetd.output();
  EXPECT_THAT(ThreadsOf(jetd.pid()), ::testing::Contains("http"));
  const HttpAnswer ready = Get({.port = plain, .path = "/readyz?verbose"});
  EXPECT_EQ(ready.status, 200);
  EXPECT_THAT(ready.body, HasSubstr("[+]durability ok: one replica: a power cut"));
  const HttpAnswer page = Get({.port = secure, .path = "/metrics", .ca_file = ca_file});
  EXPECT_EQ(page.status, 200);
  for (const char* line :
       {"\njetd_power_cuts_to_lose_a_write 1\n", "\netcd_server_has_leader 1\n",
        "\njetd_stream_replicas 1\n", "# TYPE grpc_server_handling_seconds histogram\n"}) {
    EXPECT_THAT(page.body, HasSubstr(line));
  }
  jetd.Signal(SIGTERM);
  EXPECT_EQ(jetd.WaitForEnd(), kExitOk) << jetd.output();
}

TEST_F(MainOutsideTest, WithoutMetricsThereIsNoThreadForThem) {
  JetdProcess jetd(Member("a"));
  ASSERT_TRUE(jetd.WaitFor("ready to serve client requests")) << jetd.output();
  EXPECT_THAT(ThreadsOf(jetd.pid()), Not(::testing::Contains("http")));
}

TEST_F(MainOutsideTest, AMetricsUrlThatIsTakenTakesNobodysLead) {
  const std::string url = FreeUrl("http");
  std::vector<std::string> flags = Member("first");
  flags.insert(flags.end(), {"--listen-metrics-urls", url});
  JetdProcess first(flags);
  ASSERT_TRUE(first.WaitFor("ready to serve client requests")) << first.output();
  flags = Member("second");
  flags.insert(flags.end(), {"--listen-metrics-urls", url});
  JetdProcess second(flags);
  EXPECT_EQ(second.WaitForEnd(), kExitFailed);
  EXPECT_THAT(second.output(),
              HasSubstr(Cat("cannot listen on ", url, ": Address already in use")));
  EXPECT_THAT(second.output(), Not(HasSubstr("leading in term")));
}

grpc::Status SetNoSpace(const std::shared_ptr<grpc::Channel>& channel,
                        etcdserverpb::AlarmRequest::AlarmAction action) {
  etcdserverpb::AlarmRequest request;
  request.set_action(action);
  request.set_alarm(etcdserverpb::NOSPACE);
  etcdserverpb::AlarmResponse response;
  grpc::ClientContext context;
  return etcdserverpb::Maintenance::NewStub(channel)->Alarm(&context, request, &response);
}

// The lines of a log, by what has happened.
std::multimap<std::string, nlohmann::json> ParseLog(const std::string& log) {
  std::multimap<std::string, nlohmann::json> events;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(parsed.is_object() && parsed.contains("ts") && parsed.contains("level") &&
                parsed.contains("msg"))
        << line;
    if (parsed.is_object()) events.emplace(parsed.value("event", ""), parsed);
  }
  return events;
}

TEST_F(MainOutsideTest, JsonLogsHaveWhatHappenedAsMembers) {
  const int port = FreePort();
  JetdProcess jetd({"--name", "a", "--nats-url", nats_->url(), "--listen-client-urls",
                    Cat("http://127.0.0.1:", port), "--log-format", "json", "--log-level", "debug",
                    "--warning-unary-request-duration", "1ms"});
  ASSERT_TRUE(jetd.WaitFor("ready to serve client requests")) << jetd.output();
  const auto channel =
      grpc::CreateChannel(Cat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
  EXPECT_TRUE(SetNoSpace(channel, etcdserverpb::AlarmRequest::ACTIVATE).ok());
  nats_->Kill();
  ASSERT_TRUE(jetd.WaitFor("nats_disconnected")) << jetd.output();
  // Slow, since it waits until NATS is there again: for some seconds, then it is refused.
  std::future<grpc::Status> disarmed = std::async(std::launch::async, [&channel] {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    for (;;) {
      grpc::Status status = SetNoSpace(channel, etcdserverpb::AlarmRequest::DEACTIVATE);
      if (status.ok() || std::chrono::steady_clock::now() > end) return status;
    }
  });
  nats_->Restart();
  const grpc::Status status = disarmed.get();
  EXPECT_TRUE(status.ok()) << status.error_message();
  jetd.Signal(SIGTERM);
  EXPECT_EQ(jetd.WaitForEnd(), kExitOk) << jetd.output();
  const auto events = ParseLog(jetd.output());
  const auto of = [&events](const std::string& name) {
    const auto found = events.find(name);
    EXPECT_NE(found, events.end()) << name;
    return found == events.end() ? nlohmann::json::object() : found->second;
  };
  EXPECT_EQ(of("nats_connected").value("stream", ""), "KV_etcd");
  EXPECT_EQ(of("leading").value("term", 0), 1);
  EXPECT_EQ(of("leading").value("revision", 0), 1);
  EXPECT_EQ(of("ready").value("member", ""), "a");
  EXPECT_EQ(of("ready").value("bucket", ""), "etcd");
  EXPECT_EQ(of("alarm_raised").value("alarm", ""), "NOSPACE");
  EXPECT_EQ(of("alarm_disarmed").value("level", ""), "warn");
  EXPECT_NE(of("nats_disconnected").value("reason", ""), "");
  EXPECT_EQ(of("ending").value("signal", 0), SIGTERM);
  const nlohmann::json slow = of("slow_request");
  EXPECT_EQ(slow.value("method", ""), "etcdserverpb.Maintenance/Alarm");
  EXPECT_NE(slow.value("cause", ""), "");
  EXPECT_TRUE(slow.contains("took_ms") && slow.contains("cause_ms")) << slow;
}

// Probes hear what a start waits for.
TEST_F(MainTest, AStartThatWaitsForNatsIsLiveAndNotReady) {
  const int port = FreePort();
  JetdProcess jetd({"--nats-url", "nats://127.0.0.1:1", "--listen-client-urls", FreeUrl("http"),
                    "--listen-metrics-urls", Cat("http://127.0.0.1:", port)});
  ASSERT_TRUE(jetd.WaitFor("serving metrics")) << jetd.output();
  EXPECT_EQ(Get({.port = port, .path = "/livez"}).status, 200);
  EXPECT_THAT(Get({.port = port, .path = "/readyz"}).body,
              HasSubstr("etcdserver: no leader (waiting for "));
  EXPECT_EQ(Get({.port = port, .path = "/health"}).status, 503);
  jetd.Signal(SIGTERM);
  EXPECT_EQ(jetd.WaitForEnd(), kExitOk) << jetd.output();
}

// No patience mends a file that is not there or holds something else.
TEST_F(MainTest, NatsFilesThatAreOfNoUseEndIt) {
  const TestCertificate good = MakeTestCertificate("client");
  const std::string cert = Write("good.crt", good.cert_pem);
  const std::string key = Write("good.key", good.key_pem);
  const std::string text = Write("text", "Something else\n");
  struct Case {
    std::vector<std::string> flags;
    std::string complaint;
  };
  for (const Case& wrong : {
           Case{{"--nats-creds", Path("none")}, "--nats-creds: cannot read "},
           Case{{"--nats-creds", text}, "--nats-creds: "},
           Case{{"--nats-nkey", Path("none")}, "--nats-nkey: cannot read "},
           Case{{"--nats-nkey", text}, "--nats-nkey: "},
           Case{{"--nats-token-file", Path("none")}, "--nats-token-file: cannot read "},
           Case{{"--nats-token-file", Write("blank", " \n")}, "--nats-token-file: "},
           Case{{"--nats-ca-file", Path("none")}, "--nats-ca-file: cannot read "},
           Case{{"--nats-ca-file", key}, "--nats-ca-file: "},
           Case{{"--nats-cert-file", Path("none"), "--nats-key-file", key}, "--nats-cert-file: "},
           Case{{"--nats-cert-file", cert, "--nats-key-file", text}, "--nats-key-file: "},
       }) {
    std::vector<std::string> flags = {"--nats-url", "nats://127.0.0.1:1", "--listen-client-urls",
                                      FreeUrl("http")};
    flags.insert(flags.end(), wrong.flags.begin(), wrong.flags.end());
    JetdProcess jetd(flags);
    EXPECT_EQ(jetd.WaitForEnd(), kExitFailed) << jetd.output();
    EXPECT_THAT(jetd.output(), HasSubstr(wrong.complaint));
    EXPECT_THAT(jetd.output(), Not(HasSubstr("trying again")));
  }
}

// An empty store beside an etcd's data would look to its clients as if all was gone.
TEST_F(MainTest, BeginsNoStoreInTheFolderOfAnEtcd) {
  if (std::getenv("JETD_NATS_SERVER") == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER is not set";
  std::filesystem::create_directories(Path("data/member/snap"));
  const std::string file = Write("data/member/snap/db", "pages");
  const auto start = [this] {
    return std::make_unique<JetdProcess>(std::vector<std::string>{
        "--data-dir", Path("data"), "--listen-client-urls", FreeUrl("http")});
  };
  auto refused = start();
  EXPECT_EQ(refused->WaitForEnd(), kExitFailed) << refused->output();
  EXPECT_THAT(refused->output(), HasSubstr(Cat("jetctl import --from-snapshot ", file)));
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(Path("data"))) {
    left.push_back(entry.path().filename());
  }
  EXPECT_THAT(left, ElementsAre("member"));
  // A store of jetd's that is there is what counts, as after an import into the same folder.
  std::filesystem::rename(Path("data/member"), Path("member"));
  auto first = start();
  ASSERT_TRUE(first->WaitFor("ready to serve client requests")) << first->output();
  first->Signal(SIGTERM);
  EXPECT_EQ(first->WaitForEnd(), kExitOk) << first->output();
  std::filesystem::rename(Path("member"), Path("data/member"));
  auto again = start();
  EXPECT_TRUE(again->WaitFor("ready to serve client requests")) << again->output();
}

TEST_F(MainTest, ANatsServerThatEndsAtOnceEndsIt) {
  const std::string program = Write("program", "#!/bin/sh\necho it said why >&2\nexit 3\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  JetdProcess jetd({"--nats-server", program, "--data-dir", Path("data"), "--listen-client-urls",
                    FreeUrl("http")});
  EXPECT_EQ(jetd.WaitForEnd(), kExitFailed);
  EXPECT_THAT(jetd.output(), HasSubstr("exit status 3"));
  EXPECT_THAT(jetd.output(), HasSubstr("it said why"));
}

TEST_F(MainTest, AnEmbeddedStartSaysNothingOfItsOwnWaiting) {
  if (std::getenv("JETD_NATS_SERVER") == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER is not set";
  JetdProcess jetd({"--data-dir", Path("data"), "--listen-client-urls", FreeUrl("http")});
  ASSERT_TRUE(jetd.WaitFor("ready to serve client requests")) << jetd.output();
  EXPECT_THAT(jetd.output(), Not(HasSubstr("trying again")));
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string stat;
    std::getline(file, stat);
    // "pid (name) state ppid"
    const size_t name_end = stat.rfind(") ");
    if (name_end == std::string::npos) continue;
    if (std::atoi(stat.c_str() + name_end + 4) == parent)
      children.push_back(std::atoi(stat.c_str()));
  }
  return children;
}

// The next start after a clean end begins there; one with other flags leaves nothing of it.
TEST_F(MainTest, ACleanEndLeavesACheckpoint) {
  if (std::getenv("JETD_NATS_SERVER") == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER is not set";
  const std::string checkpoint = Path("data/values/checkpoint");
  const auto run = [&](const std::string& cache, int signal) {
    JetdProcess jetd({"--data-dir", Path("data"), "--listen-client-urls", FreeUrl("http"),
                      "--value-cache-bytes", cache});
    EXPECT_TRUE(jetd.WaitFor("ready to serve client requests")) << jetd.output();
    EXPECT_FALSE(std::filesystem::exists(checkpoint)) << "used up";
    jetd.Signal(signal);
    EXPECT_EQ(jetd.WaitForEnd(), signal == SIGTERM ? kExitOk : -SIGKILL);
    return jetd.output();
  };
  const std::string began = "began at the checkpoint";
  EXPECT_THAT(run("0", SIGTERM), Not(HasSubstr(began)));
  EXPECT_TRUE(std::filesystem::exists(checkpoint));
  EXPECT_THAT(run("1000000", SIGTERM), HasSubstr(began));
  EXPECT_TRUE(std::filesystem::exists(checkpoint));
  EXPECT_THAT(run("1000000", SIGKILL), HasSubstr(began));
  EXPECT_THAT(run("1000000", SIGTERM), Not(HasSubstr(began)));
  EXPECT_TRUE(std::filesystem::exists(checkpoint));
  EXPECT_THAT(run("all", SIGTERM), Not(HasSubstr(began)));
  EXPECT_FALSE(std::filesystem::exists(checkpoint));
}

// By the state of its process, not by what it does.
TEST_F(MainTest, TheEmbeddedServerIsGoneWithIt) {
  if (std::getenv("JETD_NATS_SERVER") == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER is not set";
  for (const int signal : {SIGTERM, SIGKILL}) {
    JetdProcess jetd({"--data-dir", Path("data"), "--listen-client-urls", FreeUrl("http")});
    ASSERT_TRUE(jetd.WaitFor("ready to serve client requests")) << jetd.output();
    const std::vector<pid_t> children = ChildrenOf(jetd.pid());
    ASSERT_EQ(children.size(), 1U);
    pollfd ended{.fd = static_cast<int>(syscall(SYS_pidfd_open, children[0], 0)), .events = POLLIN};
    ASSERT_GE(ended.fd, 0);
    EXPECT_EQ(poll(&ended, 1, 0), 0);
    jetd.Signal(signal);
    EXPECT_EQ(jetd.WaitForEnd(), signal == SIGTERM ? kExitOk : -SIGKILL);
    const auto begin = std::chrono::steady_clock::now();
    // After an end in order it has gone before. The kernel's word takes a moment: a second is what
    // is promised, and a minute what a machine under load gets here.
    constexpr int kFarTooLongMs = 60'000;
    EXPECT_EQ(poll(&ended, 1, signal == SIGTERM ? 0 : kFarTooLongMs), 1);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    std::cout << "gone " << took.count() << " ms after jetd's end by signal " << signal << "\n";
    close(ended.fd);
  }
}

}  // namespace
}  // namespace jetd::etcdapi
