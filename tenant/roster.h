// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_TENANT_ROSTER_H_
#define JETD_TENANT_ROSTER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tenant/jwt.h"

namespace jetd::tenant {

// How a nats-server knows its accounts.
enum class ServerKind {
  kStatic,    // from a part of its configuration, read again on a signal
  kOperator,  // from JWTs of an operator, given to its resolver while it runs
};
[[nodiscard]] std::string_view NameOf(ServerKind kind);  // "static", "operator"

// One tenant: an account, and in it one user whose permissions are those of one bucket.
struct Tenant {
  std::string name;
  std::string bucket;
  AccountLimits limits;
  std::string user;     // public nkey of its user, "U…"
  std::string account;  // kOperator: its account's, "A…"
  Revocations revoked;  // kOperator
  // What is begun, and ended by the same command: of the user that is to take the place of `user`,
  // the public nkey, and that all of it is being removed.
  std::string next_user;
  bool going = false;
  bool operator==(const Tenant&) const = default;
};

// Of tenants and their buckets: a user's JWT names the bucket often, and must fit on a line to
// nats-server, 4,096 bytes by default.
inline constexpr size_t kMaxNameBytes = 64;
// A tenant's name, which becomes its account's: up to 64 letters, digits, `-` and `_`, the first of
// them a letter or digit.
[[nodiscard]] bool IsTenantName(std::string_view name);
// One that nats-server, or who configures it, gives to its own accounts: no new tenant gets it.
[[nodiscard]] bool IsReservedName(std::string_view name);

// All tenants of one nats-server (or cluster), as they should be. It holds no secret. A plain
// value.
struct Roster {
  ServerKind kind = ServerKind::kStatic;
  std::string operator_name;   // kOperator
  std::string system_account;  // kOperator: "A…"; empty for an operator that was there before
  std::string nats_url;        // where the server is asked; empty: not known
  int64_t issued = 0;          // kOperator: when the newest JWT was issued, seconds since 1970
  std::map<std::string, Tenant> tenants;  // by name
  bool operator==(const Roster&) const = default;
};

// As kept in a file, one JSON object.
[[nodiscard]] std::string TextOf(const Roster& roster);
// FailedPrecondition: it is none, or a later version wrote it.
[[nodiscard]] absl::StatusOr<Roster> ParseRoster(std::string_view text);

}  // namespace jetd::tenant

#endif  // JETD_TENANT_ROSTER_H_
