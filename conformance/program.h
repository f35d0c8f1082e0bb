// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_PROGRAM_H_
#define JETD_CONFORMANCE_PROGRAM_H_

#include <optional>

#include "CLI/App.hpp"
#include "absl/status/status.h"

// What the programs of this room have in common: their exit codes, and what comes before their
// work.
namespace jetd::conformance {

inline constexpr int kExitGood = 0;      // nothing is wrong
inline constexpr int kExitWrong = 1;     // violations, on stdout
inline constexpr int kExitNotDone = 2;   // the run could not be done, or the command line is wrong
inline constexpr int kExitSkipped = 77;  // something that it needs is not there

// Reads the command line. An exit code if that is all: help was asked for, and is on stdout, or
// something is wrong, which one line on stderr says.
[[nodiscard]] std::optional<int> ReadFlags(CLI::App* app, int argc, char** argv);

// A run that could not be done: says why on stderr. The exit code: kExitSkipped for NotFound, which
// is a program or a file system that is not there.
[[nodiscard]] int TellNotDone(const absl::Status& why);

// As many descriptors as the system lets this process have, and the servers that it starts.
void AllowManyDescriptors();

// For main(): calls `run` and returns its exit code, kExitNotDone after an exception.
[[nodiscard]] int RunProgram(int argc, char** argv, int (*run)(int argc, char** argv)) noexcept;

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_PROGRAM_H_
