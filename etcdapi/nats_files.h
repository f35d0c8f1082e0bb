// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_NATS_FILES_H_
#define JETD_ETCDAPI_NATS_FILES_H_

#include "absl/status/status.h"
#include "etcdapi/config.h"
#include "jetstream/nats_endpoint.h"

namespace jetd::etcdapi {

// How jetd proves who it is to the servers of --nats-url.
[[nodiscard]] jetstream::NatsCredentials CredentialsOf(const NatsConfig& nats);

// Whether the files that jetd shows to a nats-server, or knows it by, are there and hold what they
// should: at start a wrong one is a mistake, while a connection that fails later is tried again.
// FailedPrecondition, one line with the flag and the file. Blocks.
[[nodiscard]] absl::Status CheckNatsFiles(const NatsConfig& nats);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_NATS_FILES_H_
