// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_place.h"

#include <charconv>
#include <cstdint>
#include <system_error>

#include "base/strings.h"
#include "jetstream/nats_probe.h"

namespace jetd::jetstream {
namespace {

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

}  // namespace

absl::Status CheckNatsUrl(std::string_view flag, const std::string& url) {
  if (!url.starts_with("nats://") && !url.starts_with("tls://")) {
    // Not shown: it may hold a password.
    return Invalid(flag, ": every URL must start with nats:// or tls://");
  }
  const std::string address = AddressOf(url);
  const size_t colon = address.rfind(':');
  if (colon == 0) return Invalid(flag, ": a URL names no host; write nats://host:4222");
  uint16_t port = 0;
  const char* const begin = address.data() + colon + 1;
  const char* const end = address.data() + address.size();
  const auto parsed = std::from_chars(begin, end, port);
  if (parsed.ec == std::errc() && parsed.ptr == end && port > 0) return absl::OkStatus();
  return Invalid(flag, ": \"", address, "\" has no port from 1 to 65535; write nats://host:4222");
}

absl::Status CheckDomain(std::string_view flag, const std::string& domain) {
  if (domain.find_first_of(" \t\r\n.*>") == std::string::npos) return absl::OkStatus();
  return Invalid(flag, ": \"", domain,
                 "\" is no name of a JetStream domain; it takes no blanks, dots, * and >");
}

}  // namespace jetd::jetstream
