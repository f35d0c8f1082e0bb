// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_PROBE_H_
#define JETD_JETSTREAM_NATS_PROBE_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace jetd::jetstream {

// The version that the server at the other end of `connected_fd` shows in the first line it sends
// to whoever connects. nats.c 3.4 has read that line and does not tell, so this connects once more
// to the same address. Blocks up to `timeout`; any thread. Unavailable if the server sends no such
// line, which is so when it wants TLS from the first byte.
[[nodiscard]] absl::StatusOr<std::string> ProbeServerVersion(int connected_fd,
                                                             std::chrono::milliseconds timeout);

// Who a server says it is in that line, before anybody shows credentials.
struct NatsServerName {
  std::string id;                      // another one after each start
  std::vector<std::string> addresses;  // host:port of the servers of its cluster; none: it is alone
};
// Of the server at `url` (nats://host:port); otherwise as ProbeServerVersion.
[[nodiscard]] absl::StatusOr<NatsServerName> ProbeServerName(const std::string& url,
                                                             std::chrono::milliseconds timeout);
// "host:port" of a NATS URL.
[[nodiscard]] std::string AddressOf(const std::string& url);

// "2.10.27" is at least 2.10. False for what is no version.
[[nodiscard]] bool VersionAtLeast(const std::string& version, int major, int minor);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_PROBE_H_
