// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_FILES_H_
#define JETD_JETSTREAM_NATS_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "jetstream/nats_endpoint.h"

namespace jetd::jetstream {

// Whether the files that a program shows to a nats-server, or knows it by, are there and hold what
// they should: at start a wrong one is a mistake, while a connection that fails later is tried
// again. FailedPrecondition, one line with the flag (--nats-creds, …) and the file. Blocks.
[[nodiscard]] absl::Status CheckNatsFiles(const NatsCredentials& credentials);

// What a token file holds, without the blanks and line ends around it; none is an error.
[[nodiscard]] absl::StatusOr<std::string> ReadToken(const std::string& path);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_FILES_H_
