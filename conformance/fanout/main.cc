// SPDX-License-Identifier: Apache-2.0
// Many watches as a program. Exit code 0: nothing wrong; 1: violations, on stdout; 2: the run could
// not be done; 77: a program it needs is not there.
#include <chrono>
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "base/strings.h"
#include "conformance/fanout/fanout_run.h"
#include "conformance/program.h"
#include "conformance/server_choice.h"

namespace jetd::conformance {
namespace {

using etcdclient::ServerKind;

struct Limits {
  // 0: not judged.
  int slow_memory_mb = 16;
  int slow_delay_ms = 0;
};

double Mib(size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

void Print(const char* title, const FanoutReport& report) {
  std::cout << title << ": " << report.writes << " writes at " << report.writes_per_second << "/s, "
            << report.events << " events; age p50 " << report.age_p50_ms << " ms, p99 "
            << report.age_p99_ms << " ms, most " << report.age_max_ms << " ms; server "
            << Mib(report.resident_bytes) << " MiB\n";
  for (const std::string& violation : report.violations) {
    std::cout << "VIOLATION " << violation << "\n";
  }
}

// The same load on a fresh server without and with a client that does not read.
absl::StatusOr<bool> CompareSlow(FanoutOptions options, const Limits& limits) {
  options.slow_client = false;
  const auto without = RunFanout(options);
  if (!without.ok()) return without.status();
  Print("without the slow client", *without);
  options.slow_client = true;
  const auto with = RunFanout(options);
  if (!with.ok()) return with.status();
  Print("with the slow client", *with);
  const double cost_mb = Mib(with->resident_bytes) - Mib(without->resident_bytes);
  const double delay_ms = with->age_p99_ms - without->age_p99_ms;
  std::cout << "it costs " << cost_mb << " MiB, and the others " << delay_ms << " ms at p99\n";
  bool good = without->violations.empty() && with->violations.empty();
  if (limits.slow_memory_mb > 0 && cost_mb > limits.slow_memory_mb) {
    std::cout << "VIOLATION more than " << limits.slow_memory_mb << " MiB\n";
    good = false;
  }
  if (limits.slow_delay_ms > 0 && delay_ms > limits.slow_delay_ms) {
    std::cout << "VIOLATION more than " << limits.slow_delay_ms << " ms\n";
    good = false;
  }
  return good;
}

int Main(int argc, char** argv) {
  FanoutOptions options;
  Limits limits;
  bool etcd = false;
  bool slow = false;
  int seconds = 20;
  CLI::App app(
      "Opens many watches, writes at a steady rate, and checks that each watch sees each of its\n"
      "events once, in order.");
  app.add_option("--connections", options.connections, "each with one stream")
      ->capture_default_str();
  app.add_option("--watches", options.watches, "on each stream")->capture_default_str();
  app.add_option("--groups", options.load.groups, "of keys; watches and writes take turns on them")
      ->capture_default_str();
  app.add_option("--rate", options.load.writes_per_second, "writes a second")
      ->capture_default_str();
  app.add_option("--value-bytes", options.load.value_bytes)->capture_default_str();
  app.add_option("--seconds", seconds, "of writing")->capture_default_str();
  app.add_flag("--slow", slow,
               "twice, the second time with one more client that watches all and does not read");
  app.add_option("--slow-memory-mb", limits.slow_memory_mb,
                 "what that client may cost the server; 0: only tell")
      ->capture_default_str();
  app.add_option("--slow-delay-ms", limits.slow_delay_ms,
                 "what it may cost the others at p99; 0: only tell")
      ->capture_default_str();
  app.add_option("--server", options.server.program, "the server (default: $JETD_BIN)");
  app.add_option("--temp-dir", options.server.temp_dir, "for the data (default: $TMPDIR)");
  app.add_flag("--etcd", etcd, "on a real etcd ($JETD_ETCD)");
  if (const auto end = ReadFlags(&app, argc, argv); end.has_value()) return *end;
  options.time = std::chrono::seconds(seconds);
  options.server.kind = etcd ? ServerKind::kEtcd : ServerKind::kJetd;
  if (const auto end = ChooseServer(options.server.kind, &options.server.program); end.has_value())
    return *end;
  AllowManyDescriptors();
  absl::StatusOr<bool> good = false;
  if (slow) {
    good = CompareSlow(options, limits);
  } else {
    const auto report = RunFanout(options);
    if (report.ok()) Print("fan-out", *report);
    good = report.ok() ? absl::StatusOr<bool>(report->violations.empty()) : report.status();
  }
  if (!good.ok()) {
    std::cerr << MessageOf(good.status()) << "\n";
    return kExitNotDone;
  }
  return *good ? kExitGood : kExitWrong;
}

}  // namespace
}  // namespace jetd::conformance

int main(int argc, char** argv) {
  return jetd::conformance::RunProgram(argc, argv, jetd::conformance::Main);
}
