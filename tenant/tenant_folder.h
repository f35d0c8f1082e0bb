// SPDX-License-Identifier: Apache-2.0
//
// The folder in which the tenants of one nats-server are kept: its files (tenant_admin.h), its
// lock, its beginning. All of it blocks; any thread.
#ifndef JETD_TENANT_TENANT_FOLDER_H_
#define JETD_TENANT_TENANT_FOLDER_H_

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "jetstream/nkey.h"
#include "tenant/roster.h"

namespace jetd::tenant {

inline constexpr const char* kRosterFile = "tenants.json";
inline constexpr const char* kAccountsFile = "tenants.conf";
inline constexpr const char* kOperatorFile = "operator.conf";
inline constexpr const char* kOperatorSeed = "keys/operator.seed";
inline constexpr const char* kSystemSeed = "keys/system.seed";
inline constexpr const char* kSystemCreds = "keys/system.creds";
// How long another jetctl may keep the folder to itself.
inline constexpr std::chrono::milliseconds kLockPatience{60'000};

// Told what is waited for, one line.
using TellFn = std::function<void(const std::string& line)>;

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
  TellFn tell = {};  // may be null
};

// The folder may be there and empty, or there with nothing of this in it, or with what an attempt
// left that was interrupted: its keys are kept then. AlreadyExists: tenants are kept there.
// FailedPrecondition: it holds keys of tenants, or of another operator, without their list.
// Unavailable: as of LockFolder.
[[nodiscard]] absl::Status BeginFolder(const NewFolder& folder);

// Waits for another, and tells so. Returns a descriptor: closed, the folder is free. Unavailable:
// it waited for as long as `patience`.
[[nodiscard]] absl::StatusOr<int> LockFolder(const std::string& folder,
                                             std::chrono::milliseconds patience,
                                             const TellFn& tell);

[[nodiscard]] bool IsThere(const std::string& path);
// The key of the first line that is a seed, as in credentials and seed files.
[[nodiscard]] absl::StatusOr<jetstream::NkeyPair> ReadKey(const std::string& path,
                                                          jetstream::NkeyKind kind);
[[nodiscard]] absl::Status WriteSecret(const std::string& path, std::string_view text);

}  // namespace jetd::tenant

#endif  // JETD_TENANT_TENANT_FOLDER_H_
