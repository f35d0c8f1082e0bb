// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/metrics_page.h"

#include <chrono>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "base/etcdpb/rpc.pb.h"
#include "base/strings.h"
#include "etcdapi/process_figures.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

const google::protobuf::MethodDescriptor* MethodOf(const char* service, const char* method) {
  const auto* file = etcdserverpb::RangeRequest::descriptor()->file();
  return file->FindServiceByName(service)->FindMethodByName(method);
}

RpcFigures Rpc(const char* service, const char* method) {
  RpcTally tally;
  tally.method = MethodOf(service, method);
  return FiguresOf(tally);
}

TEST(MetricsPageTest, WritesWhatCollectorsRead) {
  Figures f;
  f.has_leader = true;
  f.revision = 123'456'789;
  f.server_version = "3.5.30";
  const std::string page = MetricsPage(f);
  EXPECT_THAT(page, HasSubstr("# TYPE etcd_server_has_leader gauge\netcd_server_has_leader 1\n"));
  EXPECT_THAT(page, HasSubstr("\netcd_debugging_mvcc_current_revision 123456789\n"));
  EXPECT_THAT(page, HasSubstr("\netcd_server_version{server_version=\"3.5.30\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("# TYPE etcd_server_leader_changes_seen_total counter\n"));
}

// A name that comes twice is an error to Prometheus, and all of the page is lost.
TEST(MetricsPageTest, NamesEachMetricOnce) {
  Figures f;
  f.rpcs = {Rpc("KV", "Range"), Rpc("KV", "Put")};
  f.rpcs[0].seconds.emplace();
  f.rpcs[1].seconds.emplace();
  f.syncs.emplace();
  f.files_doubted = true;
  f.stream.emplace();
  f.health.checks[{"livez", "a"}].succeeded = 1;
  f.health.checks[{"readyz", "a"}].failed = 1;
  std::istringstream lines(MetricsPage(f));
  std::set<std::string> names, samples;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(names.insert(line.substr(7, line.find(' ', 7) - 7)).second) << line;
    } else if (!line.starts_with("#")) {
      EXPECT_TRUE(samples.insert(line.substr(0, line.rfind(' '))).second) << line;
    }
  }
  EXPECT_GT(names.size(), 60U);
}

TEST(MetricsPageTest, SaysWhetherTheServersFilesWereDoubted) {
  Figures f;
  EXPECT_THAT(MetricsPage(f), Not(HasSubstr("jetd_stream_files_doubted")));
  f.files_doubted = false;
  EXPECT_THAT(MetricsPage(f), HasSubstr("\njetd_stream_files_doubted 0\n"));
  f.files_doubted = true;
  EXPECT_THAT(MetricsPage(f), HasSubstr("\njetd_stream_files_doubted 1\n"));
}

TEST(MetricsPageTest, AddsUpHistograms) {
  Figures f;
  f.timings.durable.Observe(milliseconds(1));
  f.timings.durable.Observe(milliseconds(3));
  f.timings.durable.Observe(std::chrono::seconds(60));
  const std::string page = MetricsPage(f);
  const std::string name = "\netcd_disk_backend_commit_duration_seconds";
  EXPECT_THAT(page, HasSubstr(Cat(name, "_bucket{le=\"0.0005\"} 0")));
  EXPECT_THAT(page, HasSubstr(Cat(name, "_bucket{le=\"0.001\"} 1")));
  EXPECT_THAT(page, HasSubstr(Cat(name, "_bucket{le=\"0.004\"} 2")));
  EXPECT_THAT(page, HasSubstr(Cat(name, "_bucket{le=\"8.192\"} 2")));
  EXPECT_THAT(page, HasSubstr(Cat(name, "_bucket{le=\"+Inf\"} 3")));
  EXPECT_THAT(page, HasSubstr(Cat(name, "_count 3")));
  EXPECT_THAT(page, HasSubstr(Cat(name, "_sum 60.004")));
}

