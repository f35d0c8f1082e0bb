// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_TENANT_ACCOUNT_PROBE_H_
#define JETD_TENANT_ACCOUNT_PROBE_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

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
// is so, for a server takes a while to do as told, or does it never. Blocks; any thread.
//
// Of a cluster each server has to do it: those that are named, or, where only one is, it and those
// of its cluster that it names to its clients. A server that is named by several addresses is asked
// at one of them. One that wants TLS from the first byte names no others.
class AccountProbe {
 public:
  // An empty url: no server is known. `others`: URLs of all other servers, if they are named.
  // `patience`: how long they may take to do as told.
  AccountProbe(jetstream::NatsEndpoint server, std::vector<std::string> others, ServerKind kind,
               std::chrono::milliseconds patience);

  [[nodiscard]] bool known() const { return !server_.url.empty(); }

  // FailedPrecondition: no server is known. Unauthenticated: it lets the user in no more.
  [[nodiscard]] absl::StatusOr<AccountUse> Ask(const Tenant& tenant,
                                               const std::string& credentials_file) const;
  // Until the first server serves the user with the tenant's limits. FailedPrecondition, naming the
  // server: it does not.
  [[nodiscard]] absl::Status UntilServed(const Tenant& tenant,
                                         const std::string& credentials_file) const;
  // Likewise, every server.
  [[nodiscard]] absl::Status UntilServedByAll(const Tenant& tenant,
                                              const std::string& credentials_file) const;
  // Until every server says that it does not let the user in; that it cannot be reached is not
  // enough. FailedPrecondition, naming one that never said so.
  [[nodiscard]] absl::Status UntilRefused(const Tenant& tenant,
                                          const std::string& credentials_file) const;

 private:
  enum class Servers { kFirst, kAll };
  // OK: done; anything else: why not, or not yet.
  using LookFn = std::function<absl::Status(const std::string& url)>;
  // Until `look` is OK of all of them, or patience is over.
  [[nodiscard]] absl::Status Until(Servers servers, const LookFn& look) const;
  [[nodiscard]] absl::StatusOr<AccountUse> AskAt(const std::string& url, const Tenant& tenant,
                                                 const std::string& credentials_file) const;
  [[nodiscard]] absl::Status LookWhetherServed(const std::string& url, const Tenant& tenant,
                                               const std::string& credentials_file) const;
  [[nodiscard]] absl::Status LookWhetherRefused(const std::string& url, const Tenant& tenant,
                                                const std::string& credentials_file) const;

  const jetstream::NatsEndpoint server_;
  const std::vector<std::string> others_;
  const ServerKind kind_;
  const std::chrono::milliseconds patience_;
};

}  // namespace jetd::tenant

#endif  // JETD_TENANT_ACCOUNT_PROBE_H_
