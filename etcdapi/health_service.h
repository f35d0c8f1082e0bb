// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HEALTH_SERVICE_H_
#define JETD_ETCDAPI_HEALTH_SERVICE_H_

#include "etcdapi/server.h"

namespace jetd::etcdapi {

// grpc.health.v1.Health: as etcd's, it knows the server as a whole (service "") and nothing else.
// NOT_SERVING while there is no leader here: see LeaderGuard.
void BindHealth(Server* server);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HEALTH_SERVICE_H_
