// SPDX-License-Identifier: Apache-2.0
// The history suite as a program. Exit code 0: nothing wrong (with --expect: the expected is
// wrong); 1: violations, on stdout; 2: the run could not be done; 77: a program it needs is not
// there.
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "base/log.h"
#include "base/strings.h"
#include "conformance/history/history_run.h"
#include "conformance/history/process_world.h"
#include "conformance/history/report_text.h"
#include "conformance/program.h"
#include "conformance/server_choice.h"

namespace jetd::conformance::history {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;

struct Flags {
  HistoryOptions options;
  ProcessWorld::Options world{.faults = 4};
  bool etcd = false;
  bool keep = false;
  bool faults = false;
  bool trust_server = false;
  size_t small_disk_mb = 0;
  std::vector<std::string> expect;
};

void AddFlags(Flags& flags, CLI::App& app) {
  HistoryOptions& options = flags.options;
  ProcessWorld::Options& world = flags.world;
  app.add_option("--ops", options.operations, "operations in all")->capture_default_str();
  app.add_option("--seed", options.seed, "of requests and faults")->capture_default_str();
  app.add_flag("--faults", flags.faults, "kill, freeze and restart the server and its nats-server");
  app.add_option("--faults-per-window", world.faults, "with --faults")->capture_default_str();
  app.add_option("--window", options.window, "operations between two judgements")
      ->capture_default_str();
  app.add_option("--clients", options.clients)->capture_default_str();
  app.add_option("--groups", options.groups, "of keys")->capture_default_str();
  app.add_option("--group-size", options.group_size, "keys in a group")
      ->capture_default_str()
      ->check(CLI::Range(2, 10));
  app.add_option("--server", world.server.program, "the server (default: $JETD_BIN)");
  app.add_option("--temp-dir", world.server.temp_dir, "for the data (default: $TMPDIR)");
  app.add_option("--small-disk-mb", flags.small_disk_mb,
                 "put the data on a disk of that size, and fill it now and then");
  app.add_flag("--etcd", flags.etcd, "on a real etcd ($JETD_ETCD)");
  app.add_flag("--trust-server", flags.trust_server,
               "do not read jetd's stream, but what it tells of its past (always so with --etcd)");
  app.add_option("--expect", flags.expect,
                 "kinds of violations of which one must be found: to test the test")
      ->delimiter(',');
  app.add_flag("--keep", flags.keep, "keep the data and the server's log");
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app(
      "Many clients put, read, delete and change several keys at once while the server and its\n"
      "nats-server are killed and frozen; then every answer and every watch event is judged.");
  AddFlags(flags, app);
  if (const auto end = ReadFlags(&app, argc, argv); end.has_value()) return *end;
  log::Init({.level = log::Level::kError});
  ProcessWorld::Options& world = flags.world;
  world.seed = flags.options.seed;
  world.patience = flags.options.patience;
  world.server.kind = flags.etcd ? ServerKind::kEtcd : ServerKind::kJetd;
  world.read_stream = !flags.etcd && !flags.trust_server;
  if (!flags.faults) world.faults = 0;
  if (flags.keep) world.server.keep = ServerProcess::DataDir::kKeep;
  if (const char* nats = std::getenv("JETD_NATS_SERVER"); nats != nullptr) {
    world.nats_server = nats;
  }
  if (const auto end = ChooseServer(world.server.kind, &world.server.program); end.has_value())
    return *end;
  std::unique_ptr<SmallDisk> disk;
  if (flags.small_disk_mb > 0) {
    auto made = SmallDisk::Make(flags.small_disk_mb << 20U);
    if (!made.ok()) {
      std::cerr << MessageOf(made.status()) << "\n";
      return kExitSkipped;
    }
    disk = *std::move(made);
    world.disk = disk.get();
    world.server.temp_dir = disk->folder();
  }
  ProcessWorld servers(world);
  const auto report = RunHistory(flags.options, servers,
                                 [](const std::string& line) { std::cout << line << std::endl; });
  if (!report.ok()) {
    std::cerr << MessageOf(report.status()) << "\n";
    return kExitNotDone;
  }
  Print(*report, flags.options.seed);
  if (flags.keep) std::cout << "kept: " << servers.data_dir() << "\n";
  return Judge(report->violations, flags.expect);
}

}  // namespace
}  // namespace jetd::conformance::history

int main(int argc, char** argv) {
  return jetd::conformance::RunProgram(argc, argv, jetd::conformance::history::Main);
}
