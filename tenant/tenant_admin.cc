// SPDX-License-Identifier: Apache-2.0
#include "tenant/tenant_admin.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_split.h"
#include "base/pem_files.h"
#include "base/strings.h"
#include "tenant/atomic_file.h"
#include "tenant/config_word.h"
#include "tenant/operator_server.h"
#include "tenant/static_server.h"
#include "tenant/tenant_folder.h"

namespace jetd::tenant {
namespace {

using jetstream::NatsEndpoint;
using jetstream::NkeyKind;
using jetstream::NkeyPair;

// Until when JWTs of a user are revoked: its key never comes again, and a clock that was ahead may
// have dated one into the future. The last second of the year 9999.
constexpr int64_t kForEver = 253'402'300'799;
constexpr std::chrono::milliseconds kPushPause{200};

template <typename... Pieces>
absl::Status Failed(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

// The public key of a user's credentials; empty: there is none.
std::string UserOf(const std::string& path) {
  const auto key = ReadKey(path, NkeyKind::kUser);
  return key.ok() ? key->public_key() : std::string();
}

}  // namespace

// ---- The folder ---------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<TenantAdmin>> TenantAdmin::Open(AdminOptions options) {
  const std::string path = Cat(options.folder, "/", kRosterFile);
  if (!IsThere(path)) {
    return MakeStatus(absl::StatusCode::kNotFound, "no tenants are kept in ", options.folder,
                      ": begin with `jetctl tenant init`");
  }
  const auto lock = LockFolder(options.folder, options.lock_patience, options.tell);
  if (!lock.ok()) return lock.status();
  absl::StatusOr<Roster> roster;
  const auto text = ReadWholeFile(path);
  if (text.ok()) {
    roster = ParseRoster(*text);
  } else {
    roster = text.status();
  }
  if (!roster.ok()) {
    close(*lock);
    return Failed(path, ": ", MessageOf(roster.status()));
  }
  if (options.server.url.empty()) {
    options.other_servers = absl::StrSplit(roster->nats_url, ',', absl::SkipEmpty());
    if (!options.other_servers.empty()) {
      options.server.url = options.other_servers.front();
      options.other_servers.erase(options.other_servers.begin());
    }
  }
  return std::unique_ptr<TenantAdmin>(
      new TenantAdmin(std::move(options), *std::move(roster), *lock));
}

TenantAdmin::TenantAdmin(AdminOptions options, Roster roster, int lock_fd)
    : options_(std::move(options)),
      roster_(std::move(roster)),
      probe_(options_.server, options_.other_servers, roster_.kind, options_.arrival_patience),
      lock_fd_(lock_fd) {}

TenantAdmin::~TenantAdmin() { close(lock_fd_); }

std::string TenantAdmin::Path(std::string_view name) const {
  return Cat(options_.folder, "/", name);
}

std::string TenantAdmin::nats_urls() const {
  std::string text = jetstream::UrlWithoutSecrets(options_.server.url);
  for (const std::string& url : options_.other_servers) {
    CatTo(text, ",", jetstream::UrlWithoutSecrets(url));
  }
  return text;
}

std::string TenantAdmin::CredentialsFile(const Tenant& tenant) const {
  return Path(Cat("creds/", tenant.name, roster_.kind == ServerKind::kStatic ? ".nkey" : ".creds"));
}

std::string TenantAdmin::AccountSeedFile(const Tenant& tenant) const {
  return Path(Cat("keys/accounts/", tenant.name, ".seed"));
}

std::string TenantAdmin::NextFile(const Tenant& tenant) const {
  return CredentialsFile(tenant) + ".next";
}

std::string TenantAdmin::OldFile(const Tenant& tenant) const {
  return CredentialsFile(tenant) + ".old";
}

absl::StatusOr<Tenant> TenantAdmin::Find(const std::string& name) const {
  const auto found = roster_.tenants.find(name);
  if (found != roster_.tenants.end()) return found->second;
  std::string others;
  for (const auto& [other, tenant] : roster_.tenants) {
    CatTo(others, others.empty() ? "" : ", ", other);
  }
  return MakeStatus(absl::StatusCode::kNotFound, "there is no tenant \"", name, "\"; there ",
                    others.empty() ? "are none" : Cat("are: ", others));
}

absl::Status TenantAdmin::Save(const Roster& next) {
  absl::Status saved = WriteSecret(Path(kRosterFile), TextOf(next));
  if (saved.ok()) roster_ = next;
  return saved;
}

absl::StatusOr<Roster> TenantAdmin::With(const Tenant& tenant) const {
  Roster next = roster_;
  next.tenants[tenant.name] = tenant;
  if (next.kind == ServerKind::kOperator) {
    // A resolver takes no JWT for newer than one with a later time.
    next.issued = std::max(NowSeconds(), next.issued);
  } else if (!options_.nats_server.empty()) {
    absl::Status checked = CheckAccounts(options_.nats_server, options_.folder, AccountsText(next),
                                         options_.check_patience);
    if (!checked.ok()) return checked;
  }
  return next;
}

// ---- Commands -----------------------------------------------------------------------------------

Change TenantAdmin::ChangeOf(const Tenant& tenant) const {
  return {.tenant = tenant, .credentials_file = CredentialsFile(tenant)};
}

absl::StatusOr<Tenant> TenantAdmin::FindLasting(const std::string& name) const {
  auto tenant = Find(name);
  if (tenant.ok() && tenant->going) {
    return Failed("tenant ", name, " is being removed; `jetctl tenant remove ", name,
                  " --yes` ends it");
  }
  return tenant;
}

absl::Status TenantAdmin::CheckNewName(const std::string& name) const {
  if (IsReservedName(name)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "\"", name,
                      "\" is the name of an account of nats-server's own; choose another");
  }
  if (roster_.kind == ServerKind::kOperator || options_.nats_config.empty()) {
    return absl::OkStatus();
  }
  const auto where = FindConfigWord(options_.nats_config, Path(kAccountsFile), name);
  if (!where.ok()) return where.status();
  if (where->empty()) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kInvalidArgument, "\"", name, "\" stands in ", *where,
                    ", perhaps as an account, which a tenant of that name would replace; choose ",
                    "another, or look, and leave --nats-config out");
}

