// SPDX-License-Identifier: Apache-2.0
//
// A nats-server in operator mode: it trusts an operator's key, and learns accounts from JWTs that
// are signed by it and pushed to its resolver through the system account.
#ifndef JETD_TENANT_OPERATOR_SERVER_H_
#define JETD_TENANT_OPERATOR_SERVER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "jetstream/nats_endpoint.h"
#include "jetstream/nkey.h"
#include "tenant/roster.h"

namespace jetd::tenant {

// Seconds since 1970, as JWTs are dated.
[[nodiscard]] int64_t NowSeconds();

// What a new operator needs beside its two keys.
struct NewOperator {
  std::string system_credentials;  // of a user of the system account
  std::string configuration;       // operator, system account and resolver; no secret in it
};
// `key` is the operator's, `system` its system account's. `resolver_dir`: where nats-server keeps
// the accounts' JWTs; it makes the folder.
[[nodiscard]] NewOperator MakeOperator(const jetstream::NkeyPair& key,
                                       const jetstream::NkeyPair& system, const std::string& name,
                                       const std::string& resolver_dir, int64_t issued);

// The text of the credentials file of a tenant's user.
[[nodiscard]] std::string TenantCredentials(const jetstream::NkeyPair& account,
                                            const jetstream::NkeyPair& user, const Tenant& tenant,
                                            int64_t issued);

// Gives a running server an account's JWT, in the place of the one that it had. `system` is a user
// of the system account. Blocks. Unavailable: nobody is there; FailedPrecondition: no resolver, or
// the server's words. (That the server stores a JWT does not mean that it trusts who signed it.)
[[nodiscard]] absl::Status PushAccount(const jetstream::NatsEndpoint& system,
                                       const jetstream::NkeyPair& signer, const Tenant& tenant,
                                       int64_t issued);
// Its clients are disconnected.
[[nodiscard]] absl::Status DeleteAccount(const jetstream::NatsEndpoint& system,
                                         const jetstream::NkeyPair& signer,
                                         const std::string& account, int64_t issued);

}  // namespace jetd::tenant

#endif  // JETD_TENANT_OPERATOR_SERVER_H_