TEST(MetricsPageTest, CountsRpcsByCode) {
  RpcTally tally;
  tally.method = MethodOf("Watch", "Watch");
  tally.started = 5;
  tally.CountEnd(rpc::Code::kOk);
  tally.CountEnd(rpc::Code::kCancelled);
  tally.CountEnd(rpc::Code::kCancelled);
  tally.CountEnd(rpc::Code::kUnauthenticated);
  tally.CountEnd(static_cast<rpc::Code>(99));
  tally.bytes_received = 7;
  Figures f;
  f.rpcs = {FiguresOf(tally)};
  const std::string page = MetricsPage(f);
  const std::string labels =
      R"(grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"})";
  EXPECT_THAT(page, HasSubstr(Cat("\ngrpc_server_started_total{", labels, " 5\n")));
  for (const auto& [code, count] :
       {std::pair("OK", 1), std::pair("Canceled", 2), std::pair("Unauthenticated", 1),
        std::pair("Unknown", 1), std::pair("Unavailable", 0)}) {
    EXPECT_THAT(page, HasSubstr(Cat("\ngrpc_server_handled_total{grpc_code=\"", code, "\",", labels,
                                    " ", count, "\n")));
  }
  EXPECT_THAT(page, HasSubstr("\netcd_network_client_grpc_received_bytes_total 7\n"));
  EXPECT_THAT(page, Not(HasSubstr("grpc_server_handling_seconds")));
}

TEST(MetricsPageTest, NamesTheKindsOfRpcs) {
  EXPECT_EQ(Rpc("KV", "Range").type, "unary");
  EXPECT_EQ(Rpc("KV", "RangeStream").type, "server_stream");
  EXPECT_EQ(Rpc("Lease", "LeaseKeepAlive").type, "bidi_stream");
  EXPECT_EQ(Rpc("Maintenance", "Snapshot").type, "server_stream");
}

TEST(MetricsPageTest, FailedWritesAreFailedProposals) {
  RpcTally put;
  put.method = MethodOf("KV", "Put");
  put.CountEnd(rpc::Code::kUnavailable);
  put.CountEnd(rpc::Code::kResourceExhausted);
  RpcTally range;
  range.method = MethodOf("KV", "Range");
  range.CountEnd(rpc::Code::kUnavailable);
  Figures f;
  f.rpcs = {FiguresOf(put), FiguresOf(range)};
  EXPECT_THAT(MetricsPage(f), HasSubstr("\netcd_server_proposals_failed_total 1\n"));
}

TEST(MetricsPageTest, SaysHowManyPowerCutsAreTooMany) {
  const auto line = [](bool synced, int replicas) {
    Figures f;
    f.log.synced = synced;
    f.log.replicas = replicas;
    const std::string page = MetricsPage(f);
    const std::string name = "\njetd_power_cuts_to_lose_a_write ";
    const size_t at = page.find(name);
    return at == page.npos ? std::string() : page.substr(at + name.size(), 1);
  };
  EXPECT_EQ(line(true, 1), "0");
  EXPECT_EQ(line(false, 1), "1");
  EXPECT_EQ(line(false, 3), "2");
  EXPECT_EQ(line(false, 5), "3");
}

