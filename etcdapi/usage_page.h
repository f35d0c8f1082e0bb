// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_USAGE_PAGE_H_
#define JETD_ETCDAPI_USAGE_PAGE_H_

#include <string>

#include "etcdapi/metrics_page.h"

namespace jetd::etcdapi {

// What this process did for its tenant since its start, as one JSON object: what `jetctl usage`
// adds up. The numbers are those of /metrics. Any thread.
//   bucket, member_id        whose it is
//   start_time_seconds       since 1970; another one: it counts from 0 again
//   cpu_seconds              of this process
//   requests                 by RPC: calls, of streams the messages that came
//   bytes_in, bytes_out      of messages, as etcd_network_client_grpc_…_bytes_total
//   watch_seconds            how long each watch was there, added up
//   stream_bytes             in NATS now; absent if NATS does not say
[[nodiscard]] std::string UsagePage(const Figures& figures);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_USAGE_PAGE_H_
