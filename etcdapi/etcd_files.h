// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_ETCD_FILES_H_
#define JETD_ETCDAPI_ETCD_FILES_H_

#include <string>

#include "absl/status/status.h"

namespace jetd::etcdapi {

// Refuses a data folder that an etcd kept its data in and no jetd has a store in: what began empty
// beside that data would look to clients as if all of it was gone. FailedPrecondition, one line
// that names the import. Blocks.
[[nodiscard]] absl::Status CheckNoEtcdFiles(const std::string& data_dir);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_ETCD_FILES_H_
