// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_FIRST_STEPS_H_
#define JETD_ETCDAPI_FIRST_STEPS_H_

#include <string>

#include "etcdapi/config.h"

namespace jetd::etcdapi {

// A command for somebody who has started jetd by hand, to be pasted into another terminal as it is.
// Empty if there is none: every URL is with TLS, and only who made the certificates knows what a
// client needs. `etcdctl` is the program's path, or "" for the one in PATH.
[[nodiscard]] std::string FirstCommand(const Config& config, const std::string& etcdctl);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_FIRST_STEPS_H_
