// SPDX-License-Identifier: Apache-2.0
#include "tenant/tenant_admin.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "base/pem_files.h"
#include "base/strings.h"
#include "jetstream/bucket_access.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_ask.h"
#include "nlohmann/json.hpp"
#include "tenant/atomic_file.h"
#include "tenant/operator_server.h"
#include "tenant/static_server.h"

namespace jetd::tenant {
namespace {

using jetstream::NatsEndpoint;
using jetstream::NkeyKind;
using jetstream::NkeyPair;

constexpr const char* kRosterFile = "tenants.json";
constexpr const char* kAccountsFile = "tenants.conf";
constexpr const char* kOperatorFile = "operator.conf";
constexpr const char* kOperatorSeed = "keys/operator.seed";
constexpr const char* kSystemSeed = "keys/system.seed";
constexpr const char* kSystemCreds = "keys/system.creds";
constexpr std::chrono::milliseconds kAnswerPatience{2'000};
// How long a server may take to do as told.
constexpr std::chrono::seconds kArrival{15};
constexpr std::chrono::milliseconds kPause{100};

template <typename... Pieces>
absl::Status Failed(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

int64_t NowSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The key of the first line that is a seed, as in credentials and seed files.
absl::StatusOr<NkeyPair> ReadKey(const std::string& path, NkeyKind kind) {
  const auto text = ReadWholeFile(path);
  if (!text.ok()) return text.status();
  for (size_t begin = 0; begin < text->size();) {
    const size_t end = std::min(text->find_first_of("\r\n", begin), text->size());
    auto key = NkeyPair::FromSeed(std::string_view(*text).substr(begin, end - begin));
    if (key.ok() && key->kind() == kind) return key;
    begin = end + 1;
  }
  return Failed(path, " holds no nkey seed of the kind that is needed here");
}

absl::StatusOr<int> LockFolder(const std::string& folder) {
  const std::string path = folder + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kSecretFile);
  if (fd < 0) return Failed("cannot open ", path, ": ", std::string_view(std::strerror(errno)));
  while (flock(fd, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    close(fd);
    return Failed("cannot lock ", path);
  }
  return fd;
}

absl::Status WriteSecret(const std::string& path, std::string_view text) {
  return WriteFileAtomically(path, text, kSecretFile);
}

absl::Status InitOperator(const NewFolder& folder, Roster* roster) {
  const std::string base = folder.folder + "/";
  for (const char* name : {"keys", "keys/accounts"}) {
    if (absl::Status made = MakeFolder(base + name, kSecretFolder); !made.ok()) return made;
  }
  if (!folder.operator_seed_file.empty()) {
    auto key = ReadKey(folder.operator_seed_file, NkeyKind::kOperator);
    if (!key.ok()) return key.status();
    absl::Status creds = jetstream::CheckCredsFile(folder.system_creds_file);
    if (!creds.ok()) return Failed(MessageOf(creds));
    const auto text = ReadWholeFile(folder.system_creds_file);
    if (!text.ok()) return text.status();
    absl::Status written = WriteSecret(base + kOperatorSeed, key->Seed() + "\n");
    if (written.ok()) written = WriteSecret(base + kSystemCreds, *text);
    return written;
  }
  roster->operator_name = folder.operator_name;
  roster->issued = NowSeconds();
  const NewOperator made = MakeOperator(folder.operator_name, folder.resolver_dir, roster->issued);
  roster->system_account = made.system_account;
  absl::Status written = WriteSecret(base + kOperatorSeed, made.operator_seed + "\n");
  if (written.ok()) written = WriteSecret(base + kSystemSeed, made.system_account_seed + "\n");
  if (written.ok()) written = WriteSecret(base + kSystemCreds, made.system_credentials);
  if (written.ok()) {
    written = WriteFileAtomically(base + kOperatorFile, made.configuration, kOpenFile);
  }
  return written;
}

}  // namespace

// ---- The folder ---------------------------------------------------------------------------------

absl::Status TenantAdmin::Init(const NewFolder& folder) {
  const std::string& path = folder.folder;
  if (absl::Status made = MakeFolder(path, kOpenFolder); !made.ok()) return made;
  const auto lock = LockFolder(path);
  if (!lock.ok()) return lock.status();
  Roster roster{.kind = folder.kind, .nats_url = folder.nats_url};
  absl::Status status = MakeFolder(path + "/creds", kSecretFolder);
  std::error_code ignored;
  if (std::filesystem::exists(path + "/" + kRosterFile, ignored)) {
    status = MakeStatus(absl::StatusCode::kAlreadyExists, path, " keeps tenants already");
  } else if (status.ok() && folder.kind == ServerKind::kOperator) {
    status = InitOperator(folder, &roster);
  } else if (status.ok()) {
    status = WriteFileAtomically(path + "/" + kAccountsFile, AccountsText(roster), kOpenFile);
  }
  // The last: with it the folder is one of tenants.
  if (status.ok()) status = WriteSecret(path + "/" + kRosterFile, TextOf(roster));
  close(*lock);
  return status;
}

absl::StatusOr<std::unique_ptr<TenantAdmin>> TenantAdmin::Open(AdminOptions options) {
  const std::string path = Cat(options.folder, "/", kRosterFile);
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return MakeStatus(absl::StatusCode::kNotFound, "no tenants are kept in ", options.folder,
                      ": begin with `jetctl tenant init`");
  }
  const auto lock = LockFolder(options.folder);
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
  if (options.server.url.empty()) options.server.url = roster->nats_url;
  return std::unique_ptr<TenantAdmin>(
      new TenantAdmin(std::move(options), *std::move(roster), *lock));
}

TenantAdmin::TenantAdmin(AdminOptions options, Roster roster, int lock_fd)
    : options_(std::move(options)), roster_(std::move(roster)), lock_fd_(lock_fd) {}

TenantAdmin::~TenantAdmin() { close(lock_fd_); }

std::string TenantAdmin::Path(std::string_view name) const {
  return Cat(options_.folder, "/", name);
}

std::string TenantAdmin::CredentialsFile(const Tenant& tenant) const {
  return Path(Cat("creds/", tenant.name, roster_.kind == ServerKind::kStatic ? ".nkey" : ".creds"));
}

std::string TenantAdmin::AccountSeedFile(const Tenant& tenant) const {
  return Path(Cat("keys/accounts/", tenant.name, ".seed"));
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

// ---- Commands -----------------------------------------------------------------------------------

absl::Status TenantAdmin::WriteCredentials(const Tenant& tenant, const NkeyPair& user) const {
  if (roster_.kind == ServerKind::kStatic) {
    return WriteSecret(CredentialsFile(tenant), user.Seed() + "\n");
  }
  const auto account = ReadKey(AccountSeedFile(tenant), NkeyKind::kAccount);
  if (!account.ok()) return account.status();
  return WriteSecret(CredentialsFile(tenant),
                     TenantCredentials(*account, user, tenant, NowSeconds()));
}

absl::StatusOr<Change> TenantAdmin::Add(const Tenant& wanted) {
  const auto found = roster_.tenants.find(wanted.name);
  if (found != roster_.tenants.end()) {
    const Tenant& there = found->second;
    if (there.bucket != wanted.bucket || there.limits != wanted.limits) {
      return MakeStatus(absl::StatusCode::kAlreadyExists, "tenant ", there.name,
                        " is there with other settings (bucket ", there.bucket, ", storage ",
                        there.limits.storage_bytes, " bytes, streams ", there.limits.streams,
                        ", consumers ", there.limits.consumers,
                        "); `jetctl tenant limit` changes limits");
    }
    std::error_code ignored;
    if (!std::filesystem::exists(CredentialsFile(there), ignored)) {
      return Failed("tenant ", there.name, " is there, but ", CredentialsFile(there),
                    " is gone; `jetctl tenant rotate ", there.name, "` makes new credentials");
    }
    return Put(Tenant(there), nullptr);
  }
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
  auto tenant = Find(name);
  if (!tenant.ok()) return tenant.status();
  AccountLimits& limits = tenant->limits;
  limits.storage_bytes = change.storage_bytes.value_or(limits.storage_bytes);
  limits.streams = change.streams.value_or(limits.streams);
  limits.consumers = change.consumers.value_or(limits.consumers);
  return Put(*tenant, nullptr);
}

absl::StatusOr<Change> TenantAdmin::Rotate(const std::string& name) {
  auto tenant = Find(name);
  if (!tenant.ok()) return tenant.status();
  // An account's JWT names for ever whom it revokes; a static configuration just names nobody else.
  if (roster_.kind == ServerKind::kOperator) tenant->revoked[tenant->user] = NowSeconds();
  const NkeyPair user = NkeyPair::Generate(NkeyKind::kUser);
  tenant->user = user.public_key();
  return Put(*tenant, &user);
}

absl::StatusOr<Change> TenantAdmin::Put(const Tenant& tenant, const NkeyPair* new_user) {
  Roster next = roster_;
  next.tenants[tenant.name] = tenant;
  const bool changed = next != roster_;
  if (next.kind == ServerKind::kOperator) {
    // A resolver takes no JWT for newer than one with a later time.
    next.issued = std::max(NowSeconds(), next.issued);
  } else if (!options_.nats_server.empty()) {
    absl::Status checked = CheckAccounts(options_.nats_server, options_.folder, AccountsText(next));
    if (!checked.ok()) return checked;
  }
  if (new_user != nullptr) {
    absl::Status written = WriteCredentials(tenant, *new_user);
    if (!written.ok()) return written;
  }
  if (absl::Status saved = Save(next); !saved.ok()) return saved;
  auto left = Publish(tenant);
  if (!left.ok()) return left.status();
  return Change{.tenant = tenant,
                .credentials_file = CredentialsFile(tenant),
                .changed = changed,
                .next = *std::move(left)};
}

absl::StatusOr<Change> TenantAdmin::Remove(const std::string& name) {
  auto tenant = Find(name);
  if (!tenant.ok()) return tenant.status();
  Change change{.tenant = *tenant, .credentials_file = CredentialsFile(*tenant)};
  if (roster_.kind == ServerKind::kOperator) {
    // First the server: as long as it knows the account, its keys are needed.
    const auto system = SystemUser();
    if (!system.ok()) return system.status();
    const auto key = OperatorKey();
    if (!key.ok()) return key.status();
    absl::Status deleted = DeleteAccount(*system, *key, tenant->account, NowSeconds());
    if (!deleted.ok()) return deleted;
  }
  Roster next = roster_;
  next.tenants.erase(name);
  if (absl::Status saved = Save(next); !saved.ok()) return saved;
  absl::Status removed = RemoveFile(CredentialsFile(*tenant));
  if (roster_.kind == ServerKind::kOperator) {
    removed.Update(RemoveFile(AccountSeedFile(*tenant)));
  } else {
    auto left = PublishConfig();
    if (!left.ok()) return left.status();
    change.next = *std::move(left);
  }
  if (!removed.ok()) return removed;
  return change;
}

// ---- The server ---------------------------------------------------------------------------------

absl::StatusOr<std::string> TenantAdmin::Publish(const Tenant& tenant) {
  std::string left;
  if (roster_.kind == ServerKind::kOperator) {
    const auto system = SystemUser();
    if (!system.ok()) return system.status();
    const auto key = OperatorKey();
    if (!key.ok()) return key.status();
    absl::Status pushed = PushAccount(*system, *key, tenant, roster_.issued);
    if (!pushed.ok()) {
      return MakeStatus(
          pushed.code(), "written to ", options_.folder,
          ", but not brought to the server (give the command again): ", MessageOf(pushed));
    }
  } else {
    auto published = PublishConfig();
    if (!published.ok() || !published->empty()) return published;
  }
  if (options_.server.url.empty()) return std::string();
  absl::Status arrived = Verify(tenant);
  if (!arrived.ok()) return arrived;
  return std::string();
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

// Until the tenant's own user sees what was asked for.
absl::Status TenantAdmin::Verify(const Tenant& tenant) const {
  const auto deadline = std::chrono::steady_clock::now() + kArrival;
  absl::Status last;
  do {
    const auto use = Ask(tenant);
    if (use.ok() && use->storage_limit_bytes == tenant.limits.storage_bytes) {
      return absl::OkStatus();
    }
    last = use.ok() ? Failed("its storage limit is ", use->storage_limit_bytes, " bytes there")
                    : use.status();
    std::this_thread::sleep_for(kPause);
  } while (std::chrono::steady_clock::now() < deadline);
  return Failed("tenant ", tenant.name, " is written, but the server at ",
                jetstream::UrlWithoutSecrets(options_.server.url),
                " does not serve it so: ", MessageOf(last));
}

absl::StatusOr<AccountUse> TenantAdmin::Ask(const Tenant& tenant) const {
  if (options_.server.url.empty()) return Failed("no server is known; give --nats-url");
  NatsEndpoint endpoint = options_.server;
  auto& credentials = endpoint.credentials;
  (roster_.kind == ServerKind::kStatic ? credentials.nkey_seed_file : credentials.creds_file) =
      CredentialsFile(tenant);
  const std::string inbox = jetstream::InboxPrefix(tenant.bucket);
  const auto answer = jetstream::AskNats(
      endpoint, {.subject = "$JS.API.INFO", .inbox_prefix = inbox}, kAnswerPatience);
  if (!answer.ok()) return answer.status();
  const nlohmann::json account = jetstream::ParseAnswer(*answer);
  const jetstream::ApiError error = jetstream::ApiErrorOf(account);
  if (error.code != 0) return Failed("JetStream: ", error.description);
  const auto limits = account.find("limits");
  if (limits == account.end() || !limits->is_object()) return Failed("JetStream names no limits");
  return AccountUse{.storage_bytes = jetstream::IntegerOf(account, "storage", 0),
                    .streams = jetstream::IntegerOf(account, "streams", 0),
                    .consumers = jetstream::IntegerOf(account, "consumers", 0),
                    .storage_limit_bytes = jetstream::IntegerOf(*limits, "max_storage", 0)};
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
