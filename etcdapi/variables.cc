// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/variables.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "base/nearest_name.h"
#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

constexpr std::string_view kPrefix = "JETD_";
// What jetctl alone reads: one shell has them for both.
constexpr std::string_view kOfJetctl[] = {"JETD_NATS_API_PREFIX", "JETD_NATS_CONFIG",
                                          "JETD_PID_FILE", "JETD_STATE_DIR", "JETD_STREAM"};

// "data-dir" for "JETD_DATA_DIR".
std::string FlagOf(std::string_view variable) {
  std::string flag(variable.substr(kPrefix.size()));
  for (char& c : flag) c = c == '_' ? '-' : static_cast<char>(std::tolower(c));
  return flag;
}

}  // namespace

std::string VariableOf(const std::string& flag) {
  std::string name = Cat(kPrefix, flag);
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return name;
}

Variables ReadVariables(const std::vector<std::string>& flags) {
  std::vector<std::pair<std::string, std::string>> set;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (!text.starts_with(kPrefix) || equals == text.npos || equals + 1 == text.size()) continue;
    set.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(set.begin(), set.end());
  Variables result;
  for (const auto& [name, value] : set) {
    const std::string flag = FlagOf(name);
    if (std::find(flags.begin(), flags.end(), flag) != flags.end() && VariableOf(flag) == name) {
      result.arguments.push_back(Cat("--", flag, "=", value));
      continue;
    }
    if (std::find(std::begin(kOfJetctl), std::end(kOfJetctl), name) != std::end(kOfJetctl))
      continue;
    const bool goes_on = std::any_of(flags.begin(), flags.end(), [&flag = flag](const auto& known) {
      return flag.starts_with(known + "-");
    });
    const std::string nearest = goes_on ? "" : NearestName(flag, flags);
    if (nearest.empty()) continue;
    result.warnings.push_back(Cat(name, " has no effect; did you mean ", VariableOf(nearest), "?"));
  }
  return result;
}

bool IsGiven(const std::string& flag, const std::vector<std::string>& arguments) {
  return std::any_of(arguments.begin(), arguments.end(), [&flag](const std::string& argument) {
    return argument == flag || argument.starts_with(flag + "=");
  });
}

std::string AboutItsSource(std::string line, const std::vector<std::string>& arguments) {
  if (!line.starts_with("--")) return line;
  const size_t end = std::min(line.find_first_of(": "), line.size());
  const std::string flag = line.substr(0, end);
  const std::string variable = VariableOf(flag.substr(2));
  const char* value = std::getenv(variable.c_str());
  if (IsGiven(flag, arguments) || value == nullptr || *value == '\0') return line;
  return variable + line.substr(end);
}

}  // namespace jetd::etcdapi
