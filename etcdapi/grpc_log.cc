// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/grpc_log.h"

#include <grpc/support/log.h>

#include "base/log.h"

namespace jetd::etcdapi {

void SendGrpcLogHere() {
  gpr_set_log_function([](gpr_log_func_args* line) { log::Debug("gRPC: {}", line->message); });
}

}  // namespace jetd::etcdapi
