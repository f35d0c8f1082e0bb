// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/usage_page.h"

#include <limits>

#include "nlohmann/json.hpp"

namespace jetd::etcdapi {
namespace {

using Json = nlohmann::ordered_json;

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1'000; }

void Put(const UsageCounters& counters, Json* object) {
  Json& json = *object;
  json["cpu_seconds"] = counters.cpu_seconds;
  json["requests"] = counters.requests;
  json["bytes_in"] = counters.bytes_in;
  json["bytes_out"] = counters.bytes_out;
  json["watch_seconds"] = counters.watch_seconds;
}

}  // namespace

UsageCounters CountersOf(const Figures& figures) {
  UsageCounters counters{.requests = {},
                         .cpu_seconds = figures.process.cpu_seconds,
                         .watch_seconds = figures.watches.watch_seconds};
  for (const RpcFigures& rpc : figures.rpcs) {
    counters.bytes_in += rpc.bytes_received;
    counters.bytes_out += rpc.bytes_sent;
    // Health and reflection are nothing that a tenant asks for.
    if (!rpc.service.starts_with("etcdserverpb.")) continue;
    const uint64_t count = rpc.type == "bidi_stream" ? rpc.received : rpc.started;
    if (count > 0) counters.requests[rpc.method] += count;
  }
  return counters;
}

std::string UsagePage(const Figures& figures, std::optional<int64_t> since_ms) {
  const UsageFigures& usage = figures.usage;
  UsageSample now = usage.before;
  now.number = std::numeric_limits<uint64_t>::max();
  now.time_ms = usage.now_ms;
  AddTo(CountersOf(figures), &now.all);
  Json json = {{"bucket", figures.log.bucket},
               {"cluster_id", usage.cluster_id},
               {"member_id", figures.member_id},
               {"record", now.record},
               {"began_seconds", Seconds(now.began_ms)},
               {"kept", !usage.folder.empty()},
               {"start_time_seconds", figures.process.start_time_seconds}};
  Put(now.all, &json);
  if (figures.stream.has_value()) json["stream_bytes"] = figures.stream->bytes;
  if (since_ms.has_value()) {
    const auto passed = UsedSince(
        usage.folder.empty() ? std::vector<UsageSample>() : ReadUsageSamples(usage.folder), now,
        *since_ms);
    Json since = {{"from_seconds", Seconds(passed.from_ms)}};
    Put(passed.used, &since);
    json["since"] = std::move(since);
  }
  return json.dump() + "\n";
}

}  // namespace jetd::etcdapi
