// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_PROGRAM_H_
#define JETD_JETSTREAM_NATS_PROGRAM_H_

#include <string>

#include "absl/status/statusor.h"

namespace jetd::jetstream {

// The program of an embedded nats-server: `given` if it is a path, otherwise the first of that name
// ("nats-server" if none is given) in PATH. FailedPrecondition, one line: there is none.
[[nodiscard]] absl::StatusOr<std::string> FindNatsServer(const std::string& given);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_PROGRAM_H_
