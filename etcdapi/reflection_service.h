// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_REFLECTION_SERVICE_H_
#define JETD_ETCDAPI_REFLECTION_SERVICE_H_

#include "etcdapi/server.h"

namespace jetd::etcdapi {

// grpc.reflection.v1 and v1alpha: what the server can do, for tools such as grpcurl.
// Call it last: it lists the services that were added to the server.
void BindReflection(Server* server);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_REFLECTION_SERVICE_H_