absl::Status TenantAdmin::WriteCredentials(const std::string& path, const Tenant& tenant,
                                           const NkeyPair& user) const {
  if (roster_.kind == ServerKind::kStatic) return WriteSecret(path, user.Seed() + "\n");
  const auto account = ReadKey(AccountSeedFile(tenant), NkeyKind::kAccount);
  if (!account.ok()) return account.status();
  return WriteSecret(path, TenantCredentials(*account, user, tenant, NowSeconds()));
}

absl::StatusOr<Change> TenantAdmin::Add(const Tenant& wanted) {
  if (roster_.tenants.contains(wanted.name)) {
    const auto there = FindLasting(wanted.name);
    if (!there.ok()) return there.status();
    if (there->bucket != wanted.bucket || there->limits != wanted.limits) {
      return MakeStatus(absl::StatusCode::kAlreadyExists, "tenant ", there->name,
                        " is there with other settings (bucket ", there->bucket, ", storage ",
                        there->limits.storage_bytes, " bytes, streams ", there->limits.streams,
                        ", consumers ", there->limits.consumers,
                        "); `jetctl tenant limit` changes limits");
    }
    if (!IsThere(CredentialsFile(*there))) {
      return Failed("tenant ", there->name, " is there, but ", CredentialsFile(*there),
                    " is gone; `jetctl tenant rotate ", there->name, "` makes new credentials");
    }
    return Put(*there, nullptr);
  }
  if (absl::Status named = CheckNewName(wanted.name); !named.ok()) return named;
  const NkeyPair user = NkeyPair::Generate(NkeyKind::kUser);
  Tenant tenant = wanted;
  tenant.user = user.public_key();
  if (roster_.kind == ServerKind::kOperator) {
    const NkeyPair account = NkeyPair::Generate(NkeyKind::kAccount);
    tenant.account = account.public_key();
    absl::Status written = WriteSecret(AccountSeedFile(tenant), account.Seed() + "\n");
    if (!written.ok()) return written;
  }
  return Put(tenant, &user);
}

