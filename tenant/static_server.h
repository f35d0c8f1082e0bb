// SPDX-License-Identifier: Apache-2.0
//
// A nats-server that knows its accounts from its configuration: the part that holds the tenants, a
// check of it by nats-server itself, and the signal to read it again. All of it blocks; any thread.
#ifndef JETD_TENANT_STATIC_SERVER_H_
#define JETD_TENANT_STATIC_SERVER_H_

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "tenant/roster.h"

namespace jetd::tenant {

// What stands inside `accounts { … }` of the configuration, one account a tenant, without those
// that are being removed. There is no secret in it: users are public keys. Pure; the same roster
// gives the same text.
[[nodiscard]] std::string AccountsText(const Roster& roster);

// Whether the program `nats_server` takes the text. Leaves nothing in `folder`, which it writes to.
// FailedPrecondition with nats-server's own line, or: it was not through after `patience`, and is
// ended.
[[nodiscard]] absl::Status CheckAccounts(const std::string& nats_server, const std::string& folder,
                                         const std::string& accounts_text,
                                         std::chrono::milliseconds patience);

// Tells the nats-server whose process id stands in the file to read its configuration again. It
// does so soon after. FailedPrecondition: there is no such process, or it is no nats-server.
[[nodiscard]] absl::Status TellToReload(const std::string& pid_file);

}  // namespace jetd::tenant

#endif  // JETD_TENANT_STATIC_SERVER_H_
