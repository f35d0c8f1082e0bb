// SPDX-License-Identifier: Apache-2.0
// The history suite as a program. Exit code 0: nothing wrong (with --expect: the expected is
// wrong); 1: violations, on stdout; 2: the run could not be done; 77: a program it needs is not
// there.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "base/log.h"
#include "base/strings.h"
#include "conformance/history/history_run.h"

namespace jetd::conformance::history {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;

void Print(const HistoryReport& report, uint64_t seed) {
  std::cout << "seed " << seed << ": " << report.operations << " operations in " << report.seconds
            << " s: " << report.counts.writes << " writes, " << report.counts.reads << " reads, "
            << report.counts.refused << " refused or unanswered reads, " << report.counts.unknown
            << " of unknown fate (" << report.counts.unknown_landed << " of them happened)\n"
            << report.transactions << " transactions, " << report.stream_transactions
            << " of them read from the stream; " << report.watch_events << " watch events on "
            << report.watch_streams << " streams, " << report.progress_answers
            << " progress answers\n"
            << "the search without revisions looked at " << report.searched << " places, "
            << report.undecided << " histories undecided; " << report.counts.too_old
            << " reads of a past too old to judge\n";
  for (const auto& [fault, count] : report.faults) {
    std::cout << "  fault: " << count << " x " << fault << "\n";
  }
  for (const auto& [error, count] : report.errors) {
    std::cout << "  error: " << count << " x " << error << "\n";
  }
  for (const std::string& line : report.violations.lines()) {
    std::cout << "VIOLATION " << line << "\n";
  }
  for (const auto& [kind, count] : report.violations.counts()) {
    std::cout << "  violations: " << count << " x " << kind << "\n";
  }
  std::cout << (report.violations.empty() ? "nothing is wrong" : "something is wrong") << "\n";
}

struct Flags {
  HistoryOptions options;
  bool etcd = false;
  bool keep = false;
  bool faults = false;
  bool trust_server = false;
  std::vector<std::string> expect;
};

void AddFlags(Flags& flags, CLI::App& app) {
  HistoryOptions& options = flags.options;
  app.add_option("--ops", options.operations, "operations in all")->capture_default_str();
  app.add_option("--seed", options.seed, "of requests and faults")->capture_default_str();
  app.add_flag("--faults", flags.faults, "kill, freeze and restart the server and its nats-server");
  app.add_option("--faults-per-window", options.faults, "with --faults")->capture_default_str();
  app.add_option("--window", options.window, "operations between two judgements")
      ->capture_default_str();
  app.add_option("--clients", options.clients)->capture_default_str();
  app.add_option("--groups", options.groups, "of keys")->capture_default_str();
  app.add_option("--group-size", options.group_size, "keys in a group")
      ->capture_default_str()
      ->check(CLI::Range(2, 10));
  app.add_option("--server", options.server.program, "the server (default: $JETD_BIN)");
  app.add_option("--temp-dir", options.server.temp_dir, "for the data (default: $TMPDIR)");
  app.add_flag("--etcd", flags.etcd, "on a real etcd ($JETD_ETCD)");
  app.add_flag("--trust-server", flags.trust_server,
               "do not read jetd's stream, but what it tells of its past (always so with --etcd)");
  app.add_option("--expect", flags.expect,
                 "kinds of violations of which one must be found: to test the test")
      ->delimiter(',');
  app.add_flag("--keep", flags.keep, "keep the data and the server's log");
}

int Judge(const HistoryReport& report, const std::vector<std::string>& expect) {
  if (expect.empty()) return report.violations.empty() ? 0 : 1;
  for (const std::string& kind : expect) {
    if (report.violations.counts().count(kind) > 0) return 0;
  }
  std::cout << "what was expected was not found\n";
  return 1;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app(
      "Many clients put, read, delete and change several keys at once while the server and its\n"
      "nats-server are killed and frozen; then every answer and every watch event is judged.");
  AddFlags(flags, app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  log::Init({.level = log::Level::kError});
  HistoryOptions& options = flags.options;
  options.server.kind = flags.etcd ? ServerKind::kEtcd : ServerKind::kJetd;
  options.read_stream = !flags.etcd && !flags.trust_server;
  if (!flags.faults) options.faults = 0;
  if (flags.keep) options.server.keep = ServerProcess::DataDir::kKeep;
  if (const char* nats = std::getenv("JETD_NATS_SERVER"); nats != nullptr) {
    options.nats_server = nats;
  }
  if (options.server.program.empty()) {
    const auto program = ServerProcess::Find(options.server.kind);
    if (!program.ok()) {
      std::cerr << MessageOf(program.status()) << "\n";
      return 77;
    }
    options.server.program = *program;
  }
  const auto report =
      RunHistory(options, [](const std::string& line) { std::cout << line << std::endl; });
  if (!report.ok()) {
    std::cerr << MessageOf(report.status()) << "\n";
    return 2;
  }
  Print(*report, options.seed);
  if (flags.keep) std::cout << "kept: " << report->data_dir << "\n";
  return Judge(*report, flags.expect);
}

}  // namespace
}  // namespace jetd::conformance::history

int main(int argc, char** argv) {
  try {
    return jetd::conformance::history::Main(argc, argv);
  } catch (...) {  // of CLI11 or the standard library: nothing of this tree throws
    std::fputs("an exception that nobody caught\n", stderr);
    return 2;
  }
}
