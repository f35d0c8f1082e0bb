// SPDX-License-Identifier: Apache-2.0
//
// NATS's user keys ("nkeys"): Ed25519 keys in base32 with a type prefix and a CRC-16, as NATS's
// ADR-14 and its nkeys document describe them. Only what connecting needs. Pure functions; any
// thread.
#ifndef JETD_JETSTREAM_NKEY_H_
#define JETD_JETSTREAM_NKEY_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace jetd::jetstream {

// "SU…" to its public "U…". InvalidArgument, without the seed in it, for what is no seed.
[[nodiscard]] absl::StatusOr<std::string> PublicNkeyOfSeed(std::string_view seed);
// The same for a file whose first line that begins with `S` is the seed.
[[nodiscard]] absl::StatusOr<std::string> PublicNkeyOfFile(const std::string& path);
// OK if a file holds a user's JWT and a seed, each on a line of its own, as NATS's tools write
// credentials. The error tells what is missing.
[[nodiscard]] absl::Status CheckCredsFile(const std::string& path);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NKEY_H_
