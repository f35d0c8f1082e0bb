// SPDX-License-Identifier: Apache-2.0
//
// The differential suite as a program. Exit code 0: no difference, everything occurred that must;
// 1: a difference, or a row of the table is 0, or a mutant was not found; 2: it could not run;
// 77: etcd or the server under test is not there.
#include <cstdint>
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "base/strings.h"
#include "conformance/differential/mutant.h"
#include "conformance/differential/suite.h"

namespace jetd::conformance::differential {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;

// The least share of requests, in percent, that must change something.
constexpr double kLeastChanged = 70.0;
// Requests within which a mutant must be found.
constexpr int64_t kMutantBudget = 20'000;

struct Flags {
  SuiteOptions suite;
  bool against_itself = false;
  bool self_test = false;
  bool quick = false;
  bool list_mutants = false;
};

double Percent(int64_t part, int64_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

void Print(const Finding& finding, const Flags& flags) {
  std::cout << "\ndifference at seed " << finding.seed << ", step " << finding.step << ": "
            << finding.what << "\n  call:   " << finding.call << "\n  etcd:   " << finding.etcd
            << "\n  server: " << finding.server << "\n  replay: differential --seeds 1 --seed "
            << finding.seed << " --requests " << finding.step;
  if (flags.against_itself) std::cout << " --against-itself";
  if (!flags.suite.mutant.empty()) std::cout << " --mutant " << flags.suite.mutant;
  std::cout << std::endl;
}

absl::Status FindPrograms(Flags& flags) {
  SuiteOptions& suite = flags.suite;
  suite.server_kind = flags.against_itself ? ServerKind::kEtcd : ServerKind::kJetd;
  if (suite.etcd_program.empty()) {
    auto found = ServerProcess::Find(ServerKind::kEtcd);
    if (!found.ok()) return found.status();
    suite.etcd_program = *found;
  }
  if (flags.against_itself) suite.server_program = suite.etcd_program;
  if (suite.server_program.empty()) {
    auto found = ServerProcess::Find(ServerKind::kJetd);
    if (!found.ok()) return found.status();
    suite.server_program = *found;
  }
  return absl::OkStatus();
}

int RunAll(Flags& flags) {
  flags.suite.on_seed = [&](uint64_t seed, const RunResult& run) {
    std::cout << "seed " << seed << ": " << run.requests << " requests, "
              << static_cast<int>(Percent(run.changed, run.requests)) << " % changed something, "
              << (run.findings.empty() ? "no difference" : "a difference") << std::endl;
    for (const Finding& finding : run.findings) Print(finding, flags);
  };
  const auto result = RunSuite(flags.suite);
  if (!result.ok()) {
    std::cerr << "differential: " << result.status() << "\n";
    return 2;
  }
  std::cout << "\nwhat occurred, and how often:\n";
  result->coverage.Print(std::cout);
  int code = result->findings.empty() ? 0 : 1;
  if (!flags.quick) {
    for (const std::string& row : result->coverage.Missing()) {
      // Two etcds have no RangeStream.
      if (flags.against_itself && row.find("RangeStream") != std::string::npos) continue;
      std::cout << "never occurred: " << row << "\n";
      code = 1;
    }
  }
  const double changed = Percent(result->changed, result->requests);
  if (changed < kLeastChanged) {
    std::cout << "less than " << kLeastChanged << " % changed something\n";
    code = 1;
  }
  std::cout << result->seeds << " seeds, " << result->requests << " requests, " << changed
            << " % changed something, " << result->findings.size() << " differences\n";
  return code;
}

int RunSelfTest(Flags& flags) {
  flags.suite.first_only = true;
  flags.suite.seeds = kMutantBudget / flags.suite.requests;
  int missed = 0;
  for (const MutantInfo& info : AllMutants()) {
    flags.suite.mutant = std::string(info.name);
    const auto result = RunSuite(flags.suite);
    if (!result.ok()) {
      std::cerr << "differential: " << result.status() << "\n";
      return 2;
    }
    const bool found = !result->findings.empty();
    if (!found) ++missed;
    std::cout << info.name << " (" << info.what << "): "
              << (found ? Cat("found after ", result->requests, " requests, by ",
                              result->findings[0].call.substr(0, 60), ": ",
                              result->findings[0].what.substr(0, 80))
                        : Cat("not found in ", result->requests, " requests"))
              << std::endl;
  }
  std::cout << AllMutants().size() << " mutants, " << missed << " not found\n";
  return missed == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Compares a server with etcd, request by request.", "differential"};
  SuiteOptions& suite = flags.suite;
  app.add_option("--etcd", suite.etcd_program, "etcd 3.5 (default: $JETD_ETCD)");
  app.add_option("--server", suite.server_program, "the server under test (default: $JETD_BIN)");
  app.add_option("--server-flag", suite.server_flags, "one more flag for the server");
  app.add_option("--seeds", suite.seeds, "runs, each on fresh servers")->capture_default_str();
  app.add_option("--seed", suite.first_seed, "the first seed")->capture_default_str();
  app.add_option("--requests", suite.requests, "requests of a run")->capture_default_str();
  app.add_option("--jobs", suite.jobs, "runs at a time")->capture_default_str();
  app.add_option("--mutant", suite.mutant, "make the server wrong in one way");
  app.add_option("--temp-dir", suite.temp_dir, "where the servers keep their data");
  app.add_flag("--first", suite.first_only, "stop at the first difference");
  app.add_flag("--quick", flags.quick, "a short run: rows of the table may be 0");
  app.add_flag("--against-itself", flags.against_itself, "etcd on both sides");
  app.add_flag("--self-test", flags.self_test, "every mutant must be found");
  app.add_flag("--list-mutants", flags.list_mutants, "names of the mutants");
  app.add_flag("--verbose", suite.verbose, "print every step");
  CLI11_PARSE(app, argc, argv);
  if (flags.list_mutants) {
    for (const MutantInfo& info : AllMutants()) std::cout << info.name << ": " << info.what << "\n";
    return 0;
  }
  if (const absl::Status found = FindPrograms(flags); !found.ok()) {
    std::cerr << "differential: " << MessageOf(found) << "\n";
    return 77;
  }
  return flags.self_test ? RunSelfTest(flags) : RunAll(flags);
}

}  // namespace
}  // namespace jetd::conformance::differential

int main(int argc, char** argv) { return jetd::conformance::differential::Main(argc, argv); }
