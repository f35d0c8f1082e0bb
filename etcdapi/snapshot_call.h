// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_SNAPSHOT_CALL_H_
#define JETD_ETCDAPI_SNAPSHOT_CALL_H_

#include "etcdapi/engine.h"
#include "etcdapi/server.h"

namespace jetd::etcdapi {

// Serves Maintenance.Snapshot: etcd's backend file (backend_file.h) of this moment in pieces, at
// the client's pace, and behind it its SHA-256, as `etcdctl snapshot save` expects it.
//
// A snapshot holds the versions that it still has to send, so at most limits::kMaxSnapshots are
// under way (more: etcd's "too many requests"), and one whose client takes nothing for
// limits::kSnapshotPatience is cut off with kDeadlineExceeded.
void BindSnapshot(const Engine* engine, Server* server);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_SNAPSHOT_CALL_H_
