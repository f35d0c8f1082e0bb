// SPDX-License-Identifier: Apache-2.0
// The input is a command line, an argument a line; then the same as URLs to listen on. What is
// refused is refused in one line.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/fuzz_input.h"
#include "etcdapi/flags.h"
#include "etcdapi/listen_url.h"

namespace jetd::etcdapi {
namespace {

void Try(FuzzInput input) {
  std::vector<std::string> arguments;
  while (!input.empty()) arguments.emplace_back(input.Line());
  const ParsedFlags flags = ParseFlags(arguments);
  JETD_CHECK(flags.config.has_value() == (flags.output.empty() && flags.error.empty()))
      << flags.error;
  JETD_CHECK(flags.error.empty() == (flags.exit_code == kExitOk)) << flags.error;
  for (const std::string& text : arguments) {
    const auto url = ParseListenUrl(text);
    // What is told to clients can be listened on too.
    if (url.ok()) JETD_CHECK(ParseListenUrl(UrlForClients(*url)).ok()) << text;
  }
}

}  // namespace
}  // namespace jetd::etcdapi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  jetd::etcdapi::Try(jetd::FuzzInput(data, size_bytes));
  return 0;
}
