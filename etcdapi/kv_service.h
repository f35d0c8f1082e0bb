// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_KV_SERVICE_H_
#define JETD_ETCDAPI_KV_SERVICE_H_

#include "etcdapi/engine.h"
#include "etcdapi/request_check.h"
#include "etcdapi/server.h"

namespace jetd::etcdapi {

// etcdserverpb.KV: Range, RangeStream (of 3.7), Put, DeleteRange, Txn, Compact. `engine` outlives
// the server.
void BindKv(const Engine* engine, const RequestLimits& limits, Server* server);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_KV_SERVICE_H_
