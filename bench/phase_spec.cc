// SPDX-License-Identifier: Apache-2.0
#include "bench/phase_spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/strings.h"
#include "bench/key_space.h"

namespace jetd::bench {
namespace {

constexpr std::array<std::pair<std::string_view, PhaseKind>, 14> kKinds{{
    {"await", PhaseKind::kAwait},
    {"create", PhaseKind::kCreate},
    {"update", PhaseKind::kUpdate},
    {"delete", PhaseKind::kDelete},
    {"get", PhaseKind::kGet},
    {"mixed", PhaseKind::kMixed},
    {"list", PhaseKind::kList},
    {"range-stream", PhaseKind::kRangeStream},
    {"watch", PhaseKind::kWatch},
    {"lease-grant", PhaseKind::kLeaseGrant},
    {"lease-keepalive", PhaseKind::kLeaseKeepAlive},
    {"lease-revoke", PhaseKind::kLeaseRevoke},
    {"idle", PhaseKind::kIdle},
    {"compact", PhaseKind::kCompact},
}};

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

template <typename Number>
bool ReadNumber(std::string_view text, Number least, Number most, Number* out) {
  Number number{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return false;
  if (!(number >= least && number <= most)) return false;
  *out = number;
  return true;
}

bool ReadOption(std::string_view name, std::string_view value, PhaseSpec* spec, bool* known) {
  *known = true;
  if (name == "clients") return ReadNumber(value, 1, 100'000, &spec->clients);
  if (name == "ops") return ReadNumber<int64_t>(value, 1, 1'000'000'000, &spec->ops);
  if (name == "seconds") return ReadNumber(value, 0.01, 1e6, &spec->seconds);
  if (name == "warmup") return ReadNumber(value, 0.0, 1e6, &spec->warmup_seconds);
  if (name == "rate") return ReadNumber(value, 0.001, 1e7, &spec->rate);
  if (name == "value") {
    return ReadNumber(value, ValueMaker::kLeast, ValueMaker::kMost, &spec->value_bytes);
  }
  if (name == "limit") return ReadNumber(value, 0, 1'000'000'000, &spec->limit);
  if (name == "watchers") return ReadNumber(value, 1, 1'000'000, &spec->watchers);
  if (name == "namespaces") return ReadNumber(value, 0, kNamespaces, &spec->namespaces);
  if (name == "keys") return ReadNumber<int64_t>(value, -1, 1'000'000'000, &spec->keys);
  if (name == "ttl") return ReadNumber<int64_t>(value, 1, 1'000'000'000, &spec->ttl_seconds);
  if (name == "keep") return ReadNumber<int64_t>(value, 0, 1'000'000'000, &spec->keep);
  *known = false;
  return false;
}

}  // namespace

absl::StatusOr<PhaseSpec> ParsePhase(std::string_view text) {
  PhaseSpec spec;
  size_t comma = std::min(text.find(','), text.size());
  spec.name = text.substr(0, comma);
  bool found = false;
  for (const auto& [name, kind] : kKinds) {
    if (name != spec.name) continue;
    spec.kind = kind;
    found = true;
  }
  if (!found) return Invalid("\"", spec.name, "\" is no phase");
  // What is under way is not what a rate is about.
  bool clients_given = false;
  while (comma < text.size()) {
    text.remove_prefix(comma + 1);
    comma = std::min(text.find(','), text.size());
    const std::string_view option = text.substr(0, comma);
    const size_t equals = option.find('=');
    if (equals == std::string_view::npos) return Invalid("\"", option, "\" is not name=value");
    const std::string_view name = option.substr(0, equals);
    bool known = false;
    if (!ReadOption(name, option.substr(equals + 1), &spec, &known)) {
      if (!known) return Invalid("\"", name, "\" is no option of a phase");
      return Invalid("\"", option, "\" is out of range");
    }
    clients_given = clients_given || name == "clients";
  }
  if (spec.rate > 0 && !clients_given) spec.clients = 256;
  if (spec.ops > 0) spec.warmup_seconds = 0;
  return spec;
}

std::vector<std::string> PhaseNames() {
  std::vector<std::string> names;
  for (const auto& [name, kind] : kKinds) names.emplace_back(name);
  return names;
}

}  // namespace jetd::bench
