// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_TENANT_ACCOUNT_PROBE_H_
#define JETD_TENANT_ACCOUNT_PROBE_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "jetstream/nats_endpoint.h"
#include "tenant/roster.h"

namespace jetd::tenant {

// What an account says of itself. Limits of -1: no bound.
struct AccountUse {
  int64_t storage_bytes = 0, streams = 0, consumers = 0;  // in use
  int64_t storage_limit_bytes = 0, streams_limit = 0, consumers_limit = 0;
};

// AccountProbe looks at a server with the credentials of a tenant's user: only what that user sees
// is so, for a server takes a while to do as told, or does it never. Of a cluster it sees one
// server. Blocks; any thread.
class AccountProbe {
 public:
  // An empty url: no server is known. `patience`: how long a server may take to do as told.
  AccountProbe(jetstream::NatsEndpoint server, ServerKind kind, std::chrono::milliseconds patience);

  [[nodiscard]] bool known() const { return !server_.url.empty(); }

  // FailedPrecondition: no server is known. Unauthenticated: it lets the user in no more.
  [[nodiscard]] absl::StatusOr<AccountUse> Ask(const Tenant& tenant,
                                               const std::string& credentials_file) const;
  // Until the user is served with the tenant's limits. FailedPrecondition: it was not.
  [[nodiscard]] absl::Status UntilServed(const Tenant& tenant,
                                         const std::string& credentials_file) const;
  // Until the server says that it does not let the user in; that it cannot be reached is not
  // enough. FailedPrecondition: it never said so.
  [[nodiscard]] absl::Status UntilRefused(const Tenant& tenant,
                                          const std::string& credentials_file) const;

 private:
  const jetstream::NatsEndpoint server_;
  const ServerKind kind_;
  const std::chrono::milliseconds patience_;
};

}  // namespace jetd::tenant

#endif  // JETD_TENANT_ACCOUNT_PROBE_H_