TEST(MetricsPageTest, TellsOfMirrors) {
  Figures f;
  EXPECT_THAT(MetricsPage(f), Not(HasSubstr("jetd_mirror_lag_records")));
  f.mirrors.resize(3);
  f.mirrors[0] = {.name = "a",
                  .domain = "dr",
                  .fit = jetstream::MirrorState::Fit::kFits,
                  .reached = StreamSeq(90),
                  .last = StreamSeq(100),
                  .lag_ns = 2'500'000'000};
  f.mirrors[1] = {.name = "b", .domain = "x", .fit = jetstream::MirrorState::Fit::kOther};
  f.mirrors[2] = {.name = "c", .domain = "y"};
  f.committer.mirrors_overtaken = 7;
  const std::string page = MetricsPage(f);
  EXPECT_THAT(page, HasSubstr("\njetd_mirror_lag_records{domain=\"dr\",mirror=\"a\"} 10\n"));
  EXPECT_THAT(page, HasSubstr("\njetd_mirror_lag_seconds{domain=\"dr\",mirror=\"a\"} 2.5\n"));
  EXPECT_THAT(page, HasSubstr("\njetd_mirror_fits{domain=\"x\",mirror=\"b\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("\njetd_mirror_up{domain=\"y\",mirror=\"c\"} 0\n"));
  // What is not known, or means nothing, is not said: never lag 0.
  for (const char* name : {"lag_records", "lag_seconds"}) {
    for (const char* mirror : {"{domain=\"x\"", "{domain=\"y\""}) {
      EXPECT_THAT(page, Not(HasSubstr(Cat("jetd_mirror_", name, mirror))));
    }
  }
  EXPECT_THAT(page, HasSubstr("\njetd_mirror_overtaken_records_total 7\n"));
}

TEST(MetricsPageTest, TellsWhatWasComparedWithMirrors) {
  Figures f;
  EXPECT_THAT(MetricsPage(f), Not(HasSubstr("jetd_mirror_verified_sequence")));
  f.mirror_audits.resize(2);
  f.mirror_audits[0] = {
      .name = "a", .domain = "dr", .verified = StreamSeq(90), .verified_ms = 2'500, .records = 77};
  f.mirror_audits[1] = {.name = "b", .domain = "x", .differences = 3};
  const std::string page = MetricsPage(f);
  EXPECT_THAT(page, HasSubstr("\njetd_mirror_verified_sequence{domain=\"dr\",mirror=\"a\"} 90\n"));
  EXPECT_THAT(
      page,
      HasSubstr("\njetd_mirror_verified_timestamp_seconds{domain=\"dr\",mirror=\"a\"} 2.5\n"));
  EXPECT_THAT(page,
              HasSubstr("\njetd_mirror_compared_records_total{domain=\"dr\",mirror=\"a\"} 77\n"));
  EXPECT_THAT(page, HasSubstr("\njetd_mirror_differences{domain=\"x\",mirror=\"b\"} 3\n"));
  EXPECT_THAT(page, Not(HasSubstr("jetd_mirror_verified_timestamp_seconds{domain=\"x\"")));
}

TEST(MetricsPageTest, NoQuotaIsNeverReached) {
  Figures f;
  EXPECT_THAT(MetricsPage(f), HasSubstr("\netcd_server_quota_backend_bytes +Inf\n"));
  f.quota_bytes = 8 << 20;
  EXPECT_THAT(MetricsPage(f), HasSubstr("\netcd_server_quota_backend_bytes 8388608\n"));
}

TEST(MetricsPageTest, TellsOfAlarms) {
  Figures f;
  f.alarms = {"CORRUPT"};
  const std::string page = MetricsPage(f);
  EXPECT_THAT(page, HasSubstr("\njetd_alarm{type=\"CORRUPT\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\njetd_alarm{type=\"NOSPACE\"} 0\n"));
}

TEST(ProcessFiguresTest, SaysWhatTheSystemSays) {
  const ProcessFigures figures = ReadProcessFigures();
  EXPECT_GT(figures.resident_bytes, 1U << 20U);
  EXPECT_GE(figures.virtual_bytes, figures.resident_bytes);
  EXPECT_GE(figures.open_fds, 3U);
  EXPECT_GT(figures.max_fds, figures.open_fds);
  EXPECT_GE(figures.threads, 1U);
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_LE(figures.start_time_seconds, now + 1);
  // This test's process is not a day old.
  EXPECT_GT(figures.start_time_seconds, now - 86'400);
}

}  // namespace
}  // namespace jetd::etcdapi
