// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_JETCTL_H_
#define JETD_CLI_JETCTL_H_

#include <string>
#include <vector>

#include "cli/output.h"

namespace jetd::cli {

// The whole of jetctl but for main(): reads the command line (`arguments` without the program's
// name) and the environment, runs a command, returns the exit code.
[[nodiscard]] int RunJetctl(const std::vector<std::string>& arguments, Output* output);

}  // namespace jetd::cli

#endif  // JETD_CLI_JETCTL_H_