absl::StatusOr<Change> TenantAdmin::Limit(const std::string& name, const LimitChange& change) {
  auto tenant = FindLasting(name);
  if (!tenant.ok()) return tenant.status();
  AccountLimits& limits = tenant->limits;
  limits.storage_bytes = change.storage_bytes.value_or(limits.storage_bytes);
  limits.streams = change.streams.value_or(limits.streams);
  limits.consumers = change.consumers.value_or(limits.consumers);
  return Put(*tenant, nullptr);
}

absl::StatusOr<Change> TenantAdmin::Put(const Tenant& tenant, const NkeyPair* new_user) {
  Change change = ChangeOf(tenant);
  const auto found = roster_.tenants.find(tenant.name);
  change.changed = found == roster_.tenants.end() || found->second != tenant;
  const auto next = With(tenant);
  if (!next.ok()) return next.status();
  absl::Status kept;
  if (new_user != nullptr) kept = WriteCredentials(change.credentials_file, tenant, *new_user);
  if (kept.ok()) kept = Save(*next);
  if (!kept.ok()) return kept;
  auto left = Publish(tenant);
  if (!left.ok()) return left.status();
  change.next = *std::move(left);
  if (!change.next.empty() || !probe_.known()) return change;
  const absl::Status served = probe_.UntilServed(tenant, change.credentials_file);
  if (!served.ok()) {
    return Failed("tenant ", tenant.name, " is written, but ", MessageOf(served));
  }
  return change;
}

absl::StatusOr<Change> TenantAdmin::Remove(const std::string& name) {
  auto tenant = Find(name);
  if (!tenant.ok()) return tenant.status();
  const bool again = tenant->going;
  if (!again) {
    tenant->going = true;
    const auto next = With(*tenant);
    if (!next.ok()) return next.status();
    if (absl::Status saved = Save(*next); !saved.ok()) return saved;
  }
  Change change = ChangeOf(*tenant);
  auto left = PublishRemoval(*tenant);
  if (!left.ok()) return left.status();
  if (!probe_.known() || !IsThere(change.credentials_file)) {
    change.next = left->empty() ? Cat("see that nats-server has ended its connections: it was not ",
                                      "looked at, for want of ",
                                      probe_.known() ? "its credentials" : "--nats-url")
                                : *std::move(left);
  } else {
    if (!left->empty() && !again) {
      change.finished = false;
      change.next = Cat(*left, ", then give this command again: it looks and ends it");
      return change;
    }
    const absl::Status refused = probe_.UntilRefused(*tenant, change.credentials_file);
    if (!refused.ok()) {
      return Failed("tenant ", name, " is taken out, but ", MessageOf(refused),
                    "; its credentials are kept to look again: give the command again");
    }
  }
  if (absl::Status forgotten = Forget(*tenant); !forgotten.ok()) return forgotten;
  return change;
}

// The list's entry last: with it the rest is done by giving the command again.
absl::Status TenantAdmin::Forget(const Tenant& tenant) {
  absl::Status removed;
  for (const std::string& path :
       {NextFile(tenant), OldFile(tenant), CredentialsFile(tenant), AccountSeedFile(tenant)}) {
    removed.Update(RemoveFile(path));
  }
  if (!removed.ok()) return removed;
  Roster next = roster_;
  next.tenants.erase(tenant.name);
  return Save(next);
}

