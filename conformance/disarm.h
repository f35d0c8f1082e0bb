// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DISARM_H_
#define JETD_CONFORMANCE_DISARM_H_

#include "etcdclient/client.h"

namespace jetd::conformance {

// Disarms every alarm that is raised, as the operator does who has made room. A server that does
// not answer, each call with `options`, keeps its alarms until somebody asks again.
void DisarmAlarms(etcdclient::Client* client, const etcdclient::CallOptions& options = {});

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_DISARM_H_
