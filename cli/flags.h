// SPDX-License-Identifier: Apache-2.0
//
// What the commands' flags have in common.
#ifndef JETD_CLI_FLAGS_H_
#define JETD_CLI_FLAGS_H_

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "base/strings.h"

namespace jetd::cli {

// For a nats-server that runs; then the command ends and says what was in the way.
inline constexpr std::chrono::seconds kConnectPatience{10};

// The command line is wrong; one line for people.
template <typename... Pieces>
[[nodiscard]] absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

// The heading of flags that need none.
inline constexpr char kNoHeading[] = "Options";

// An option of which the last one counts, under a heading of the help.
inline void AddText(CLI::App* app, const std::string& group, const std::string& name,
                    std::string* value, const std::string& help) {
  app->add_option(name, *value, help)->take_last()->group(group);
}

// A whole number, likewise, from `least` to `most` (0: no bound). What is none is refused by a line
// that says so: `--cap: "many" is no whole number from 1 on`.
template <typename Number>
void AddNumber(CLI::App* app, const std::string& group, const std::string& name, Number* value,
               const std::string& help, Number least, Number most = 0) {
  const auto check = [least, most](const std::string& text) -> std::string {
    Number number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    const bool whole = parsed.ec == std::errc() && parsed.ptr == end;
    if (whole && number >= least && (most == 0 || number <= most)) return "";
    return Cat("\"", text, "\" is no whole number from ", least,
               most == 0 ? " on" : Cat(" to ", most));
  };
  app->add_option(name, *value, help)->take_last()->group(group)->check(check);
}

// Of a command whose table has a subcommand for each verb: the one that was typed, or null.
template <typename Verb, size_t n>
[[nodiscard]] const Verb* ChosenVerb(const CLI::App& app, const Verb (&verbs)[n]) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  if (chosen.empty()) return nullptr;
  return std::find_if(std::begin(verbs), std::end(verbs),
                      [&](const Verb& one) { return chosen.front()->get_name() == one.name; });
}

}  // namespace jetd::cli

#endif  // JETD_CLI_FLAGS_H_
