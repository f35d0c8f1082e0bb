// SPDX-License-Identifier: Apache-2.0
//
// NATS's JWTs, version 2: what an operator, an account and a user may do, signed by whom they
// belong to. The claims are those that nats-server reads; their names are NATS's.
//
//   operator (signs itself) ──signs──> account: its limits ──signs──> user: its subjects
//
// Pure functions; any thread.
#ifndef JETD_TENANT_JWT_H_
#define JETD_TENANT_JWT_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "jetstream/bucket_access.h"
#include "jetstream/nkey.h"

namespace jetd::tenant {

// What an account may use. -1: no bound.
struct AccountLimits {
  int64_t storage_bytes = 0;  // of its streams' files, all together; 0: none at all
  int64_t streams = 0;
  int64_t consumers = -1;
  int64_t connections = -1;
  int64_t leaf_connections = 0;
  bool operator==(const AccountLimits&) const = default;
};

// Users whose JWTs count no more: by public key, those issued at that second or before.
using Revocations = std::map<std::string, int64_t>;

// `issued` is in seconds since 1970.
[[nodiscard]] std::string OperatorJwt(const jetstream::NkeyPair& key, std::string_view name,
                                      std::string_view system_account, int64_t issued);
[[nodiscard]] std::string AccountJwt(const jetstream::NkeyPair& signer, std::string_view account,
                                     std::string_view name, const AccountLimits& limits,
                                     int64_t issued, const Revocations& revoked = {});
[[nodiscard]] std::string UserJwt(const jetstream::NkeyPair& account, std::string_view user,
                                  std::string_view name, const jetstream::Permissions& permissions,
                                  int64_t issued);
// A user without bounds within its account, for the system account's own.
[[nodiscard]] std::string UnboundUserJwt(const jetstream::NkeyPair& account, std::string_view user,
                                         std::string_view name, int64_t issued);

// Asks a resolver to forget accounts.
[[nodiscard]] std::string DeletionJwt(const jetstream::NkeyPair& signer,
                                      const std::vector<std::string>& accounts, int64_t issued);

// The text of a credentials file: a user's JWT and its seed, as NATS's clients read it.
[[nodiscard]] std::string CredentialsText(std::string_view user_jwt, const std::string& seed);

}  // namespace jetd::tenant

#endif  // JETD_TENANT_JWT_H_
