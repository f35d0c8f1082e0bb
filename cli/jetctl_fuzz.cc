// SPDX-License-Identifier: Apache-2.0
// The input is a command line of jetctl, an argument a line. Nothing is begun: every place that it
// could name is taken out.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/fuzz_input.h"
#include "cli/jetctl.h"

namespace jetd::cli {
namespace {

void Try(FuzzInput input) {
  static std::FILE* const nowhere = std::fopen("/dev/null", "w");
  JETD_CHECK(nowhere != nullptr) << "/dev/null";
  std::vector<std::string> arguments;
  while (!input.empty()) arguments.emplace_back(input.Line());
  std::erase_if(arguments, [](const std::string& text) {
    return text.find("-data-dir") != text.npos || text.find("-nats-url") != text.npos ||
           text.find("--state-dir") != text.npos || text.find("--metrics-url") != text.npos;
  });
  Output output(nowhere, nowhere);
  const int exit_code = RunJetctl(arguments, &output);
  JETD_CHECK(exit_code == kExitOk || exit_code == kExitUsage) << exit_code;
}

}  // namespace
}  // namespace jetd::cli

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  unsetenv("JETD_DATA_DIR");
  unsetenv("JETD_NATS_URL");
  unsetenv("JETD_STATE_DIR");
  jetd::cli::Try(jetd::FuzzInput(data, size_bytes));
  return 0;
}