// ---- New credentials ----------------------------------------------------------------------------
//
//   user   next_user   NAME.creds   .next   .old
//   A      -           A
//   A      B           A            B              both are let in, once the server is told
//   B      -           B                    A      A is let in no more, once the server is told
//   B      -           B
//
// From one line to the next the files come before the list, and a command that is given again goes
// on with the line that it finds.

absl::StatusOr<Change> TenantAdmin::Rotate(const std::string& name) {
  auto tenant = FindLasting(name);
  if (!tenant.ok()) return tenant.status();
  if (tenant->next_user.empty() && IsThere(OldFile(*tenant))) {
    return Retire(*tenant, Attempt::kAgain);
  }
  auto unfinished = Introduce(&*tenant);
  if (!unfinished.ok()) return unfinished.status();
  if (unfinished->has_value()) return **std::move(unfinished);
  if (absl::Status placed = PutInPlace(&*tenant); !placed.ok()) return placed;
  return Retire(*tenant, Attempt::kFirst);
}

absl::StatusOr<std::optional<Change>> TenantAdmin::Introduce(Tenant* tenant) {
  const bool again =
      !tenant->next_user.empty() && (UserOf(NextFile(*tenant)) == tenant->next_user ||
                                     UserOf(CredentialsFile(*tenant)) == tenant->next_user);
  if (!again) {
    const NkeyPair user = NkeyPair::Generate(NkeyKind::kUser);
    tenant->next_user = user.public_key();
    const auto next = With(*tenant);
    if (!next.ok()) return next.status();
    absl::Status kept = WriteCredentials(NextFile(*tenant), *tenant, user);
    if (kept.ok()) kept = Save(*next);
    if (!kept.ok()) return kept;
  }
  // Without credentials in place nobody is to be kept in.
  if (!IsThere(CredentialsFile(*tenant))) return std::nullopt;
  auto left = Publish(*tenant);
  if (!left.ok()) return left.status();
  if (!again && (!left->empty() || !probe_.known())) {
    Change change = ChangeOf(*tenant);
    change.finished = false;
    change.next = Cat(left->empty() ? "see that nats-server has read its configuration" : *left,
                      ", then give this command again: until then the old credentials count");
    return change;
  }
  if (!probe_.known()) return std::nullopt;
  const std::string next = NextFile(*tenant);
  const absl::Status served =
      probe_.UntilServedByAll(*tenant, IsThere(next) ? next : CredentialsFile(*tenant));
  if (served.ok()) return std::nullopt;
  return Failed("tenant ", tenant->name, " keeps its credentials, for with the new ones ",
                MessageOf(served), "; give the command again");
}

absl::Status TenantAdmin::PutInPlace(Tenant* tenant) {
  const std::string path = CredentialsFile(*tenant);
  const std::string next = NextFile(*tenant);
  if (UserOf(path) != tenant->next_user) {
    if (IsThere(path)) {
      const auto old = ReadWholeFile(path);
      if (!old.ok()) return old.status();
      if (absl::Status kept = WriteSecret(OldFile(*tenant), *old); !kept.ok()) return kept;
    }
    const auto text = ReadWholeFile(next);
    if (!text.ok()) return text.status();
    if (absl::Status placed = WriteSecret(path, *text); !placed.ok()) return placed;
  }
  if (absl::Status removed = RemoveFile(next); !removed.ok()) return removed;
  // An account's JWT names for ever whom it revokes; a static configuration just names nobody else.
  if (roster_.kind == ServerKind::kOperator) tenant->revoked[tenant->user] = kForEver;
  tenant->user = std::exchange(tenant->next_user, std::string());
  const auto roster = With(*tenant);
  if (!roster.ok()) return roster.status();
  return Save(*roster);
}

