// SPDX-License-Identifier: Apache-2.0
// The crash test as a program. Exit code 0: nothing wrong; 1: violations, on stdout; 2: the run
// could not be done; 77: a program it needs is not there.
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "base/strings.h"
#include "conformance/crash/crash_run.h"
#include "conformance/program.h"
#include "conformance/server_choice.h"

namespace jetd::conformance {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;

void Print(const CrashReport& report, uint64_t seed) {
  std::cout << "seed " << seed << ": " << report.server_kills << " kills of the server, "
            << report.nats_kills << " of its nats-server, " << report.clean_stops
            << " clean stops (" << report.checkpoints << " left a checkpoint)\n"
            << "writes: " << report.ops.acked << " answered, " << report.ops.refused << " refused, "
            << report.ops.unknown << " of unknown fate (" << report.ops.unknown_landed
            << " of them landed)\n"
            << "reads: " << report.reads << "; events: " << report.events << " up to revision "
            << report.revision << "; watch streams: " << report.watch_streams
            << ", progress answers: " << report.progress_answers
            << ", compactions: " << report.compactions << "\n";
  for (const auto& [error, count] : report.errors) {
    std::cout << "  " << count << " x " << error << "\n";
  }
  for (const std::string& violation : report.violations) {
    std::cout << "VIOLATION " << violation << "\n";
  }
  std::cout << (report.violations.empty() ? "nothing is wrong" : "something is wrong") << "\n";
}

int Main(int argc, char** argv) {
  CrashOptions options;
  CLI::App app(
      "Kills jetd and its nats-server while clients write, then compares every key, every event\n"
      "and every answer.");
  bool etcd = false;
  bool keep = false;
  app.add_option("--writers", options.writers, "clients that write")->capture_default_str();
  app.add_option("--watchers", options.watchers, "clients that watch")->capture_default_str();
  app.add_option("--server-kills", options.server_kills, "kill -9 of jetd")->capture_default_str();
  app.add_option("--nats-kills", options.nats_kills, "kill -9 of its nats-server")
      ->capture_default_str();
  app.add_option("--clean-stops", options.clean_stops, "SIGTERM of jetd and a new start")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of writes and kills")->capture_default_str();
  app.add_option("--writes-between", options.writes_between,
                 "answered writes between two kills, at least")
      ->capture_default_str();
  app.add_flag("--compact", options.compact, "compact all the while too");
  app.add_option("--server", options.server.program, "the server (default: $JETD_BIN)");
  app.add_option("--temp-dir", options.server.temp_dir, "for the data (default: $TMPDIR)");
  app.add_flag("--etcd", etcd, "test the test: on a real etcd ($JETD_ETCD)");
  app.add_flag("--keep", keep, "keep the data and the server's log");
  if (const auto end = ReadFlags(&app, argc, argv); end.has_value()) return *end;
  options.server.kind = etcd ? ServerKind::kEtcd : ServerKind::kJetd;
  if (etcd) options.nats_kills = 0;
  if (keep) options.server.keep = ServerProcess::DataDir::kKeep;
  if (const auto end = ChooseServer(options.server.kind, &options.server.program); end.has_value())
    return *end;
  const auto report = RunCrash(options);
  if (!report.ok()) {
    std::cerr << MessageOf(report.status()) << "\n";
    return kExitNotDone;
  }
  Print(*report, options.seed);
  if (keep) std::cout << "kept: " << report->data_dir << "\n";
  return report->violations.empty() ? kExitGood : kExitWrong;
}

}  // namespace
}  // namespace jetd::conformance

int main(int argc, char** argv) {
  return jetd::conformance::RunProgram(argc, argv, jetd::conformance::Main);
}
