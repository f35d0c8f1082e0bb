// SPDX-License-Identifier: Apache-2.0
#include "cli/usage_sum.h"

#include <algorithm>
#include <cstdio>

#include "base/strings.h"
#include "cli/json_member.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using nlohmann::json;

UsageCounters CountersOf(const json& object) {
  UsageCounters counters{.requests = {},
                         .bytes_in = WholeOf(NumberOf(object, "bytes_in")),
                         .bytes_out = WholeOf(NumberOf(object, "bytes_out")),
                         .cpu_seconds = NumberOf(object, "cpu_seconds"),
                         .watch_seconds = NumberOf(object, "watch_seconds")};
  const auto requests = object.find("requests");
  if (requests == object.end() || !requests->is_object()) return counters;
  for (const auto& [name, count] : requests->items()) {
    if (count.is_number()) counters.requests[name] = WholeOf(count.get<double>());
  }
  return counters;
}

void Put(const UsageCounters& counters, json* object) {
  (*object)["requests"] = counters.requests;
  (*object)["bytes_in"] = counters.bytes_in;
  (*object)["bytes_out"] = counters.bytes_out;
  (*object)["cpu_seconds"] = counters.cpu_seconds;
  (*object)["watch_seconds"] = counters.watch_seconds;
}

uint64_t AllRequests(const UsageCounters& counters) {
  uint64_t all = 0;
  for (const auto& [name, count] : counters.requests) all += count;
  return all;
}

double Hours(double seconds) { return seconds / 3600; }

std::string Fixed(double number) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3f", number);
  return text;
}

}  // namespace

json MemberOf(const UsageSample& newest, const std::vector<UsageSample>& samples,
              std::optional<int64_t> since_ms) {
  const auto seconds = [](int64_t ms) { return static_cast<double>(ms) / 1'000; };
  json member = {{"bucket", newest.owner.bucket},
                 {"cluster_id", newest.owner.cluster_id},
                 {"member_id", newest.owner.member_id},
                 {"record", newest.record},
                 {"began_seconds", seconds(newest.began_ms)},
                 {"kept", true}};
  Put(newest.all, &member);
  if (!since_ms.has_value()) return member;
  const UsagePassed passed = UsedSince(samples, newest, *since_ms);
  member["since"] = {{"from_seconds", seconds(passed.from_ms)}};
  Put(passed.used, &member["since"]);
  return member;
}

UsageSum::Tenant* UsageSum::Find(const json& now) {
  Tenant& tenant = tenants_[{StringOf(now, "bucket"), StringOf(now, "cluster_id")}];
  // All members speak of one stream.
  tenant.stored_bytes = std::max(tenant.stored_bytes, NumberOf(now, "stream_bytes"));
  return &tenant;
}

void UsageSum::Add(const json& now, const json* earlier) {
  const UsageCounters before = earlier == nullptr ? UsageCounters{} : CountersOf(*earlier);
  AddTo(Difference(CountersOf(now), before), &Find(now)->used);
}

bool UsageSum::AddSince(const json& now) {
  const auto since = now.find("since");
  if (since == now.end() || !since->is_object()) return false;
  AddTo(CountersOf(*since), &Find(now)->used);
  return true;
}

int UsageSum::WithName(const std::string& bucket) const {
  int tenants = 0;
  for (const auto& [key, tenant] : tenants_) tenants += key.first == bucket ? 1 : 0;
  return tenants;
}

void UsageSum::AddNats(const std::map<std::string, double>& cpu_seconds) {
  nats_ = true;
  for (const auto& [account, seconds] : cpu_seconds) {
    if (WithName(account) != 1) {
      others_ += seconds;
      continue;
    }
    tenants_.lower_bound({account, ""})->second.nats_cpu_seconds += seconds;
  }
}

std::string UsageSum::ToCsv() const {
  std::string text =
      "tenant,cluster_id,requests,bytes_in,bytes_out,stored_bytes,cpu_seconds,watch_hours";
  CatTo(text, nats_ ? ",nats_cpu_seconds\n" : "\n");
  for (const auto& [key, tenant] : tenants_) {
    CatTo(text, key.first, ",", key.second, ",", AllRequests(tenant.used), ",",
          tenant.used.bytes_in, ",", tenant.used.bytes_out, ",", WholeOf(tenant.stored_bytes), ",",
          Fixed(tenant.used.cpu_seconds), ",", Fixed(Hours(tenant.used.watch_seconds)));
    if (nats_) CatTo(text, ",", Fixed(tenant.nats_cpu_seconds));
    CatTo(text, "\n");
  }
  return text;
}

std::string UsageSum::ToText() const {
  std::string text;
  for (const auto& [key, tenant] : tenants_) {
    CatTo(text, "tenant ", key.first);
    if (WithName(key.first) > 1) CatTo(text, " (cluster ", key.second, ")");
    CatTo(text, ": ", AllRequests(tenant.used), " requests (");
    const char* between = "";
    for (const auto& [name, count] : tenant.used.requests) {
      if (count == 0) continue;
      CatTo(text, between, count, " ", name);
      between = ", ";
    }
    CatTo(text, "), ", tenant.used.bytes_in, " bytes in, ", tenant.used.bytes_out, " bytes out, ",
          WholeOf(tenant.stored_bytes), " bytes stored, ", Fixed(tenant.used.cpu_seconds),
          " s of CPU, ");
    if (nats_) CatTo(text, Fixed(tenant.nats_cpu_seconds), " s of nats-server's, ");
    CatTo(text, Fixed(Hours(tenant.used.watch_seconds)), " watch hours\n");
  }
  if (nats_) CatTo(text, "others on the nats-server: ", Fixed(others_), " s of its CPU\n");
  return text;
}

json UsageSum::ToJson() const {
  json tenants = json::array();
  for (const auto& [key, tenant] : tenants_) {
    json one = {{"tenant", key.first},
                {"cluster_id", key.second},
                {"requests", tenant.used.requests},
                {"bytes_in", tenant.used.bytes_in},
                {"bytes_out", tenant.used.bytes_out},
                {"stored_bytes", WholeOf(tenant.stored_bytes)},
                {"cpu_seconds", tenant.used.cpu_seconds},
                {"watch_hours", Hours(tenant.used.watch_seconds)}};
    if (nats_) one["nats_cpu_seconds"] = tenant.nats_cpu_seconds;
    tenants.push_back(std::move(one));
  }
  return tenants;
}

}  // namespace jetd::cli
