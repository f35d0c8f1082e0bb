// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_TENANT_TENANT_ADMIN_H_
#define JETD_TENANT_TENANT_ADMIN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "jetstream/nats_endpoint.h"
#include "jetstream/nkey.h"
#include "tenant/roster.h"

namespace jetd::tenant {

// What to begin a folder of tenants with.
struct NewFolder {
  std::string folder;
  ServerKind kind = ServerKind::kStatic;
  std::string nats_url;  // kept, for later commands; may be empty
  // kOperator: a new operator of that name, whose resolver keeps its files there; or, with a seed,
  // an operator (or one of its signing keys) that is there already, and credentials of a user of
  // its system account.
  std::string operator_name = "jetd";
  std::string resolver_dir;
  std::string operator_seed_file, system_creds_file;
};

struct AdminOptions {
  std::string folder;
  // A running server, for the operator's kind, and to see whether a change has arrived. An empty
  // url: the one that the folder was begun with.
  jetstream::NatsEndpoint server;
  // kStatic: the program that checks a configuration before it is written, and the file with the
  // process id of the server that is then told to read it. Empty: neither.
  std::string nats_server;
  std::string pid_file;
};

// What a command has done.
struct Change {
  Tenant tenant;
  std::string credentials_file;
  bool changed = true;
  std::string next;  // what is left for the operator to do, one line; empty: nothing
};

// What an account says of itself.
struct AccountUse {
  int64_t storage_bytes = 0, streams = 0, consumers = 0;  // in use
  int64_t storage_limit_bytes = 0;
};

// TenantAdmin keeps the tenants of one nats-server, or cluster, in a folder, and brings every
// change to the server:
//
//   tenants.json          what there should be; no secrets
//   creds/NAME.nkey       static: a user's seed.  operator: NAME.creds, a user's JWT and seed
//   tenants.conf          static: for the accounts of nats-server's configuration
//   operator.conf         operator: for its top
//   keys/…                operator: seeds of the operator and the accounts, the system's
//   credentials
//
// Files are replaced atomically, those with secrets are of mode 0600 in folders of mode 0700. What
// was interrupted is finished by giving the command again. No error and no result holds a secret.
//
// One at a time for a folder: Open waits for the lock of another. Any one thread; blocks.
class TenantAdmin {
 public:
  // The folder may be there and empty, or there with nothing of this in it. AlreadyExists: tenants
  // are kept there.
  [[nodiscard]] static absl::Status Init(const NewFolder& folder);
  // NotFound: no tenants are kept there.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<TenantAdmin>> Open(AdminOptions options);
  ~TenantAdmin();
  TenantAdmin(const TenantAdmin&) = delete;
  TenantAdmin& operator=(const TenantAdmin&) = delete;

  [[nodiscard]] const Roster& roster() const { return roster_; }
  // NotFound, naming the tenants that there are.
  [[nodiscard]] absl::StatusOr<Tenant> Find(const std::string& name) const;
  [[nodiscard]] std::string CredentialsFile(const Tenant& tenant) const;
  // Empty if no server is known.
  [[nodiscard]] const std::string& nats_url() const { return options_.server.url; }

  // A tenant that is there as asked for is brought to the server again. AlreadyExists: it is there,
  // and different.
  [[nodiscard]] absl::StatusOr<Change> Add(const Tenant& wanted);
  struct LimitChange {
    std::optional<int64_t> storage_bytes, streams, consumers;
  };
  [[nodiscard]] absl::StatusOr<Change> Limit(const std::string& name, const LimitChange& change);
  // New credentials in the place of the old ones, which count no more once the server knows.
  [[nodiscard]] absl::StatusOr<Change> Rotate(const std::string& name);
  // Its records stay with nats-server, which nobody can reach then.
  [[nodiscard]] absl::StatusOr<Change> Remove(const std::string& name);

  // Asks the server, with the tenant's own credentials. FailedPrecondition: no server is known.
  [[nodiscard]] absl::StatusOr<AccountUse> Ask(const Tenant& tenant) const;

 private:
  TenantAdmin(AdminOptions options, Roster roster, int lock_fd);
  [[nodiscard]] std::string Path(std::string_view name) const;
  [[nodiscard]] std::string AccountSeedFile(const Tenant& tenant) const;
  [[nodiscard]] absl::Status WriteCredentials(const Tenant& tenant,
                                              const jetstream::NkeyPair& user) const;
  [[nodiscard]] absl::Status Save(const Roster& next);
  // `new_user`: whose credentials to write; null: those that are there stay.
  [[nodiscard]] absl::StatusOr<Change> Put(const Tenant& tenant,
                                           const jetstream::NkeyPair* new_user);
  // Brings the tenant to the server; returns what is left to do.
  [[nodiscard]] absl::StatusOr<std::string> Publish(const Tenant& tenant);
  [[nodiscard]] absl::StatusOr<std::string> PublishConfig();
  [[nodiscard]] absl::Status Verify(const Tenant& tenant) const;
  [[nodiscard]] absl::StatusOr<jetstream::NatsEndpoint> SystemUser() const;
  [[nodiscard]] absl::StatusOr<jetstream::NkeyPair> OperatorKey() const;

  AdminOptions options_;
  Roster roster_;
  const int lock_fd_;
};

}  // namespace jetd::tenant

#endif  // JETD_TENANT_TENANT_ADMIN_H_
