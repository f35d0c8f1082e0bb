// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_MAINTENANCE_SERVICE_H_
#define JETD_ETCDAPI_MAINTENANCE_SERVICE_H_

#include "etcdapi/engine.h"
#include "etcdapi/server.h"

namespace jetd::etcdapi {

// The API level that clients see in Status and --version: features are decided by it.
inline constexpr char kEtcdVersion[] = "3.5.30";

// etcdserverpb.Maintenance: Status, Alarm, Defragment, Hash, HashKV; the rest is Unimplemented.
// `engine` outlives the server.
void BindMaintenance(const Engine* engine, Server* server);
// etcdserverpb.Cluster: MemberList; the rest is Unimplemented.
void BindCluster(const Engine* engine, Server* server);
// etcdserverpb.Auth: AuthStatus (disabled), Authenticate (not enabled); the rest, and the services
// v3lockpb.Lock and v3electionpb.Election, are Unimplemented.
void BindUnsupported(const Engine* engine, Server* server);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_MAINTENANCE_SERVICE_H_
