// SPDX-License-Identifier: Apache-2.0
//
// kine's command line, so that jetd can stand in its place: what is kine's becomes what jetd means
// by it, or a warning, or an error. A line is kine's when it has a flag that only kine knows; there
// --cert-file, --key-file and --ca-file are for the connection to NATS, as in kine, while in one of
// etcd's they are for clients.
#ifndef JETD_ETCDAPI_KINE_FLAGS_H_
#define JETD_ETCDAPI_KINE_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace jetd::etcdapi {

struct KineFlags {
  // jetd's own flags: first those that stand for kine's, then what was not kine's, so that of two
  // the one that is written in jetd's words counts.
  std::vector<std::string> arguments;
  std::string user, password, token;  // of --endpoint; empty: not said
  bool owner_only_sockets = false;    // kine's unix sockets have mode 0600
  std::vector<std::string> warnings;
};

// `on_line` without the program's name, each flag with two dashes. Reads kine's variables too,
// KINE_ENDPOINT for --endpoint, which the line overrides. InvalidArgument with one line, which
// begins with the flag or the variable and holds no secret. Blocks.
[[nodiscard]] absl::StatusOr<KineFlags> TakeKineFlags(const std::vector<std::string>& on_line);

// The names of those that only kine knows, without dashes.
[[nodiscard]] std::vector<std::string> KineFlagNames();

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_KINE_FLAGS_H_
