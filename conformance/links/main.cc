// SPDX-License-Identifier: Apache-2.0
//
// Reads a bucket over a slow link, and says how long that took.
//
//   read_over_link --records 2000 --value 1024 --rate 50000 --rate 1000000 [--leaf]
#include <cstdio>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "base/log.h"
#include "base/strings.h"
#include "conformance/links/link_reading.h"
#include "conformance/program.h"

namespace jetd::conformance {
namespace {

int Run(int argc, char** argv) {
  CLI::App app("Reads a bucket over a slow link, and says how long that took.");
  LinkReading::Options options{.records = 2000};
  std::vector<size_t> rates;
  bool leaf = false, verbose = false;
  app.add_option("--records", options.records, "in the bucket")->capture_default_str();
  app.add_option("--value", options.value_bytes, "bytes of each value")->capture_default_str();
  app.add_option("--rate", rates, "bytes a second; 0: no limit")->required();
  app.add_option("--nats-config", options.nats_config, "a line of the nats-server's configuration");
  app.add_flag("--leaf", leaf, "the link is a leaf node's, and the reader is behind it");
  app.add_flag("--verbose", verbose, "say what the reader does");
  if (const auto code = ReadFlags(&app, argc, argv)) return *code;
  log::Init({.level = verbose ? log::Level::kDebug : log::Level::kError});
  if (leaf) options.link = LinkReading::Options::Link::kLeafNode;
  const auto reading = LinkReading::Prepare(options);
  if (reading == nullptr) return TellNotDone(absl::NotFoundError("JETD_NATS_SERVER is not set"));
  int wrong = 0;
  for (const size_t rate : rates) {
    const LinkReading::Report report = reading->Read(rate);
    const bool whole = report.status.ok() && report.records == options.records;
    if (!whole) ++wrong;
    std::printf(
        "%s: at %zu bytes/s %llu records, %.1f MB, %.1f kB up, in %.2f s, %.2f s of CPU %s\n",
        whole ? "read" : "NOT READ", rate, static_cast<unsigned long long>(report.records),
        static_cast<double>(report.bytes_down) / 1e6, static_cast<double>(report.bytes_up) / 1e3,
        report.seconds, report.cpu_seconds,
        report.status.ok() ? "" : report.status.ToString().c_str());
    std::fflush(stdout);
  }
  return wrong == 0 ? kExitGood : kExitWrong;
}

}  // namespace
}  // namespace jetd::conformance

int main(int argc, char** argv) {
  return jetd::conformance::RunProgram(argc, argv, jetd::conformance::Run);
}
