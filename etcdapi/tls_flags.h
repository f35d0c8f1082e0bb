// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_TLS_FLAGS_H_
#define JETD_ETCDAPI_TLS_FLAGS_H_

#include "absl/status/status.h"
#include "etcdapi/config.h"
#include "etcdapi/raw_flags.h"

namespace jetd::etcdapi {

// What the command line says of TLS towards clients, checked, with warnings of what is not used.
// The listen URLs of `config` are there already. InvalidArgument as in ReadConfig.
[[nodiscard]] absl::Status ReadTls(const RawFlags& raw, Config* config);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_TLS_FLAGS_H_
