// SPDX-License-Identifier: Apache-2.0
// Several members as a program. Exit code 0: nothing wrong (with --expect: the expected is wrong);
// 1: violations, on stdout; 2: the run could not be done; 77: a program it needs is not there.
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/log.h"
#include "conformance/history/report_text.h"
#include "conformance/members/members_run.h"
#include "conformance/program.h"
#include "conformance/server_choice.h"

namespace jetd::conformance {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;

struct Flags {
  MembersOptions options;
  int64_t patience_s = 60;
  bool keep = false;
  std::vector<std::string> expect;
};

void AddFlags(Flags& flags, CLI::App& app) {
  MembersOptions& options = flags.options;
  Cluster::Options& cluster = options.cluster;
  app.add_option("--members", cluster.members)->capture_default_str()->check(CLI::Range(1, 7));
  app.add_option("--nats-servers", cluster.nats_servers,
                 "1, or a cluster of 3 with the stream on all of them")
      ->capture_default_str()
      ->check(CLI::IsMember({1, 3}));
  app.add_option("--changes", options.changes, "of the leader")->capture_default_str();
  app.add_option("--kinds", options.kinds, "of changes")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::IsMember({"kill", "stop", "freeze", "move"}));
  app.add_option("--reads", options.reads,
                 "linearizable ones in all; 0: nothing but take-overs is measured")
      ->capture_default_str();
  app.add_option("--reads-in-flight", options.reads_in_flight, "through each member at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  app.add_option("--keys", options.keys, "in the store from the start on")->capture_default_str();
  app.add_option(
         "--patience", flags.patience_s,
         "seconds that a start, a stop and an outage may last: a start reads all that a long "
         "run has written")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--failed-moves", options.failed_moves_percent,
                 "how many of a hundred moves may fail, for want of a processor")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  app.add_option("--cold-moves", options.cold_moves,
                 "kill jetd and start one with an empty folder, so many times, and nothing else")
      ->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--server", cluster.server.program, "jetd (default: $JETD_BIN)");
  app.add_option("--server-flag", cluster.server.flags, "one more flag of jetd's")
      ->allow_extra_args(false);
  app.add_option("--temp-dir", cluster.server.temp_dir, "for the data (default: $TMPDIR)");
  app.add_flag("--impostor", options.impostor, "one reader reads another store: to test the test");
  app.add_option("--expect", flags.expect,
                 "kinds of violations of which one must be found: to test the test")
      ->delimiter(',');
  app.add_flag("--keep", flags.keep, "keep jetd's data and logs");
}

double Ms(int64_t ns) { return static_cast<double>(ns) / 1e6; }

void Print(const MembersReport& report, uint64_t seed) {
  std::cout << "seed " << seed << ": " << report.reads << " linearizable reads, " << report.stale
            << " of them stale; " << report.register_writes << " writes of registers; "
            << report.seconds << " s\n";
  for (size_t i = 0; i < report.reads_of.size(); ++i) {
    std::cout << "  reads through m" << i << ": " << report.reads_of[i] << "\n";
  }
  for (const auto& [kind, outage] : report.outages) {
    std::cout << "  " << outage.count() << " x " << kind << ": no write for p50 "
              << Ms(outage.Quantile(0.5)) << " ms, p99 " << Ms(outage.Quantile(0.99))
              << " ms, most " << Ms(outage.max_ns()) << " ms\n";
  }
  if (report.moves.asked() > 0) std::cout << "  " << report.moves.Text() << "\n";
  std::cout << "beats: " << report.beats.answered << " answered, " << report.beats.refused
            << " refused, " << report.beats.unknown << " of unknown fate ("
            << report.beats.unknown_landed << " of them happened)\n"
            << report.watch_events << " events to " << report.watchers << " watchers on "
            << report.watch_streams << " streams\n"
            << "leases: " << report.leases.granted << " granted, " << report.leases.renewed
            << " renewals, " << report.leases.ended << " ended\n";
  history::PrintVerdict(report.errors, report.violations);
}

int Run(Flags& flags) {
  ServerProcess::Options& server = flags.options.cluster.server;
  if (flags.keep) server.keep = ServerProcess::DataDir::kKeep;
  if (const auto end = ChooseServer(ServerKind::kJetd, &server.program); end.has_value())
    return *end;
  flags.options.cluster.patience = std::chrono::seconds(flags.patience_s);
  if (flags.options.cold_moves > 0) flags.options.cluster.members = 1;
  const auto report =
      RunMembers(flags.options, [](const std::string& line) { std::cout << line << std::endl; });
  if (!report.ok()) return TellNotDone(report.status());
  Print(*report, flags.options.seed);
  return history::Judge(report->violations, flags.expect);
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app(
      "Several jetd on one bucket, whose leader is killed, ended, frozen and moved while clients\n"
      "read, write, watch and hold leases through all of them: how long is nobody there to write,\n"
      "is any read stale, is any answered write lost, is any event missed or repeated.");
  AddFlags(flags, app);
  if (const auto end = ReadFlags(&app, argc, argv); end.has_value()) return *end;
  log::Init({.level = log::Level::kError});
  return Run(flags);
}

}  // namespace
}  // namespace jetd::conformance

int main(int argc, char** argv) {
  return jetd::conformance::RunProgram(argc, argv, jetd::conformance::Main);
}
