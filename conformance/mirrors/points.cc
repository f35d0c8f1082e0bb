// SPDX-License-Identifier: Apache-2.0
// Moments of a random history as a program; see points_run.h. Exit code 0: nothing wrong (with
// --expect: the expected is wrong); 1: violations, on stdout; 2: the run could not be done; 77: a
// program it needs is not there.
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/log.h"
#include "conformance/history/report_text.h"
#include "conformance/mirrors/points_run.h"
#include "conformance/program.h"
#include "conformance/server_choice.h"

namespace jetd::conformance {
namespace {

struct Flags {
  PointsOptions options;
  std::vector<std::string> expect;
};

void AddFlags(Flags& flags, CLI::App& app) {
  PointsOptions& options = flags.options;
  app.add_option("--steps", options.steps, "requests of the client")
      ->capture_default_str()
      ->check(CLI::Range(100, 100'000'000));
  app.add_option("--compactions", options.compactions)->capture_default_str();
  app.add_option("--faults", options.faults,
                 "cuts of the link, kills of jetd and of either nats-server, in turn")
      ->capture_default_str();
  app.add_option("--power-cuts", options.power_cuts,
                 "of the mirror's nats-server, before the others; each takes it a minute");
  app.add_option("--long-cuts", options.long_cuts, "of the cuts, so many last 15 s")
      ->capture_default_str();
  app.add_option("--points", options.points, "random moments, read on both sides")
      ->capture_default_str();
  app.add_option("--restores", options.restores, "of them into a new bucket each")
      ->capture_default_str();
  app.add_option("--served", options.served, "of those by a jetd")->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--server", options.jetd, "jetd (default: $JETD_BIN)");
  app.add_flag("--doctored", options.doctored,
               "alter the client's log at one step: to test the test");
  app.add_option("--expect", flags.expect,
                 "kinds of violations of which one must be found: to test the test")
      ->delimiter(',');
}

void Print(const PointsReport& report, uint64_t seed) {
  std::cout << "seed " << seed << ": " << report.steps << " steps in " << report.write_seconds
            << " s, " << report.revisions << " revisions, compacted at " << report.compacted << "; "
            << report.failed << " calls failed, of which " << report.failed_and_happened
            << " had happened\n";
  for (const auto& [kind, count] : report.faults)
    std::cout << "  " << count << " x " << kind << "\n";
  const PointsReport::PowerCuts& power = report.power;
  if (power.unharmed + power.copied_again + power.with_gap > 0) {
    std::cout << "power cuts of the mirror: " << power.unharmed << " lost nothing, after "
              << power.copied_again << " it copied again what it had lost, after " << power.with_gap
              << " not all of it was left; " << power.gone << " took its stream; "
              << power.records_lost << " records lost, " << power.records_gone
              << " of them for good\n";
  }
  std::cout << "the mirror had all " << report.caught_up_ms << " ms after the last step\n"
            << report.at_origin << " points read at the origin (" << report.not_at_origin
            << " more are gone there, below the compact revision), " << report.at_mirror
            << " at the mirror (which lacks " << report.not_at_mirror << " and says so), in "
            << report.read_seconds << " s; " << report.keys_compared << " keys compared\n"
            << report.restored << " restored into new buckets in " << report.restore_seconds
            << " s, " << report.served << " of them served by a jetd\n";
  history::PrintVerdict({}, report.violations);
}

int Run(Flags& flags) {
  if (const auto end = ChooseServer(etcdclient::ServerKind::kJetd, &flags.options.jetd);
      end.has_value()) {
    return *end;
  }
  const auto report =
      RunPoints(flags.options, [](const std::string& line) { std::cout << line << std::endl; });
  if (!report.ok()) return TellNotDone(report.status());
  Print(*report, flags.options.seed);
  return history::Judge(report->violations, flags.expect);
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app(
      "A random history of a jetd that has a mirror in another domain, with cuts of the link and\n"
      "kills of all programs; then random moments of it, read at the origin and at the mirror and\n"
      "restored, compared with what the only client knows.");
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
