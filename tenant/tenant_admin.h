// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_TENANT_TENANT_ADMIN_H_
#define JETD_TENANT_TENANT_ADMIN_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "jetstream/nats_endpoint.h"
#include "jetstream/nkey.h"
#include "tenant/account_probe.h"
#include "tenant/roster.h"
#include "tenant/tenant_folder.h"

namespace jetd::tenant {

struct AdminOptions {
  std::string folder;
  // A running server, for the operator's kind, and to see whether a change has arrived. An empty
  // url: those that the folder was begun with.
  jetstream::NatsEndpoint server;
  // URLs of all other servers of its cluster. Empty: it is asked for them.
  std::vector<std::string> other_servers = {};
  // kStatic: the program that checks a configuration before it is written, and the file with the
  // process id of the server that is then told to read it. Empty: neither.
  std::string nats_server;
  std::string pid_file;
  // kStatic: the server's whole configuration; no new tenant gets a name that stands in it. Empty:
  // not looked at.
  std::string nats_config;
  // How long a server may take to do as told, the checking program to end, another jetctl to leave
  // the folder.
  std::chrono::milliseconds arrival_patience{15'000};
  std::chrono::milliseconds check_patience{30'000};
  std::chrono::milliseconds lock_patience = kLockPatience;
  TellFn tell = {};  // may be null
};

// What a command has done.
struct Change {
  Tenant tenant;
  std::string credentials_file;
  bool changed = true;
  // False: the command must be given again, after what `next` says.
  bool finished = true;
  std::string next;  // what is left for the operator to do, one line; empty: nothing
};

// TenantAdmin keeps the tenants of one nats-server, or cluster, in a folder, and brings every
// change to the server:
//
//   tenants.json          what there should be; no secrets
//   creds/NAME.nkey       static: a user's seed.  operator: NAME.creds, a user's JWT and seed
//   creds/….next, ….old   while credentials are replaced: the new ones until the server knows them,
//                         the old ones until it refuses them
//   tenants.conf          static: for the accounts of nats-server's configuration
//   operator.conf         operator: for its top
//   keys/…                operator: seeds of the operator and the accounts, the system's
//   credentials
//
// Files are replaced atomically, those with secrets are of mode 0600 in folders of mode 0700. What
// was interrupted is finished by giving the command again. No error and no result holds a secret.
// What a server does is believed when its tenant's user has seen it, where a server is known; that
// credentials count, or count no more, of every server of its cluster (account_probe.h).
//
// One at a time for a folder: Open waits for the lock of another, and says so; Unavailable: it
// waited long enough. Any one thread; blocks.
class TenantAdmin {
 public:
  // NotFound: no tenants are kept there.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<TenantAdmin>> Open(AdminOptions options);
  ~TenantAdmin();
  TenantAdmin(const TenantAdmin&) = delete;
  TenantAdmin& operator=(const TenantAdmin&) = delete;

  [[nodiscard]] const Roster& roster() const { return roster_; }
  // NotFound, naming the tenants that there are.
  [[nodiscard]] absl::StatusOr<Tenant> Find(const std::string& name) const;
  [[nodiscard]] std::string CredentialsFile(const Tenant& tenant) const;
  // As they are given, commas between, without secrets; empty if no server is known.
  [[nodiscard]] std::string nats_urls() const;

  // A tenant that is there as asked for is brought to the server again. AlreadyExists: it is there,
  // and different. InvalidArgument: the name is one of the server's own accounts.
  [[nodiscard]] absl::StatusOr<Change> Add(const Tenant& wanted);
  struct LimitChange {
    std::optional<int64_t> storage_bytes, streams, consumers;
  };
  [[nodiscard]] absl::StatusOr<Change> Limit(const std::string& name, const LimitChange& change);
  // New credentials in the place of the old ones, which count no more then. At every moment the
  // ones in their file are good: both are until the server is seen to know the new ones.
  [[nodiscard]] absl::StatusOr<Change> Rotate(const std::string& name);
  // Its records stay with nats-server, which nobody can reach then. The credentials are kept until
  // the server refuses them, if it is known.
  [[nodiscard]] absl::StatusOr<Change> Remove(const std::string& name);

  // Asks the server, with the tenant's own credentials. FailedPrecondition: no server is known.
  [[nodiscard]] absl::StatusOr<AccountUse> Ask(const Tenant& tenant) const;

 private:
  TenantAdmin(AdminOptions options, Roster roster, int lock_fd);
  [[nodiscard]] std::string Path(std::string_view name) const;
  [[nodiscard]] std::string AccountSeedFile(const Tenant& tenant) const;
  [[nodiscard]] std::string NextFile(const Tenant& tenant) const;
  [[nodiscard]] std::string OldFile(const Tenant& tenant) const;
  // Find of one that is not being removed.
  [[nodiscard]] absl::StatusOr<Tenant> FindLasting(const std::string& name) const;
  [[nodiscard]] absl::Status CheckNewName(const std::string& name) const;
  // To `path`, with which the tenant's user is `user`.
  [[nodiscard]] absl::Status WriteCredentials(const std::string& path, const Tenant& tenant,
                                              const jetstream::NkeyPair& user) const;
  [[nodiscard]] absl::Status Save(const Roster& next);
  // The roster with the tenant as it is here, checked.
  [[nodiscard]] absl::StatusOr<Roster> With(const Tenant& tenant) const;
  // `new_user`: whose credentials to write; null: those that are there stay.
  [[nodiscard]] absl::StatusOr<Change> Put(const Tenant& tenant,
                                           const jetstream::NkeyPair* new_user);
  // Tells the server of the tenant; returns what is left to do.
  [[nodiscard]] absl::StatusOr<std::string> Publish(const Tenant& tenant);
  [[nodiscard]] absl::StatusOr<std::string> PublishConfig();
  [[nodiscard]] absl::StatusOr<std::string> PublishRemoval(const Tenant& tenant);
  // The steps of Rotate. The first returns a change that is not finished, or nothing: go on.
  [[nodiscard]] absl::StatusOr<std::optional<Change>> Introduce(Tenant* tenant);
  [[nodiscard]] absl::Status PutInPlace(Tenant* tenant);
  enum class Attempt { kFirst, kAgain };
  [[nodiscard]] absl::StatusOr<Change> Retire(const Tenant& tenant, Attempt attempt);
  [[nodiscard]] absl::Status Forget(const Tenant& tenant);
  [[nodiscard]] Change ChangeOf(const Tenant& tenant) const;
  [[nodiscard]] absl::StatusOr<jetstream::NatsEndpoint> SystemUser() const;
  // Again while nobody is there, as for a server that is just being started; arrival_patience long.
  [[nodiscard]] absl::Status UntilThere(const std::function<absl::Status()>& push) const;
  [[nodiscard]] absl::StatusOr<jetstream::NkeyPair> OperatorKey() const;

  const AdminOptions options_;
  Roster roster_;
  const AccountProbe probe_;
  const int lock_fd_;
};

}  // namespace jetd::tenant

#endif  // JETD_TENANT_TENANT_ADMIN_H_
