// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HEALTH_SERVICE_H_
#define JETD_ETCDAPI_HEALTH_SERVICE_H_

#include "etcdapi/server.h"

namespace jetd::etcdapi {

// grpc.health.v1.Health: as etcd's, it knows the server as a whole (service "") and nothing else,
// and serves from the moment it can be asked.
void BindHealth(Server* server);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HEALTH_SERVICE_H_
