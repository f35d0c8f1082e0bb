// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_COMMAND_H_
#define JETD_CLI_COMMAND_H_

#include <memory>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "cli/output.h"

namespace jetd::cli {

// One subcommand of jetctl. A file of its own, listed in commands.cc; what it does is in a library
// that others can use too, here is only how it is asked for and shown.
class Command {
 public:
  virtual ~Command() = default;

  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual std::string summary() const = 0;  // one line
  // Adds flags, and a footer with examples, to the parser of this subcommand. What is bound to a
  // flag is a field of the command. A command with verbs (`jetctl tenant add`) adds them as
  // subcommands.
  virtual void AddFlags(CLI::App* app) = 0;
  // The flags are read. An exit code, or what went wrong in one line: InvalidArgument for what is
  // wrong with the command line (exit code 2), everything else could not be done (1).
  [[nodiscard]] virtual absl::StatusOr<int> Run(Output* output) = 0;
};

// All of them, in the order of the help.
[[nodiscard]] std::vector<std::unique_ptr<Command>> AllCommands();

}  // namespace jetd::cli

#endif  // JETD_CLI_COMMAND_H_
