// SPDX-License-Identifier: Apache-2.0
#include "tenant/account_probe.h"

#include <cstddef>
#include <set>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "jetstream/bucket_access.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_ask.h"
#include "jetstream/nats_probe.h"
#include "nlohmann/json.hpp"

namespace jetd::tenant {
namespace {

using jetstream::IntegerOf;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kAnswerPatience{2'000};
constexpr std::chrono::milliseconds kPause{100};

template <typename... Pieces>
absl::Status Failed(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

bool HasLimits(const AccountUse& use, const AccountLimits& limits) {
  return use.storage_limit_bytes == limits.storage_bytes && use.streams_limit == limits.streams &&
         use.consumers_limit == limits.consumers;
}

// A server of which the last user is gone asks nobody who he is, and serves all in an account of
// its own, which has no bounds: a tenant's has some.
bool InAnothersAccount(const AccountUse& use, const AccountLimits& limits) {
  return use.storage_limit_bytes < 0 && limits.storage_bytes >= 0;
}

// A server that is to be looked at.
struct Looked {
  std::string url;
  std::string named_by;  // the server; empty: the operator
};

}  // namespace

AccountProbe::AccountProbe(jetstream::NatsEndpoint server, std::vector<std::string> others,
                           ServerKind kind, std::chrono::milliseconds patience)
    : server_(std::move(server)), others_(std::move(others)), kind_(kind), patience_(patience) {}

absl::StatusOr<AccountUse> AccountProbe::Ask(const Tenant& tenant,
                                             const std::string& credentials_file) const {
  if (!known()) return Failed("no server is known; give --nats-url");
  return AskAt(server_.url, tenant, credentials_file);
}

absl::StatusOr<AccountUse> AccountProbe::AskAt(const std::string& url, const Tenant& tenant,
                                               const std::string& credentials_file) const {
  jetstream::NatsEndpoint endpoint = server_;
  endpoint.url = url;
  auto& credentials = endpoint.credentials;
  (kind_ == ServerKind::kStatic ? credentials.nkey_seed_file : credentials.creds_file) =
      credentials_file;
  const std::string inbox = jetstream::InboxPrefix(tenant.bucket);
  const auto answer = jetstream::AskNats(
      endpoint, {.subject = "$JS.API.INFO", .inbox_prefix = inbox}, kAnswerPatience);
  if (!answer.ok()) return answer.status();
  const nlohmann::json account = jetstream::ParseAnswer(*answer);
  const jetstream::ApiError error = jetstream::ApiErrorOf(account);
  if (error.code != 0) return Failed("JetStream: ", error.description);
  const auto limits = account.find("limits");
  if (limits == account.end() || !limits->is_object()) return Failed("JetStream names no limits");
  return AccountUse{.storage_bytes = IntegerOf(account, "storage", 0),
                    .streams = IntegerOf(account, "streams", 0),
                    .consumers = IntegerOf(account, "consumers", 0),
                    .storage_limit_bytes = IntegerOf(*limits, "max_storage", 0),
                    .streams_limit = IntegerOf(*limits, "max_streams", 0),
                    .consumers_limit = IntegerOf(*limits, "max_consumers", 0)};
}

absl::Status AccountProbe::LookWhetherServed(const std::string& url, const Tenant& tenant,
                                             const std::string& credentials_file) const {
  const auto use = AskAt(url, tenant, credentials_file);
  if (use.ok() && HasLimits(*use, tenant.limits)) return absl::OkStatus();
  const absl::Status why =
      use.ok()
          ? Failed("its limits are ", use->storage_limit_bytes, " bytes of storage, ",
                   use->streams_limit, " streams and ", use->consumers_limit, " consumers there")
          : use.status();
  return Failed("the server at ", jetstream::UrlWithoutSecrets(url),
                " does not serve it so: ", MessageOf(why));
}

absl::Status AccountProbe::LookWhetherRefused(const std::string& url, const Tenant& tenant,
                                              const std::string& credentials_file) const {
  const auto use = AskAt(url, tenant, credentials_file);
  if (absl::IsUnauthenticated(use.status())) return absl::OkStatus();
  if (use.ok() && InAnothersAccount(*use, tenant.limits)) return absl::OkStatus();
  const std::string shown = jetstream::UrlWithoutSecrets(url);
  if (use.ok()) return Failed("the server at ", shown, " lets their user in all the same");
  return Failed("the server at ", shown,
                " does not say that their user is refused: ", MessageOf(use.status()));
}

absl::Status AccountProbe::Until(Servers servers, const LookFn& look) const {
  const auto deadline = steady_clock::now() + patience_;
  const bool ask_for_others = servers == Servers::kAll && others_.empty();
  const std::string scheme = server_.url.substr(0, server_.url.find("://"));
  std::vector<Looked> waiting = {{server_.url, ""}};
  if (servers == Servers::kAll) {
    for (const std::string& url : others_) waiting.push_back({url, ""});
  }
  std::set<std::string> addresses = {jetstream::AddressOf(server_.url)};
  std::set<std::string> ids = {};  // of those that are done
  for (;;) {
    absl::Status why;
    for (size_t i = 0; i < waiting.size();) {
      const Looked server = waiting[i];
      jetstream::NatsServerName name;
      if (ask_for_others) {
        name = jetstream::ProbeServerName(server.url, kAnswerPatience).value_or(name);
      }
      const absl::Status done = ids.contains(name.id) ? absl::OkStatus() : look(server.url);
      if (!done.ok()) {
        why.Update(server.named_by.empty()
                       ? done
                       : Failed(MessageOf(done), " (it is named by ", server.named_by,
                                "; if it is not to be asked, name all that are with --nats-url)"));
        ++i;
        continue;
      }
      if (!name.id.empty()) ids.insert(name.id);
      for (const std::string& address : name.addresses) {
        if (!addresses.insert(address).second) continue;
        waiting.push_back({Cat(scheme, "://", address), jetstream::UrlWithoutSecrets(server.url)});
      }
      waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(i));
    }
    if (waiting.empty() || steady_clock::now() >= deadline) return why;
    std::this_thread::sleep_for(kPause);
  }
}

absl::Status AccountProbe::UntilServed(const Tenant& tenant,
                                       const std::string& credentials_file) const {
  return Until(Servers::kFirst, [&](const std::string& url) {
    return LookWhetherServed(url, tenant, credentials_file);
  });
}

absl::Status AccountProbe::UntilServedByAll(const Tenant& tenant,
                                            const std::string& credentials_file) const {
  return Until(Servers::kAll, [&](const std::string& url) {
    return LookWhetherServed(url, tenant, credentials_file);
  });
}

absl::Status AccountProbe::UntilRefused(const Tenant& tenant,
                                        const std::string& credentials_file) const {
  return Until(Servers::kAll, [&](const std::string& url) {
    return LookWhetherRefused(url, tenant, credentials_file);
  });
}

}  // namespace jetd::tenant
