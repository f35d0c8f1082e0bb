// SPDX-License-Identifier: Apache-2.0
#include "conformance/program.h"

#include <sys/resource.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "base/strings.h"

namespace jetd::conformance {

std::optional<int> ReadFlags(CLI::App* app, int argc, char** argv) {
  try {
    app->parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& help) {
    return app->exit(help);
  } catch (const CLI::ParseError& error) {
    const std::string name = std::filesystem::path(argv[0]).filename().string();
    std::cerr << name << ": " << error.what() << "; see " << name << " --help\n";
    return kExitNotDone;
  }
}

int TellNotDone(const absl::Status& why) {
  std::cerr << MessageOf(why) << "\n";
  return absl::IsNotFound(why) ? kExitSkipped : kExitNotDone;
}

void AllowManyDescriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int RunProgram(int argc, char** argv, int (*run)(int argc, char** argv)) noexcept {
  try {
    return run(argc, argv);
  } catch (...) {  // of CLI11 or the standard library: nothing of this tree throws
    std::fputs("an exception that nobody caught\n", stderr);
    return kExitNotDone;
  }
}

}  // namespace jetd::conformance
