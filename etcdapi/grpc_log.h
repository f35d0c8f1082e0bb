// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_GRPC_LOG_H_
#define JETD_ETCDAPI_GRPC_LOG_H_

namespace jetd::etcdapi {

// Lets gRPC's own log lines come out as debug lines of ours: what an operator should know is said
// by jetd, in its own words. Once, before the first use of gRPC.
void SendGrpcLogHere();

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_GRPC_LOG_H_
