// SPDX-License-Identifier: Apache-2.0
#include "cli/completion_command.h"

#include <memory>
#include <vector>

#include "base/strings.h"

namespace jetd::cli {
namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  source <(jetctl completion bash)\n"
    "      for this shell; in ~/.bashrc for every one\n"
    "  jetctl completion bash > /etc/bash_completion.d/jetctl\n"
    "      for everybody\n"
    "  jetctl completion zsh > \"${fpath[1]}/_jetctl\"\n"
    "      for zsh, from its next start";

struct Word {
  std::string text, help;
};

// What may come after a command: "" for jetctl itself, "/tenant/add" for `jetctl tenant add`.
struct Place {
  std::string path;
  std::vector<Word> words;
};

enum class Flags { kNo, kYes };

void AddPlaces(const CLI::App& app, const std::string& path, Flags flags,
               std::vector<Place>* places) {
  Place place{.path = path};
  const std::vector<const CLI::App*> commands =
      app.get_subcommands([](const CLI::App* /*any*/) { return true; });
  for (const CLI::App* command : commands) {
    place.words.push_back({command->get_name(), command->get_description()});
  }
  for (const CLI::Option* option : app.get_options()) {
    if (flags == Flags::kNo) break;
    for (const std::string& name : option->get_lnames()) {
      place.words.push_back({Cat("--", name), option->get_description()});
    }
  }
  places->push_back(std::move(place));
  for (const CLI::App* command : commands) {
    if (command->get_name() == "help") continue;
    AddPlaces(*command, Cat(path, "/", command->get_name()), flags, places);
  }
}

std::vector<Place> AllPlaces() {
  CLI::App app("", "jetctl");
  app.set_help_flag("--help", "Prints this");
  app.set_version_flag("--version", "", "Prints the version");
  // What the flags are bound to lives as long as the parser.
  const std::vector<std::unique_ptr<Command>> commands = AllCommands();
  for (const auto& command : commands) {
    command->AddFlags(app.add_subcommand(command->name(), command->summary()));
  }
  std::vector<Place> places;
  AddPlaces(app, "", Flags::kYes, &places);
  AddPlaces(app, "/help", Flags::kNo, &places);
  return places;
}

// In single quotes nothing but the quote itself means anything, to either shell.
std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted.push_back(c == '\n' ? ' ' : c);
    }
  }
  return quoted + "'";
}

// The branches of a `case` over where a word leads: "/tenant add" is `add` after `jetctl tenant`.
std::string Paths(const std::vector<Place>& places) {
  std::string patterns;
  for (const Place& place : places) {
    if (!place.path.empty()) CatTo(patterns, patterns.empty() ? "" : "|", place.path);
  }
  return patterns;
}

std::string BashScript(const std::vector<Place>& places) {
  std::string script =
      Cat("# Completion of jetctl for bash; written by `jetctl completion bash`.\n"
          "_jetctl() {\n"
          "  local at='' words='' word\n"
          "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
          "    case \"$at/$word\" in\n"
          "      ",
          Paths(places),
          ") at=\"$at/$word\" ;;\n"
          "    esac\n"
          "  done\n"
          "  case \"$at\" in\n");
  for (const Place& place : places) {
    std::string words;
    for (const Word& word : place.words) CatTo(words, words.empty() ? "" : " ", word.text);
    CatTo(script, "    ", Quoted(place.path), ") words=", Quoted(words), " ;;\n");
  }
  CatTo(script,
        "  esac\n"
        "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
        "}\n"
        "complete -o default -F _jetctl jetctl\n");
  return script;
}

std::string ZshScript(const std::vector<Place>& places) {
  std::string script =
      Cat("#compdef jetctl\n"
          "# Completion of jetctl for zsh; written by `jetctl completion zsh`.\n"
          "_jetctl() {\n"
          "  local at='' word\n"
          "  local -a found\n"
          "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
          "    case \"$at/$word\" in\n"
          "      (",
          Paths(places),
          ") at=\"$at/$word\" ;;\n"
          "    esac\n"
          "  done\n"
          "  case \"$at\" in\n");
  for (const Place& place : places) {
    CatTo(script, "    (", Quoted(place.path), ")\n      found=(\n");
    for (const Word& word : place.words) {
      CatTo(script, "        ", Quoted(Cat(word.text, ":", word.help)), "\n");
    }
    CatTo(script, "      ) ;;\n");
  }
  CatTo(
      script,
      "  esac\n"
      "  _describe -o jetctl found || _files\n"
      "}\n"
      "if [ \"$funcstack[1]\" = _jetctl ]; then _jetctl \"$@\"; else compdef _jetctl jetctl; fi\n");
  return script;
}

}  // namespace

void CompletionCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  app->add_option("SHELL", shell_, "bash or zsh");
}

absl::StatusOr<int> CompletionCommand::Run(Output* output) {
  if (shell_ != "bash" && shell_ != "zsh") {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      shell_.empty() ? "name a shell" : Cat("unknown shell \"", shell_, "\""),
                      ": jetctl completion bash, or zsh");
  }
  const std::vector<Place> places = AllPlaces();
  output->Print(shell_ == "bash" ? BashScript(places) : ZshScript(places));
  return kExitOk;
}

}  // namespace jetd::cli
