// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_LEASE_SERVICE_H_
#define JETD_ETCDAPI_LEASE_SERVICE_H_

#include "etcdapi/engine.h"
#include "etcdapi/server.h"

namespace jetd::etcdapi {

// etcdserverpb.Lease. `engine` outlives the server.
void BindLease(const Engine* engine, Server* server);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_LEASE_SERVICE_H_
