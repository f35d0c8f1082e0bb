// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/etcd_files.h"

#include <filesystem>
#include <system_error>

#include "base/strings.h"

namespace jetd::etcdapi {

absl::Status CheckNoEtcdFiles(const std::string& data_dir) {
  std::error_code ignored;  // what cannot be looked at, the nats-server's start complains about
  const std::string file = Cat(data_dir, "/member/snap/db");
  if (!std::filesystem::exists(file, ignored) ||
      std::filesystem::exists(Cat(data_dir, "/nats"), ignored)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      Cat("--data-dir: ", data_dir, " has the data of an etcd, and jetd would begin empty beside ",
          "it; take it over by jetctl import --from-snapshot ", file,
          " --skip-hash-check --to-data-dir FOLDER, or move it away"));
}

}  // namespace jetd::etcdapi
