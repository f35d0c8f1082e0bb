// SPDX-License-Identifier: Apache-2.0
#include "tenant/tenant_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>

#include "base/pem_files.h"
#include "base/strings.h"
#include "tenant/atomic_file.h"
#include "tenant/operator_server.h"
#include "tenant/static_server.h"

namespace jetd::tenant {
namespace {

using jetstream::NkeyKind;
using jetstream::NkeyPair;

constexpr std::chrono::milliseconds kLockPause{100};

template <typename... Pieces>
absl::Status Failed(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

// The key that an earlier attempt left there, or a new one.
absl::StatusOr<NkeyPair> KeptOrNewKey(const std::string& path, NkeyKind kind) {
  if (!IsThere(path)) return NkeyPair::Generate(kind);
  return ReadKey(path, kind);
}

absl::Status CheckHoldsNoTenants(const std::string& folder) {
  for (const char* name : {"creds", "keys/accounts"}) {
    std::error_code error;
    const std::filesystem::directory_iterator files(Cat(folder, "/", name), error);
    if (error || files == std::filesystem::directory_iterator()) continue;
    return Failed("there are keys of tenants (", files->path().string(), "), but no ", kRosterFile,
                  "; bring it back from a copy of the folder, or begin another folder");
  }
  return absl::OkStatus();
}

// With an operator that is there already.
absl::Status TakeOperator(const NewFolder& folder, const std::string& base) {
  const auto key = ReadKey(folder.operator_seed_file, NkeyKind::kOperator);
  if (!key.ok()) return key.status();
  if (IsThere(base + kOperatorSeed)) {
    const auto kept = ReadKey(base + kOperatorSeed, NkeyKind::kOperator);
    if (!kept.ok()) return kept.status();
    if (kept->public_key() != key->public_key()) {
      return Failed(base, kOperatorSeed, " is the key of another operator; begin another folder");
    }
  }
  absl::Status creds = jetstream::CheckCredsFile(folder.system_creds_file);
  if (!creds.ok()) return Failed(MessageOf(creds));
  const auto text = ReadWholeFile(folder.system_creds_file);
  if (!text.ok()) return text.status();
  absl::Status written = WriteSecret(base + kOperatorSeed, key->Seed() + "\n");
  if (written.ok()) written = WriteSecret(base + kSystemCreds, *text);
  return written;
}

absl::Status InitOperator(const NewFolder& folder, Roster* roster) {
  const std::string base = folder.folder + "/";
  for (const char* name : {"keys", "keys/accounts"}) {
    if (absl::Status made = MakeFolder(base + name, kSecretFolder); !made.ok()) return made;
  }
  if (!folder.operator_seed_file.empty()) return TakeOperator(folder, base);
  // The system account's seed is written first: an operator's alone is not from here.
  if (IsThere(base + kOperatorSeed) && !IsThere(base + kSystemSeed)) {
    return Failed(base, kOperatorSeed, " is the key of an operator that was not made here; give ",
                  "--operator-seed and --system-creds, or begin another folder");
  }
  const auto key = KeptOrNewKey(base + kOperatorSeed, NkeyKind::kOperator);
  if (!key.ok()) return key.status();
  const auto system = KeptOrNewKey(base + kSystemSeed, NkeyKind::kAccount);
  if (!system.ok()) return system.status();
  roster->operator_name = folder.operator_name;
  roster->issued = NowSeconds();
  roster->system_account = system->public_key();
  const NewOperator made =
      MakeOperator(*key, *system, folder.operator_name, folder.resolver_dir, roster->issued);
  absl::Status written = WriteSecret(base + kSystemSeed, system->Seed() + "\n");
  if (written.ok()) written = WriteSecret(base + kOperatorSeed, key->Seed() + "\n");
  if (written.ok()) written = WriteSecret(base + kSystemCreds, made.system_credentials);
  if (written.ok()) {
    written = WriteFileAtomically(base + kOperatorFile, made.configuration, kOpenFile);
  }
  return written;
}

}  // namespace

bool IsThere(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

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

absl::StatusOr<int> LockFolder(const std::string& folder, std::chrono::milliseconds patience,
                               const TellFn& tell) {
  const std::string path = folder + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kSecretFile);
  if (fd < 0) return Failed("cannot open ", path, ": ", std::string_view(std::strerror(errno)));
  const auto deadline = std::chrono::steady_clock::now() + patience;
  bool told = false;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    const bool busy = errno == EWOULDBLOCK;
    if (!busy || std::chrono::steady_clock::now() >= deadline) {
      close(fd);
      if (!busy) return Failed("cannot lock ", path);
      return MakeStatus(absl::StatusCode::kUnavailable, "another jetctl works in ", folder,
                        "; nothing was begun");
    }
    if (!told && tell != nullptr) tell(Cat("waiting for another jetctl, which works in ", folder));
    told = true;
    std::this_thread::sleep_for(kLockPause);
  }
  return fd;
}

absl::Status WriteSecret(const std::string& path, std::string_view text) {
  return WriteFileAtomically(path, text, kSecretFile);
}

absl::Status BeginFolder(const NewFolder& folder) {
  const std::string& path = folder.folder;
  if (absl::Status made = MakeFolder(path, kOpenFolder); !made.ok()) return made;
  const auto lock = LockFolder(path, kLockPatience, folder.tell);
  if (!lock.ok()) return lock.status();
  Roster roster{.kind = folder.kind, .nats_url = folder.nats_url};
  absl::Status status = MakeFolder(path + "/creds", kSecretFolder);
  if (IsThere(path + "/" + kRosterFile)) {
    status = MakeStatus(absl::StatusCode::kAlreadyExists, path, " keeps tenants already");
  } else if (status.ok()) {
    status = CheckHoldsNoTenants(path);
  }
  if (status.ok() && folder.kind == ServerKind::kOperator) {
    status = InitOperator(folder, &roster);
  } else if (status.ok()) {
    status = WriteFileAtomically(path + "/" + kAccountsFile, AccountsText(roster), kOpenFile);
  }
  // The last: with it the folder is one of tenants.
  if (status.ok()) status = WriteSecret(path + "/" + kRosterFile, TextOf(roster));
  close(*lock);
  return status;
}

}  // namespace jetd::tenant
