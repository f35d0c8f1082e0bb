// SPDX-License-Identifier: Apache-2.0
//
// JWTs of a NATS operator for tests: what `nsc` makes, as far as a server asks for it (NATS's JWT
// documents, version 2). The room tenant has them for operators.
#ifndef JETD_JETSTREAM_TESTING_USER_JWT_H_
#define JETD_JETSTREAM_TESTING_USER_JWT_H_

#include <string>

#include "jetstream/nkey.h"

namespace jetd::jetstream {

[[nodiscard]] std::string OperatorJwt(const NkeyPair& op);
// An account without limits; the system account has no JetStream. `revoked` is the public key of a
// user, or empty.
enum class AccountKind { kOrdinary, kSystem };
[[nodiscard]] std::string AccountJwt(const NkeyPair& op, const NkeyPair& account, AccountKind kind,
                                     const std::string& revoked = "");
// A credentials file for a user of the account who may do everything.
[[nodiscard]] std::string CredsFile(const NkeyPair& account, const NkeyPair& user);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_TESTING_USER_JWT_H_
