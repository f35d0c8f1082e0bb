// SPDX-License-Identifier: Apache-2.0
// Faults as a program. Exit code 0: nothing wrong (with --expect: the expected is wrong); 1:
// violations, on stdout; 2: the run could not be done; 77: a program it needs is not there.
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/log.h"
#include "conformance/faults/outside_world.h"
#include "conformance/history/history_run.h"
#include "conformance/history/report_text.h"
#include "conformance/program.h"
#include "conformance/server_choice.h"

namespace jetd::conformance {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;
using history::HistoryOptions;
using history::HistoryReport;

struct Flags {
  HistoryOptions options{.window = 8'000, .clients = 32, .pause = std::chrono::milliseconds(100)};
  OutsideWorld::Options world;
  size_t faults = 60;
  int64_t longest_ms = 60'000;
  int64_t outage_ms = 13'000;
  bool keep = false;
  std::vector<std::string> expect;
};

void AddFlags(Flags& flags, CLI::App& app) {
  HistoryOptions& options = flags.options;
  OutsideWorld::Options& world = flags.world;
  app.add_option("--seed", options.seed, "of requests and faults")->capture_default_str();
  app.add_option("--faults", flags.faults, "in all")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--faults-per-window", world.faults, "between two judgements")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--window", options.window, "operations between two judgements")
      ->capture_default_str();
  app.add_option("--clients", options.clients)->capture_default_str();
  app.add_option("--longest-ms", flags.longest_ms, "of a fault that lasts")->capture_default_str();
  app.add_option("--outage-ms", flags.outage_ms, "every fourth outage lasts so long at least")
      ->capture_default_str();
  app.add_option("--only", world.only, "only faults in whose names one of these occurs")
      ->delimiter(',');
  app.add_option("--nats-servers", world.nats_servers,
                 "1, or a cluster of 3 with the stream on all of them")
      ->capture_default_str()
      ->check(CLI::IsMember({1, 3}));
  app.add_option("--members", world.members, "jetd processes on one bucket")
      ->capture_default_str()
      ->check(CLI::Range(1, 5));
  app.add_option("--server", world.server.program, "jetd (default: $JETD_BIN)");
  app.add_option("--server-flag", world.server.flags, "one more flag of jetd's")
      ->allow_extra_args(false);
  app.add_option("--temp-dir", world.server.temp_dir, "for the data (default: $TMPDIR)");
  app.add_option("--expect", flags.expect,
                 "kinds of violations of which one must be found: to test the test")
      ->delimiter(',');
  app.add_flag("--keep", flags.keep, "keep jetd's data and log");
}

void Print(const OutsideWorld::Counts& counts) {
  const OutageProbe::Counts& outages = counts.outages;
  std::cout << outages.outages << " outages of NATS judged: " << outages.calls
            << " calls, slowest answer " << outages.slowest_first.count()
            << " ms from its start on, " << outages.slowest_later.count() << " ms later; "
            << outages.recoveries << " recoveries, slowest " << outages.slowest_recovery.count()
            << " ms; " << counts.nats_restarts << " restarts of nats-server after a full disk; "
            << counts.connections_cut << " connections cut\n"
            << "leases: " << counts.leases.granted << " granted, " << counts.leases.renewed
            << " renewals, " << counts.leases.asked << " questions, " << counts.leases.revoked
            << " revoked, " << counts.leases.ended << " ended\n";
}

int Run(Flags& flags) {
  OutsideWorld::Options& world = flags.world;
  if (absl::Status named = OutsideWorld::CheckNames(world); !named.ok()) return TellNotDone(named);
  world.seed = flags.options.seed;
  world.patience = flags.options.patience;
  world.longest = std::chrono::milliseconds(flags.longest_ms);
  world.outage = std::chrono::milliseconds(flags.outage_ms);
  if (flags.keep) world.server.keep = ServerProcess::DataDir::kKeep;
  if (const auto end = ChooseServer(ServerKind::kJetd, &world.server.program); end.has_value())
    return *end;
  const size_t windows = (flags.faults + world.faults - 1) / world.faults;
  flags.options.operations = windows * flags.options.window;
  OutsideWorld servers(world);
  if (!servers.lacking().empty()) std::cout << servers.lacking() << "\n";
  auto report = RunHistory(flags.options, servers,
                           [](const std::string& line) { std::cout << line << std::endl; });
  if (!report.ok()) return TellNotDone(report.status());
  servers.Settle();
  report->violations.Merge(servers.TakeViolations());
  history::Print(*report, flags.options.seed);
  Print(servers.counts());
  return Judge(report->violations, flags.expect);
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app(
      "Many clients, watches and leases on a jetd whose nats-server is elsewhere, while both are\n"
      "killed and frozen, the network between all of them is cut, silent, slow or split, and the\n"
      "disk and the account are full; then every answer and every watch event is judged.");
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
