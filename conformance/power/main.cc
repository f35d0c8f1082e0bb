// SPDX-License-Identifier: Apache-2.0
// The power cuts as a program. Exit code 0: nothing wrong; 1: violations, on stdout; 2: the run
// could not be done; 77: something that it needs is not there, a program or FUSE.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "base/strings.h"
#include "conformance/power/fault.h"
#include "conformance/power/power_run.h"
#include "conformance/program.h"
#include "conformance/server_choice.h"

namespace jetd::conformance::power {
namespace {

using etcdclient::ServerKind;

constexpr int kSelfTestRuns = 10;
constexpr int kSelfTestCuts = 20;

std::string Summary(const PowerReport& report, uint64_t seed) {
  const Ledger::Counts& counts = report.counts;
  return Cat("seed ", seed, ": ", report.cuts, " cuts, ", report.faults, " faults; ", counts.acked,
             " writes answered, ", counts.unknown, " not (", counts.unknown_landed,
             " landed); lost ", counts.lost, ", came back ", counts.came_back, ", half ",
             counts.half, ", else wrong ", counts.other);
}

void Print(const PowerReport& report, uint64_t seed) {
  std::cout << "cuts at:";
  for (const auto& [moment, count] : report.moments) std::cout << " " << moment << " " << count;
  std::cout << "\n";
  for (const auto& [fault, count] : report.fault_kinds) {
    std::cout << "fault: " << fault << " (" << count << ")\n";
  }
  std::cout << "blocks: " << report.blocks_made << " begun, " << report.blocks_removed
            << " removed, " << report.blocks_rewritten << " rewritten; " << report.compactions
            << " compactions; " << report.checkpoints << " checkpoints, "
            << report.checkpoint_starts << " of " << report.starts
            << " starts began at one; revision " << report.revision << "\n";
  for (const std::string& violation : report.violations) {
    std::cout << "VIOLATION " << violation << "\n";
  }
  std::cout << Summary(report, seed) << std::endl;
}

void Add(const PowerReport& more, PowerReport* all) {
  all->cuts += more.cuts;
  all->faults += more.faults;
  for (const auto& [name, count] : more.moments) all->moments[name] += count;
  for (const auto& [name, count] : more.fault_kinds) all->fault_kinds[name] += count;
  all->counts.Add(more.counts);
  all->revision = std::max(all->revision, more.revision);
  all->compactions += more.compactions;
  all->blocks_made += more.blocks_made;
  all->blocks_removed += more.blocks_removed;
  all->blocks_rewritten += more.blocks_rewritten;
  all->checkpoints += more.checkpoints;
  all->checkpoint_starts += more.checkpoint_starts;
  all->starts += more.starts;
  all->violations.insert(all->violations.end(), more.violations.begin(), more.violations.end());
}

// One store after the other, until all cuts and faults were made.
absl::StatusOr<PowerReport> RunStores(const PowerOptions& options, int cuts_per_store) {
  PowerReport all;
  PowerOptions one = options;
  for (bool first = true; first || all.cuts < options.cuts; first = false, ++one.seed) {
    const int left = options.cuts - all.cuts;
    one.cuts = std::min(cuts_per_store, left);
    one.faults = one.cuts == left ? options.faults : 0;
    one.say = [&](const std::string& line) {
      std::cout << "store " << one.seed << ": " << line << std::endl;
    };
    const auto report = RunPower(one);
    if (!report.ok()) return report.status();
    Add(*report, &all);
    std::cout << Summary(*report, one.seed) << std::endl;
    if (options.keep) std::cout << "kept: " << report->folder << std::endl;
    if (options.until_wrong && all.counts.wrong() > 0) break;
    // The cuts behind faults are cuts too.
    if (one.faults > 0) break;
  }
  return all;
}

// With the sync taken out, each run must lose something, or this test sees nothing.
int SelfTest(PowerOptions options) {
  options.no_sync = true;
  options.until_lost = true;
  options.first_cuts = 0;
  options.faults = 0;
  options.cuts = kSelfTestCuts;
  // What is left may be of no use to any server.
  options.patience = std::chrono::seconds(10);
  int caught = 0;
  for (int i = 0; i < kSelfTestRuns; ++i, ++options.seed) {
    const auto report = RunPower(options);
    if (!report.ok()) return TellNotDone(report.status());
    std::cout << "without a sync: " << Summary(*report, options.seed) << std::endl;
    if (report->counts.lost > 0) ++caught;
  }
  std::cout << "self-test: " << caught << " of " << kSelfTestRuns
            << " runs without a sync lost answered writes" << std::endl;
  return caught == kSelfTestRuns ? kExitGood : kExitWrong;
}

int Main(int argc, char** argv) {
  PowerOptions options;
  CLI::App app(
      "Cuts the power of a jetd under load, on a file system that forgets what was not synced, "
      "and\n"
      "compares every key and every event with what was answered.");
  bool self_test = false;
  bool expect_wrong = false;
  int cuts_per_store = 100;
  app.add_option("--cuts", options.cuts, "how often")->capture_default_str();
  app.add_option("--cuts-per-store", cuts_per_store, "then another store begins, from nothing")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--faults", options.faults,
                 Cat("then so many operations that fail with EIO, of ", FaultCount(),
                     " kinds in turn, a cut behind each"))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of writes, cuts and what survives")
      ->capture_default_str();
  app.add_option("--writers", options.writers, "clients that write")->capture_default_str();
  app.add_flag("--no-sync", options.no_sync, "every sync succeeds and does nothing");
  app.add_flag("!--no-data-before-rename", options.data_before_rename,
               "a rename does not write the file's data first");
  app.add_flag("--self-test", self_test,
               "ten runs with --no-sync, each of which must lose an answered write");
  app.add_flag("--expect-wrong", expect_wrong, "exit code 0 if something was wrong, and only then");
  app.add_flag("--until-wrong", options.until_wrong, "end when something was wrong");
  app.add_option("--server", options.server, "jetd (default: $JETD_BIN)");
  app.add_option("--temp-dir", options.temp_dir, "for the mount (default: $TMPDIR)");
  app.add_flag("--keep", options.keep, "keep the server's log");
  if (const auto end = ReadFlags(&app, argc, argv); end.has_value()) return *end;
  if (const auto end = ChooseServer(ServerKind::kJetd, &options.server); end.has_value())
    return *end;
  if (self_test) return SelfTest(options);
  const auto report = RunStores(options, cuts_per_store);
  if (!report.ok()) {
    const bool skip = report.status().code() == absl::StatusCode::kNotFound;
    std::cerr << (skip ? "skipped: " : "") << MessageOf(report.status()) << "\n";
    return skip ? kExitSkipped : kExitNotDone;
  }
  Print(*report, options.seed);
  return (report->counts.wrong() > 0) == expect_wrong ? kExitGood : kExitWrong;
}

}  // namespace
}  // namespace jetd::conformance::power

int main(int argc, char** argv) {
  return jetd::conformance::RunProgram(argc, argv, jetd::conformance::power::Main);
}
