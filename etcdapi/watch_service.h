// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_WATCH_SERVICE_H_
#define JETD_ETCDAPI_WATCH_SERVICE_H_

#include "etcdapi/engine.h"
#include "etcdapi/server.h"

namespace jetd::etcdapi {

// etcdserverpb.Watch. `engine` outlives the server.
void BindWatch(const Engine* engine, Server* server);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_WATCH_SERVICE_H_
