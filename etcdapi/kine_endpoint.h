// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_KINE_ENDPOINT_H_
#define JETD_ETCDAPI_KINE_ENDPOINT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace jetd::etcdapi {

// Where the records are, as kine's --endpoint writes it:
// nats://user:secret@n1:4222,nats://n2:4222?bucket=b&replicas=3&noEmbed
struct KineEndpoint {
  std::vector<std::string> arguments;  // the same in jetd's flags: "--bucket=b"
  // Who connects, decoded. Empty: not said.
  std::string user, password, token;
  std::vector<std::string> warnings;  // of what means nothing here: "revHistory has no effect: …"
};

// The rules are those of kine 0.16 (its examples/nats.md), with three differences: what kine would
// leave out without a word is refused; without a host jetd runs its own nats-server; and with one
// it connects there, as a kine that was built without a nats-server does. InvalidArgument with what
// is wrong and how to mend it, without anything secret. Reads a contextFile; blocks.
[[nodiscard]] absl::StatusOr<KineEndpoint> ReadKineEndpoint(const std::string& text);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_KINE_ENDPOINT_H_
