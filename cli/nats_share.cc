// SPDX-License-Identifier: Apache-2.0
#include "cli/nats_share.h"

#include <utility>

#include "base/strings.h"
#include "cli/json_member.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using nlohmann::json;

absl::StatusOr<json> Page(const std::string& url, const char* path, const WebTls& tls) {
  const auto page = GetWebPage(url, path, tls);
  if (!page.ok()) return page.status();
  json said = json::parse(*page, nullptr, false);
  if (said.is_object()) return said;
  return MakeStatus(absl::StatusCode::kUnavailable, url, path, " is no page of a nats-server");
}

}  // namespace

absl::StatusOr<NatsWork> AskNats(const std::string& monitor_url, const WebTls& tls,
                                 double cpu_seconds) {
  const auto server = Page(monitor_url, "/varz", tls);
  if (!server.ok()) return server.status();
  const auto accounts = Page(monitor_url, "/accstatz?unused=1", tls);
  if (!accounts.ok()) return accounts.status();
  NatsWork work;
  work.start = StringOf(*server, "start");
  work.cpu_seconds = cpu_seconds;
  const auto list = accounts->find("account_statz");
  if (work.start.empty() || list == accounts->end() || !list->is_array()) {
    return MakeStatus(absl::StatusCode::kUnavailable, monitor_url,
                      " is no monitoring port of a nats-server");
  }
  for (const json& one : *list) {
    if (!one.is_object()) continue;
    // In operator mode the account itself is a key, and its name what people know.
    const std::string name = StringOf(one, "name");
    NatsWork::Account& account = work.accounts[name.empty() ? StringOf(one, "acc") : name];
    for (const char* direction : {"sent", "received"}) {
      const json counts = one.value(direction, json::object());
      if (!counts.is_object()) continue;
      account.messages += NumberOf(counts, "msgs");
      account.bytes += NumberOf(counts, "bytes");
    }
  }
  return work;
}

NatsWork Since(const NatsWork& now, const NatsWork& earlier) {
  if (now.start != earlier.start) return now;
  NatsWork passed = now;
  passed.cpu_seconds -= earlier.cpu_seconds;
  for (auto& [name, account] : passed.accounts) {
    const auto before = earlier.accounts.find(name);
    if (before == earlier.accounts.end()) continue;
    // One that was removed and made anew counts from 0 again.
    if (before->second.messages > account.messages) continue;
    account.messages -= before->second.messages;
    account.bytes -= before->second.bytes;
  }
  return passed;
}

std::map<std::string, double> DivideCpu(const NatsWork& work) {
  NatsWork::Account all;
  for (const auto& [name, account] : work.accounts) {
    all.messages += account.messages;
    all.bytes += account.bytes;
  }
  std::map<std::string, double> parts;
  if (all.messages <= 0 || all.bytes <= 0) return parts;
  for (const auto& [name, account] : work.accounts) {
    parts[name] =
        work.cpu_seconds * (account.messages / all.messages + account.bytes / all.bytes) / 2;
  }
  return parts;
}

json ToJson(const NatsWork& work) {
  json accounts = json::object();
  for (const auto& [name, account] : work.accounts) {
    accounts[name] = {{"messages", account.messages}, {"bytes", account.bytes}};
  }
  return {
      {"start", work.start}, {"cpu_seconds", work.cpu_seconds}, {"accounts", std::move(accounts)}};
}

NatsWork NatsWorkOf(const json& json) {
  NatsWork work;
  if (!json.is_object()) return work;
  work.start = StringOf(json, "start");
  work.cpu_seconds = NumberOf(json, "cpu_seconds");
  const auto accounts = json.find("accounts");
  if (accounts == json.end() || !accounts->is_object()) return work;
  for (const auto& [name, counts] : accounts->items()) {
    if (!counts.is_object()) continue;
    work.accounts[name] = {NumberOf(counts, "messages"), NumberOf(counts, "bytes")};
  }
  return work;
}

}  // namespace jetd::cli
