// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_ASK_H_
#define JETD_JETSTREAM_NATS_ASK_H_

#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "jetstream/nats_endpoint.h"

namespace jetd::jetstream {

struct NatsQuestion {
  std::string subject;
  std::string_view payload = {};
  // The user may have one that it must use.
  std::string_view inbox_prefix = "_INBOX";
};

// One request and the first answer to it, for tools: connects, asks, and closes. Blocks, up to ten
// seconds to connect and `timeout` for the answer; any thread. Errors of NatsConnection::Connect,
// or NotFound: nobody serves that subject, or DeadlineExceeded: no answer in time, as for a subject
// that the user may not publish to.
[[nodiscard]] absl::StatusOr<std::string> AskNats(const NatsEndpoint& endpoint,
                                                  const NatsQuestion& question,
                                                  std::chrono::milliseconds timeout);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_ASK_H_
