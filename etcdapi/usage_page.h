// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_USAGE_PAGE_H_
#define JETD_ETCDAPI_USAGE_PAGE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/usage_record.h"
#include "etcdapi/metrics_page.h"

namespace jetd::etcdapi {

// What this process did since its start, out of the numbers of /metrics. Any thread.
[[nodiscard]] UsageCounters CountersOf(const Figures& figures);

// What this member did for its tenant since its record began (usage_keeper.h), whatever processes
// it had, as one JSON object: what `jetctl usage` adds up. Any thread; with `since_ms` it reads the
// record's files: 80 ms where they are full (2.6 MB).
//   bucket, cluster_id       whose it is: another bucket has another id, whatever its name
//   member_id
//   record                   another one: it counts from 0 again
//   began_seconds            since 1970: when the record began
//   kept                     false: it begins with this process, and ends with it
//   start_time_seconds       since 1970: of this process
//   cpu_seconds              of the processes
//   requests                 by RPC: calls, of streams the messages that came
//   bytes_in, bytes_out      of messages, as etcd_network_client_grpc_…_bytes_total
//   watch_seconds            how long each watch was there, added up
//   stream_bytes             in NATS now; absent if NATS does not say
//   since                    with `since_ms`: the five above, of what came after from_seconds,
//                            which is that moment, or a later one if nothing older is known
[[nodiscard]] std::string UsagePage(const Figures& figures,
                                    std::optional<int64_t> since_ms = std::nullopt);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_USAGE_PAGE_H_
