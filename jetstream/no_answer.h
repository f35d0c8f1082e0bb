// SPDX-License-Identifier: Apache-2.0
//
// Why a question to a nats-server got no answer, as far as the server has said.
#ifndef JETD_JETSTREAM_NO_ANSWER_H_
#define JETD_JETSTREAM_NO_ANSWER_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "jetstream/nats_connection.h"

namespace jetd::jetstream {

// What the server said in the last minute when it refused this user a message to that subject, or
// to listen there; "" if it did not. (Of several refusals at once nats.c may keep the last only.)
[[nodiscard]] std::string RefusalOf(const NatsConnection& connection, std::string_view subject);

// kTimeout, of a question to `whom` whose answer was to go to `inbox`. A request that a user may
// not make is dropped by the server, not answered: then it says so.
[[nodiscard]] absl::Status NoAnswer(const NatsConnection& connection, std::string_view whom,
                                    std::string_view subject, std::string_view inbox);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NO_ANSWER_H_
