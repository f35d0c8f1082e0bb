// SPDX-License-Identifier: Apache-2.0
#include "tenant/roster.h"

#include <utility>

#include "base/strings.h"
#include "jetstream/nats_api.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"

namespace jetd::tenant {
namespace {

using jetstream::IntegerOf;
using nlohmann::json;

constexpr int kVersion = 1;

std::string StringOf(const json& object, const char* member) {
  return jetstream::TextOf(object, member);
}

absl::Status Bad(std::string_view what) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, "no list of tenants: ", what);
}

json JsonOf(const Tenant& tenant) {
  json object = {{"bucket", tenant.bucket},
                 {"user", tenant.user},
                 {"storage_bytes", tenant.limits.storage_bytes},
                 {"streams", tenant.limits.streams},
                 {"consumers", tenant.limits.consumers}};
  if (!tenant.account.empty()) object["account"] = tenant.account;
  if (!tenant.revoked.empty()) object["revoked"] = tenant.revoked;
  if (!tenant.next_user.empty()) object["next_user"] = tenant.next_user;
  if (tenant.going) object["going"] = true;
  return object;
}

absl::StatusOr<Tenant> TenantOf(const std::string& name, const json& object) {
  if (!IsTenantName(name) || !object.is_object()) return Bad("a tenant that is none");
  Tenant tenant{.name = name,
                .bucket = StringOf(object, "bucket"),
                .limits = {.storage_bytes = IntegerOf(object, "storage_bytes", 0),
                           .streams = IntegerOf(object, "streams", 0),
                           .consumers = IntegerOf(object, "consumers", 0)},
                .user = StringOf(object, "user"),
                .account = StringOf(object, "account"),
                .next_user = StringOf(object, "next_user"),
                .going = object.contains("going")};
  if (!jetstream::IsBucketName(tenant.bucket)) return Bad("a tenant without a bucket");
  const auto revoked = object.find("revoked");
  if (revoked != object.end() && revoked->is_object()) {
    for (const auto& [user, until] : revoked->items()) {
      if (until.is_number_integer()) tenant.revoked[user] = until.get<int64_t>();
    }
  }
  return tenant;
}

}  // namespace

std::string_view NameOf(ServerKind kind) {
  return kind == ServerKind::kStatic ? "static" : "operator";
}

bool IsTenantName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '-' &&
         name.front() != '_' && jetstream::IsBucketName(std::string(name));
}

bool IsReservedName(std::string_view name) { return name == "SYS"; }

std::string TextOf(const Roster& roster) {
  json tenants = json::object();
  for (const auto& [name, tenant] : roster.tenants) tenants[name] = JsonOf(tenant);
  json object = {{"version", kVersion}, {"kind", NameOf(roster.kind)}, {"tenants", tenants}};
  if (!roster.nats_url.empty()) object["nats_url"] = roster.nats_url;
  if (roster.kind == ServerKind::kOperator) {
    object["operator"] = roster.operator_name;
    object["system_account"] = roster.system_account;
    object["issued"] = roster.issued;
  }
  return object.dump(2) + "\n";
}

absl::StatusOr<Roster> ParseRoster(std::string_view text) {
  const json object = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return Bad("it is not JSON");
  const int64_t version = IntegerOf(object, "version", 0);
  if (version > kVersion) return Bad("a later version of jetctl wrote it");
  Roster roster;
  const std::string kind = StringOf(object, "kind");
  if (kind == NameOf(ServerKind::kOperator)) {
    roster.kind = ServerKind::kOperator;
  } else if (version < 1 || kind != NameOf(ServerKind::kStatic)) {
    return Bad("its kind is unknown");
  }
  roster.nats_url = StringOf(object, "nats_url");
  roster.operator_name = StringOf(object, "operator");
  roster.system_account = StringOf(object, "system_account");
  roster.issued = IntegerOf(object, "issued", 0);
  const auto tenants = object.find("tenants");
  if (tenants == object.end() || !tenants->is_object()) return Bad("it names none");
  for (const auto& [name, one] : tenants->items()) {
    auto tenant = TenantOf(name, one);
    if (!tenant.ok()) return tenant.status();
    roster.tenants[name] = *std::move(tenant);
  }
  return roster;
}

}  // namespace jetd::tenant
