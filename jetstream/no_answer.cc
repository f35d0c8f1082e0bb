// SPDX-License-Identifier: Apache-2.0
#include "jetstream/no_answer.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"

namespace jetd::jetstream {
namespace {

// `Permissions Violation for Publish to "a.b"`; nats.c cuts a long one off.
bool IsOf(std::string_view refusal, std::string_view subject) {
  const size_t begin = refusal.find('"');
  if (begin == refusal.npos) return false;
  const std::string_view named = refusal.substr(begin + 1);
  const size_t end = named.find('"');
  if (end == named.npos) return !named.empty() && subject.starts_with(named);
  return named.substr(0, end) == subject;
}

}  // namespace

std::string RefusalOf(const NatsConnection& connection, std::string_view subject) {
  const std::string lines = connection.refusal();
  std::string_view rest = lines;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    if (IsOf(line, subject)) return std::string(line);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return "";
}

absl::Status NoAnswer(const NatsConnection& connection, std::string_view whom,
                      std::string_view subject, std::string_view inbox) {
  const std::string none = Cat("no answer from ", whom);
  if (const auto refusal = RefusalOf(connection, subject); !refusal.empty()) {
    return MakeError(Errc::kTimeout, Cat(none, ": the user may not ask (", refusal, ")"));
  }
  if (const auto refusal = RefusalOf(connection, inbox); !refusal.empty()) {
    return MakeError(Errc::kTimeout, Cat(none, ": the user may not hear it (", refusal, ")"));
  }
  return MakeError(Errc::kTimeout, none);
}

}  // namespace jetd::jetstream
