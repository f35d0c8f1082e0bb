// SPDX-License-Identifier: Apache-2.0
#include "base/argument_secrets.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/strings.h"

namespace jetd {
namespace {

struct UrlFlag {
  std::string_view name;
  std::string_view mend;
};
constexpr UrlFlag kUrlFlags[] = {
    {"nats-url", "JETD_NATS_URL, or use --nats-creds"},
    {"to-nats-url", "JETD_NATS_URL, or use --to-nats-creds"},
    {"endpoint", "KINE_ENDPOINT, or use credsFile"},
};

// A flag's name and where its value begins; nothing for other arguments. The value may be the next
// argument.
struct Place {
  const UrlFlag* flag;
  std::optional<size_t> value;
};
std::optional<Place> PlaceIn(std::string_view argument) {
  if (!argument.starts_with('-')) return std::nullopt;
  const size_t dashes = argument.starts_with("--") ? 2 : 1;
  const size_t equals = argument.find('=');
  const std::string_view name =
      argument.substr(dashes, equals == argument.npos ? equals : equals - dashes);
  for (const UrlFlag& flag : kUrlFlags) {
    if (flag.name != name) continue;
    return Place{&flag, equals == argument.npos ? std::nullopt : std::optional(equals + 1)};
  }
  return std::nullopt;
}

// From the first "://" to the last "@": users, passwords, and hosts between them. Empty: none.
std::pair<size_t, size_t> SecretIn(std::string_view value) {
  const size_t at = value.rfind('@');
  if (at == value.npos) return {0, 0};
  const size_t scheme = value.find("://");
  return {scheme < at ? scheme + 3 : 0, at};
}

}  // namespace

std::vector<std::string> WarnOfSecrets(const std::vector<std::string>& arguments) {
  std::vector<std::string> warnings;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const auto place = PlaceIn(arguments[i]);
    if (!place.has_value()) continue;
    std::string_view value;
    if (place->value.has_value()) {
      value = std::string_view(arguments[i]).substr(*place->value);
    } else if (i + 1 < arguments.size()) {
      value = arguments[i + 1];
    }
    const auto [begin, end] = SecretIn(value);
    if (begin == end) continue;
    warnings.push_back(Cat("--", place->flag->name,
                           ": everybody on this machine could read the user in its URL until jetd "
                           "hid it; give the URL by ",
                           place->flag->mend));
  }
  return warnings;
}

void HideSecrets(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const auto place = PlaceIn(argv[i]);
    if (!place.has_value()) continue;
    if (!place->value.has_value() && ++i == argc) return;
    char* const value = argv[i] + place->value.value_or(0);
    const auto [begin, end] = SecretIn(value);
    std::fill(value + begin, value + end, '*');
  }
}

}  // namespace jetd
