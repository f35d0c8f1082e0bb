// SPDX-License-Identifier: Apache-2.0
//
// Whether what a command line says of where a JetStream is can be so at all: a connection that
// fails is tried again, and a mistake would be for ever. Pure functions; any thread.
#ifndef JETD_JETSTREAM_NATS_PLACE_H_
#define JETD_JETSTREAM_NATS_PLACE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace jetd::jetstream {

// nats:// or tls://, a host, and a port if any. InvalidArgument: one line that begins with `flag`,
// without secrets.
[[nodiscard]] absl::Status CheckNatsUrl(std::string_view flag, const std::string& url);

// A JetStream domain is one token of a subject. InvalidArgument likewise; "" is none, and right.
[[nodiscard]] absl::Status CheckDomain(std::string_view flag, const std::string& domain);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_PLACE_H_
