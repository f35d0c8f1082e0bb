// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/usage_page.h"

#include <cstdint>

#include "nlohmann/json.hpp"

namespace jetd::etcdapi {

std::string UsagePage(const Figures& figures) {
  nlohmann::ordered_json requests = nlohmann::ordered_json::object();
  uint64_t received = 0;
  uint64_t sent = 0;
  for (const RpcFigures& rpc : figures.rpcs) {
    received += rpc.bytes_received;
    sent += rpc.bytes_sent;
    // Health and reflection are nothing that a tenant asks for.
    if (!rpc.service.starts_with("etcdserverpb.")) continue;
    const uint64_t count = rpc.type == "bidi_stream" ? rpc.received : rpc.started;
    if (count > 0) requests[rpc.method] = count;
  }
  nlohmann::ordered_json usage = {{"bucket", figures.log.bucket},
                                  {"member_id", figures.member_id},
                                  {"start_time_seconds", figures.process.start_time_seconds},
                                  {"cpu_seconds", figures.process.cpu_seconds},
                                  {"requests", requests},
                                  {"bytes_in", received},
                                  {"bytes_out", sent},
                                  {"watch_seconds", figures.watches.watch_seconds}};
  if (figures.stream.has_value()) usage["stream_bytes"] = figures.stream->bytes;
  return usage.dump() + "\n";
}

}  // namespace jetd::etcdapi
