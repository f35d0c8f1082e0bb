// SPDX-License-Identifier: Apache-2.0
// The load generator as a program. Exit code 0: every answer was right; 1: some were not; 2: the
// run could not be done, or the command line is wrong.
#include <sys/resource.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/synchronization/mutex.h"
#include "base/strings.h"
#include "bench/phase_spec.h"
#include "bench/report.h"
#include "bench/runner.h"

namespace jetd::bench {
namespace {

constexpr char kIntro[] =
    "Puts load on an etcd endpoint in the shapes of kube-apiserver, checks the answers, and tells\n"
    "what they cost the server.\n";

std::string PhaseHelp() {
  std::string text = "Phases, one after another:";
  for (const std::string& name : PhaseNames()) CatTo(text, " ", name);
  text +=
      "\n"
      "With options: NAME,clients=16,seconds=5,warmup=1,rate=0,ops=0,value=1024,limit=500,\n"
      "watchers=100,namespaces=0,keys=-1,ttl=3600,keep=0\n"
      "\n"
      "  rate=R     open loop: R operations a second, latency from when each was due\n"
      "  ops=N      so many operations instead of so many seconds, no warm-up\n"
      "  limit=0    list: all keys in one answer\n"
      "\n"
      "Example:\n"
      "  load --pid $(pidof jetd) create,ops=10000 update get,rate=2000 watch,watchers=10\n";
  return text;
}

int Main(int argc, char** argv) {
  // gRPC's locks are Abseil's, which the system's build checks for deadlocks at every turn.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  Runner::Options options;
  std::vector<std::string> phases;
  std::string json_file;
  CLI::App app(kIntro);
  app.footer(PhaseHelp());
  app.add_option("--endpoint", options.endpoint, "http://host:port, https://… or unix://path")
      ->capture_default_str();
  app.add_option("--cacert", options.ca_file, "CA of an https endpoint, PEM [the system's]");
  app.add_option("--cert", options.cert_file, "certificate to show there, PEM");
  app.add_option("--key", options.key_file, "its key, PEM");
  app.add_option("--pid", options.pids, "a server to measure, with its descendants; repeatable")
      ->allow_extra_args(false);
  app.add_option("--connections", options.connections, "that clients and watchers share")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  app.add_option("--prefix", options.prefix, "of the keys; nobody else may write there")
      ->capture_default_str();
  app.add_option("--json", json_file, "a file that gets one JSON object a line, one per phase");
  app.add_option("PHASE", phases, "see below")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::cerr << "load: " << error.what() << "; see load --help\n";
    return 2;
  }
  for (const std::string& phase : phases) {
    if (const auto spec = ParsePhase(phase); !spec.ok()) {
      std::cerr << MessageOf(spec.status()) << "\n";
      return 2;
    }
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  std::ofstream json;
  if (!json_file.empty()) json.open(json_file, std::ios::app);
  if (!json) {
    std::cerr << "load: cannot write " << json_file << "\n";
    return 2;
  }
  bool right = true;
  Runner runner(std::move(options));
  for (const std::string& phase : phases) {
    const auto report = runner.Run(phase);
    if (!report.ok()) {
      std::cerr << phase << ": " << MessageOf(report.status()) << "\n";
      return 2;
    }
    std::cout << TextOf(*report) << std::endl;
    if (json.is_open()) json << JsonOf(*report) << std::endl;
    right = right && report->result.errors == 0;
  }
  if (!json) {
    std::cerr << "load: not all of it is in " << json_file << "\n";
    return 2;
  }
  return right ? 0 : 1;
}

}  // namespace
}  // namespace jetd::bench

int main(int argc, char** argv) {
  try {
    return jetd::bench::Main(argc, argv);
  } catch (const std::exception& error) {  // of CLI11 or the standard library
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
