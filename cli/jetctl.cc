// SPDX-License-Identifier: Apache-2.0
#include "cli/jetctl.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "base/log.h"
#include "base/nearest_name.h"
#include "base/strings.h"
#include "cli/command.h"

namespace jetd::cli {
namespace {

constexpr char kIntro[] =
    "jetctl looks after buckets of jetd, an etcd v3 server whose storage is NATS JetStream.";

constexpr char kFooter[] =
    "The flags that say where a bucket is can be given as variables too: JETD_DATA_DIR for\n"
    "--data-dir, JETD_NATS_URL for --nats-url, and so on, for all that begin with --nats-, for\n"
    "--bucket and --stream. What is typed counts for more. All others are flags only.\n"
    "`jetctl COMMAND --help`, or `jetctl help COMMAND`, says more of a command.\n"
    "\n"
    "Exit codes: 0 done; 1 it could not be done; 2 the command line is wrong; 3 damage was found,\n"
    "in the bucket that was looked at, or in what came of it.";

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

// What was typed of commands and their verbs: "tenant", "add".
struct Chosen {
  const CLI::App* command = nullptr;  // null: none
  const CLI::App* last = nullptr;     // its verb, or the command itself
  std::string name;                   // "tenant add"
};
Chosen ChosenOf(const CLI::App& app) {
  Chosen chosen;
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    if (chosen.command == nullptr) chosen.command = at;
    chosen.last = at;
    CatTo(chosen.name, chosen.name.empty() ? "" : " ", at->get_name());
  }
  return chosen;
}

std::vector<std::string> VerbsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
  return names;
}

bool TakesNames(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) return true;
  }
  return false;
}

// A word that is no flag, where it does not belong.
std::string ExplainWord(const std::string& word, const Chosen& chosen, const std::string& help,
                        const std::vector<std::string>& commands) {
  if (chosen.last == nullptr) {
    return Cat("unknown command \"", word, "\"",
               Mend(NearestName(word, commands), "jetctl ", help));
  }
  const std::vector<std::string> verbs = VerbsOf(*chosen.last);
  if (!verbs.empty()) {
    return Cat("unknown command \"", word, "\"",
               Mend(NearestName(word, verbs), Cat("jetctl ", chosen.name, " "), help));
  }
  if (TakesNames(*chosen.last)) return Cat("\"", word, "\" is one name too many, see ", help);
  return Cat("\"", word, "\" is not a flag, and ", chosen.name, " takes flags only, see ", help);
}

// What CLI11 did not understand, as one line: what, why, and what to type instead.
std::string Explain(const CLI::App& app, const Chosen& chosen,
                    const std::vector<std::string>& commands, const CLI::ParseError& error) {
  const std::string help = chosen.last == nullptr ? std::string("jetctl --help")
                                                  : Cat("jetctl ", chosen.name, " --help");
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
    if (chosen.last == nullptr)
      return Cat("unknown flag ", typed, "; name a command first, see ", help);
    return Cat(
        "unknown flag ", typed,
        Mend(NearestName(name.substr(0, name.find('=')), FlagsOf(*chosen.last)), "--", help));
  }
  return ExplainWord(first, chosen, help, commands);
}

// CLI11 takes them from the back, and of "--prefix=" it would take the next argument for the value.
std::vector<std::string> ForParser(const std::vector<std::string>& arguments) {
  std::vector<std::string> reversed;
  for (auto it = arguments.rbegin(); it != arguments.rend(); ++it) {
    const bool empty = it->starts_with("--") && it->find('=') == it->size() - 1;
    if (empty) reversed.emplace_back();
    reversed.push_back(empty ? it->substr(0, it->size() - 1) : *it);
  }
  return reversed;
}

int ExitCodeOf(const absl::Status& failure) {
  if (absl::IsInvalidArgument(failure)) return kExitUsage;
  return absl::IsDataLoss(failure) ? kExitDamaged : kExitFailed;
}

int Run(const std::vector<std::string>& arguments, Output* output) {
  // A command says itself, in one line, what kept it; fill_bucket.h says more while it waits.
  log::Init({.level = log::Level::kError});
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
    // One: what comes behind it may have a command's name, as a key or a tenant.
    sub->require_subcommand(0, 1);
  }
  app.require_subcommand(0, 1);
  try {
    app.parse(ForParser(arguments));
  } catch (const CLI::CallForHelp&) {
    output->Print(app.help());
    return kExitOk;
  } catch (const CLI::CallForVersion& version) {
    output->Print(Cat(version.what(), "\n"));
    return kExitOk;
  } catch (const CLI::ParseError& error) {
    const Chosen chosen = ChosenOf(app);
    output->Fail(chosen.name, Explain(app, chosen, names, error));
    return kExitUsage;
  }
  const Chosen chosen = ChosenOf(app);
  if (chosen.command == nullptr) {
    output->Fail("", "name a command, see jetctl --help");
    return kExitUsage;
  }
  const auto run = std::find_if(commands.begin(), commands.end(), [&chosen](const auto& one) {
    return one->name() == chosen.command->get_name();
  });
  const absl::StatusOr<int> result = (*run)->Run(output);
  output->EndProgress();
  if (result.ok()) return *result;
  // If it ended because nobody takes its results, that is what there is to say.
  if (!output->Flush().ok()) return kExitFailed;
  output->Fail(chosen.name, MessageOf(result.status()));
  return ExitCodeOf(result.status());
}

}  // namespace

int RunJetctl(const std::vector<std::string>& arguments, Output* output) {
  const int exit_code = Run(arguments, output);
  const absl::Status written = output->Flush();
  if (written.ok()) return exit_code;
  output->Fail("", MessageOf(written));
  return exit_code == kExitOk ? kExitFailed : exit_code;
}

}  // namespace jetd::cli
