// SPDX-License-Identifier: Apache-2.0
// More than the queues hold, as a program. Exit code 0: nothing wrong; 1: violations, on stdout; 2:
// the run could not be done; 77: a program it needs is not there.
#include <iostream>
#include <map>
#include <string>

#include "CLI/CLI.hpp"
#include "base/strings.h"
#include "conformance/bounds/bounds_run.h"
#include "conformance/program.h"
#include "conformance/server_choice.h"

namespace jetd::conformance {
namespace {

using etcdclient::ServerKind;
using Scenario = BoundsOptions::Scenario;

size_t Mib(size_t bytes) { return bytes >> 20U; }

int Main(int argc, char** argv) {
  BoundsOptions options;
  size_t max_mb = 512;
  bool etcd = false;
  CLI::App app(
      "Asks more of a server than its queues hold, and looks at what it answers and what memory\n"
      "it takes.");
  app.add_option("--scenario", options.scenario,
                 "burst: --count puts and reads at once, while nats-server stands still\n"
                 "slow: --count clients watch and do not read, while --megabytes are written\n"
                 "keys: --megabytes of values, read in pages")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Scenario>{
          {"burst", Scenario::kBurst}, {"slow", Scenario::kSlow}, {"keys", Scenario::kKeys}}))
      ->required();
  app.add_option("--count", options.count)->capture_default_str();
  app.add_option("--megabytes", options.megabytes)->capture_default_str();
  app.add_option("--max-mb", max_mb,
                 "the most that the server may ever take of its own; 0: only tell")
      ->capture_default_str();
  app.add_option("--server", options.server.program, "the server (default: $JETD_BIN)");
  app.add_option("--server-flag", options.server.flags, "for the server; may be repeated");
  app.add_option("--temp-dir", options.server.temp_dir, "for the data (default: $TMPDIR)");
  app.add_flag("--etcd", etcd, "on a real etcd ($JETD_ETCD); not for burst");
  if (const auto end = ReadFlags(&app, argc, argv); end.has_value()) return *end;
  options.server.kind = etcd ? ServerKind::kEtcd : ServerKind::kJetd;
  if (const auto end = ChooseServer(options.server.kind, &options.server.program); end.has_value())
    return *end;
  AllowManyDescriptors();
  const auto report = RunBounds(options);
  if (!report.ok()) {
    std::cerr << MessageOf(report.status()) << "\n";
    return kExitNotDone;
  }
  std::cout << report->taken << " taken, " << report->refused << " refused, " << report->unsure
            << " unsure; the server took " << Mib(report->before_bytes) << " MiB before, "
            << Mib(report->peak_bytes) << " MiB at most, " << Mib(report->mapped_bytes)
            << " MiB with pages of its program and files\n";
  bool good = report->violations.empty();
  for (const std::string& violation : report->violations) {
    std::cout << "VIOLATION " << violation << "\n";
  }
  if (max_mb > 0 && Mib(report->peak_bytes) > max_mb) {
    std::cout << "VIOLATION more than " << max_mb << " MiB\n";
    good = false;
  }
  return good ? kExitGood : kExitWrong;
}

}  // namespace
}  // namespace jetd::conformance

int main(int argc, char** argv) {
  return jetd::conformance::RunProgram(argc, argv, jetd::conformance::Main);
}