absl::StatusOr<Change> TenantAdmin::Retire(const Tenant& tenant, Attempt attempt) {
  Change change = ChangeOf(tenant);
  auto left = Publish(tenant);
  if (!left.ok()) return left.status();
  const std::string old = OldFile(tenant);
  if (!probe_.known()) {
    change.next = left->empty() ? "see that nats-server refuses the old ones: it was not looked at"
                                : *std::move(left);
  } else if (!left->empty() && attempt == Attempt::kFirst) {
    change.finished = !IsThere(old);
    change.next = *std::move(left);
    if (!change.finished) change.next += ", then give this command again: it looks and ends it";
    return change;
  } else {
    absl::Status seen = probe_.UntilServedByAll(tenant, change.credentials_file);
    if (seen.ok() && IsThere(old)) seen = probe_.UntilRefused(tenant, old);
    if (!seen.ok()) {
      return Failed("tenant ", tenant.name, " has new credentials, and the old ones are to count ",
                    "no more, but ", MessageOf(seen), "; give the command again");
    }
  }
  if (absl::Status removed = RemoveFile(old); !removed.ok()) return removed;
  return change;
}

// ---- The server ---------------------------------------------------------------------------------

absl::StatusOr<std::string> TenantAdmin::Publish(const Tenant& tenant) {
  if (roster_.kind == ServerKind::kStatic) return PublishConfig();
  const auto system = SystemUser();
  if (!system.ok()) return system.status();
  const auto key = OperatorKey();
  if (!key.ok()) return key.status();
  absl::Status pushed =
      UntilThere([&] { return PushAccount(*system, *key, tenant, roster_.issued); });
  if (pushed.ok()) return std::string();
  return MakeStatus(
      pushed.code(), "written to ", options_.folder,
      ", but not brought to the server (give the command again): ", MessageOf(pushed));
}

absl::StatusOr<std::string> TenantAdmin::PublishRemoval(const Tenant& tenant) {
  if (roster_.kind == ServerKind::kStatic) return PublishConfig();
  const auto system = SystemUser();
  if (!system.ok()) return system.status();
  const auto key = OperatorKey();
  if (!key.ok()) return key.status();
  absl::Status deleted =
      UntilThere([&] { return DeleteAccount(*system, *key, tenant.account, NowSeconds()); });
  if (!deleted.ok()) return deleted;
  return std::string();
}

absl::Status TenantAdmin::UntilThere(const std::function<absl::Status()>& push) const {
  const auto deadline = std::chrono::steady_clock::now() + options_.arrival_patience;
  for (bool told = false;; told = true) {
    absl::Status pushed = push();
    if (!absl::IsUnavailable(pushed) || std::chrono::steady_clock::now() >= deadline) return pushed;
    if (!told && options_.tell) options_.tell(Cat("trying again: ", MessageOf(pushed)));
    std::this_thread::sleep_for(kPushPause);
  }
}

absl::StatusOr<std::string> TenantAdmin::PublishConfig() {
  const std::string path = Path(kAccountsFile);
  absl::Status written = WriteFileAtomically(path, AccountsText(roster_), kOpenFile);
  if (!written.ok()) return written;
  if (options_.pid_file.empty()) {
    return Cat("tell nats-server to read ", path,
               " again: nats-server --signal reload=PID (or --pid-file FILE here)");
  }
  absl::Status told = TellToReload(options_.pid_file);
  if (!told.ok()) return Failed(path, " is written, but not read again: ", MessageOf(told));
  return std::string();
}

absl::StatusOr<AccountUse> TenantAdmin::Ask(const Tenant& tenant) const {
  return probe_.Ask(tenant, CredentialsFile(tenant));
}

absl::StatusOr<NatsEndpoint> TenantAdmin::SystemUser() const {
  if (options_.server.url.empty()) {
    return Failed("which server? Give --nats-url, here or to `jetctl tenant init`");
  }
  NatsEndpoint endpoint = options_.server;
  endpoint.credentials.creds_file = Path(kSystemCreds);
  return endpoint;
}

absl::StatusOr<NkeyPair> TenantAdmin::OperatorKey() const {
  return ReadKey(Path(kOperatorSeed), NkeyKind::kOperator);
}

}  // namespace jetd::tenant
