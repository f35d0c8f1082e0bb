// SPDX-License-Identifier: Apache-2.0
#include "cli/jetctl.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "base/nearest_name.h"
#include "base/strings.h"
#include "cli/command.h"

namespace jetd::cli {
namespace {

constexpr char kIntro[] =
    "jetctl looks after buckets of jetd, an etcd v3 server whose storage is NATS JetStream.";

constexpr char kFooter[] =
    "Every flag can be given as a variable too: JETD_DATA_DIR for --data-dir.\n"
    "`jetctl COMMAND --help` says more of a command.\n"
    "\n"
    "Exit codes: 0 done; 1 it could not be done; 2 the command line is wrong; 3 damage was found.";

class HelpFormatter final : public CLI::Formatter {
 public:
  [[nodiscard]] std::string make_option_opts(const CLI::Option* option) const override {
    const std::string& text = option->get_default_str();
    return text.empty() ? std::string() : Cat(" (", text, ")");
  }
};

std::vector<std::string> FlagsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  }
  return names;
}

std::string Mend(const std::string& nearest, std::string_view prefix, std::string_view help) {
  return nearest.empty() ? Cat("; see ", help) : Cat("; did you mean ", prefix, nearest, "?");
}

// What CLI11 did not understand, as one line: what, why, and what to type instead.
std::string Explain(const CLI::App& app, const CLI::App* command,
                    const std::vector<std::string>& commands, const CLI::ParseError& error) {
  const std::string help = command == nullptr ? std::string("jetctl --help")
                                              : Cat("jetctl ", command->get_name(), " --help");
  const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
  if (extras.empty()) {
    // "--bucket: 1 required TEXT missing"
    const std::string text = error.what();
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
      const std::string flag = text.substr(0, text.find(':'));
      return Cat(flag, " needs a value: ", flag, "=VALUE; see ", help);
    }
    return Cat(text, "; see ", help);
  }
  const std::string& first = extras.front();
  if (first.starts_with("-")) {
    const std::string name = first.substr(std::min(first.find_first_not_of('-'), first.size()));
    const std::string typed = first.substr(0, first.find('='));
    if (command == nullptr)
      return Cat("unknown flag ", typed, "; name a command first, see ", help);
    return Cat("unknown flag ", typed,
               Mend(NearestName(name.substr(0, name.find('=')), FlagsOf(*command)), "--", help));
  }
  if (command != nullptr) {
    return Cat("\"", first, "\" is not a flag, and ", command->get_name(),
               " takes flags only, see ", help);
  }
  return Cat("unknown command \"", first, "\"",
             Mend(NearestName(first, commands), "jetctl ", help));
}

int Run(const std::vector<std::string>& arguments, Output* output) {
  CLI::App app(kIntro, "jetctl");
  app.footer(kFooter);
  app.set_help_flag("-h,--help", "Prints this");
  app.set_version_flag("--version", "jetctl " JETD_VERSION, "Prints the version");
  app.formatter(std::make_shared<HelpFormatter>());
  app.get_formatter()->column_width(36);
  const std::vector<std::unique_ptr<Command>> commands = AllCommands();
  std::vector<std::string> names;
  for (const auto& command : commands) {
    CLI::App* const sub = app.add_subcommand(command->name(), command->summary());
    command->AddFlags(sub);
    names.push_back(command->name());
  }
  const auto chosen = [&app]() -> const CLI::App* {
    const std::vector<CLI::App*> parsed = app.get_subcommands();
    return parsed.empty() ? nullptr : parsed.front();
  };
  try {
    // CLI11 takes them from the back.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    output->Print(app.help());
    return kExitOk;
  } catch (const CLI::CallForVersion& version) {
    output->Print(Cat(version.what(), "\n"));
    return kExitOk;
  } catch (const CLI::ParseError& error) {
    const CLI::App* const command = chosen();
    output->Say(command == nullptr ? "" : command->get_name(), Explain(app, command, names, error));
    return kExitUsage;
  }
  const CLI::App* const command = chosen();
  if (command == nullptr) {
    output->Say("", "name a command, see jetctl --help");
    return kExitUsage;
  }
  const auto run = std::find_if(commands.begin(), commands.end(), [command](const auto& one) {
    return one->name() == command->get_name();
  });
  const absl::StatusOr<int> result = (*run)->Run(output);
  output->EndProgress();
  if (result.ok()) return *result;
  // If it ended because nobody takes its results, that is what there is to say.
  if (!output->Flush().ok()) return kExitFailed;
  output->Say(command->get_name(), MessageOf(result.status()));
  return absl::IsInvalidArgument(result.status()) ? kExitUsage : kExitFailed;
}

}  // namespace

int RunJetctl(const std::vector<std::string>& arguments, Output* output) {
  const int exit_code = Run(arguments, output);
  const absl::Status written = output->Flush();
  if (written.ok()) return exit_code;
  output->Say("", MessageOf(written));
  return exit_code == kExitOk ? kExitFailed : exit_code;
}

}  // namespace jetd::cli
