// SPDX-License-Identifier: Apache-2.0
#include "cli/help_command.h"

#include "CLI/App.hpp"
#include "base/nearest_name.h"
#include "base/strings.h"
#include "cli/flags.h"

namespace jetd::cli {

void HelpCommand::AddFlags(CLI::App* app) {
  app_ = app;
  app->add_option("COMMAND", words_, "The command, and its verb: tenant add");
}

absl::StatusOr<int> HelpCommand::Run(Output* output) {
  const CLI::App* at = app_->get_parent();
  std::string typed = "jetctl";
  for (const std::string& word : words_) {
    const CLI::App* found = nullptr;
    std::vector<std::string> names;
    for (const CLI::App* one : at->get_subcommands([](const CLI::App* /*any*/) { return true; })) {
      if (one->get_name() == word) found = one;
      names.push_back(one->get_name());
    }
    if (found == nullptr) {
      const std::string nearest = NearestName(word, names);
      return Invalid("unknown command \"", word, "\"; ",
                     nearest.empty() ? Cat("see ", typed, " --help")
                                     : Cat("did you mean ", typed, " ", nearest, "?"));
    }
    at = found;
    CatTo(typed, " ", word);
  }
  // Not App::help: of jetctl that would be the help of the command that was typed, which is this.
  output->Print(at->get_formatter()->make_help(at, typed, CLI::AppFormatMode::Normal));
  return kExitOk;
}

}  // namespace jetd::cli
