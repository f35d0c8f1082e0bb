// SPDX-License-Identifier: Apache-2.0
// The simulation as a program. Exit code 0: nothing was wrong; 1: something was, which is on stdout
// with the end of the seed's trace; 2: the command line is wrong. A CHECK of jetd's ends it as it
// does jetd; the seed is the last line on stderr.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "base/log.h"
#include "conformance/program.h"
#include "conformance/sim/runner.h"

namespace jetd::conformance::sim {
namespace {

// For the signal handler alone.
std::atomic<uint64_t> current_seed;

// Nothing but what a signal handler may call.
void OnAbort(int /*signal*/) {
  char text[40] = "aborted at seed ";
  size_t size = 16;
  char digits[20];
  size_t count = 0;
  for (uint64_t seed = current_seed.load(); count == 0 || seed > 0; seed /= 10) {
    digits[count++] = static_cast<char>('0' + seed % 10);
  }
  while (count > 0) text[size++] = digits[--count];
  text[size++] = '\n';
  (void)!write(STDERR_FILENO, text, size);
}

struct Flags {
  uint64_t seeds = 100;
  uint64_t from = 1;
  uint64_t replay = 0;
  bool trace = false;
  std::string server;
  std::string together;
  SimOptions options;
};

void AddFlags(Flags& flags, CLI::App& app) {
  app.add_option("--seeds", flags.seeds, "how many")->capture_default_str();
  app.add_option("--from", flags.from, "the first one")->capture_default_str();
  app.add_option("--steps", flags.options.steps, "of each")->capture_default_str();
  app.add_option("--members", flags.options.members, "that live at a time, at most")
      ->capture_default_str();
  app.add_option("--server", flags.server, "outside, replicated or embedded; else as the seed says")
      ->check(CLI::IsMember({"outside", "replicated", "embedded"}));
  app.add_option("--together", flags.together,
                 "yes or no: members on a server of others know of each other; else as the seed "
                 "says")
      ->check(CLI::IsMember({"yes", "no"}));
  app.add_option("--replay", flags.replay, "only this seed");
  app.add_flag("--trace", flags.trace, "a line for all that happens; jetd's own log is on stderr");
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app(
      "jetd's committer, store, watches and leases on a stream in memory, with clients, faults "
      "and\n"
      "time of a seed's making; every answer and every event is judged.");
  AddFlags(flags, app);
  if (const auto end = ReadFlags(&app, argc, argv); end.has_value()) return *end;
  log::Init({.level = flags.trace ? log::Level::kInfo : log::Level::kError});
  std::signal(SIGABRT, OnAbort);
  if (flags.server == "outside") flags.options.server = Server::kOutside;
  if (flags.server == "replicated") flags.options.server = Server::kReplicated;
  if (flags.server == "embedded") flags.options.server = Server::kEmbedded;
  if (!flags.together.empty()) flags.options.together = flags.together == "yes";
  if (flags.trace) {
    flags.options.trace = [](const std::string& line) { std::cout << line << std::endl; };
  }
  if (flags.replay != 0) {
    flags.from = flags.replay;
    flags.seeds = 1;
  }
  const auto begun = std::chrono::steady_clock::now();
  const SeedsReport report = RunSeeds(flags.from, flags.seeds, flags.options,
                                      [](uint64_t seed) { current_seed.store(seed); });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::cout << report.seeds << " seeds in " << took.count() << " s: " << report.tally.Text()
            << "\n";
  if (report.failure.empty()) {
    std::cout << "nothing is wrong\n";
    return kExitGood;
  }
  std::cout << report.failure << "again: --replay " << report.failed_seed << " --steps "
            << flags.options.steps << " --members " << flags.options.members;
  if (!flags.server.empty()) std::cout << " --server " << flags.server;
  if (!flags.together.empty()) std::cout << " --together " << flags.together;
  std::cout << "\n";
  return kExitWrong;
}

}  // namespace
}  // namespace jetd::conformance::sim

int main(int argc, char** argv) {
  return jetd::conformance::RunProgram(argc, argv, jetd::conformance::sim::Main);
}
