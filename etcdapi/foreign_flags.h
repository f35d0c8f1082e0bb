// SPDX-License-Identifier: Apache-2.0
//
// etcd's flags that have no meaning here. A command line written for etcd (kubeadm's, for example)
// should start jetd: what concerns only raft, disks or etcd's own past is taken with a warning.
// What would make the server less safe or less useful than its operator believes is refused.
#ifndef JETD_ETCDAPI_FOREIGN_FLAGS_H_
#define JETD_ETCDAPI_FOREIGN_FLAGS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace jetd::etcdapi {

struct ForeignFlags {
  std::vector<std::string> rest;      // arguments that are not etcd's alone
  std::vector<std::string> warnings;  // one line for each flag that was taken out
};
// `arguments` without the program's name. InvalidArgument for a refused one, with the mend.
[[nodiscard]] absl::StatusOr<ForeignFlags> TakeForeignFlags(
    const std::vector<std::string>& arguments);

// Their names, without dashes.
[[nodiscard]] std::vector<std::string> ForeignFlagNames();

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_FOREIGN_FLAGS_H_
