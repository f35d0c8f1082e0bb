// SPDX-License-Identifier: Apache-2.0
#include "tenant/account_probe.h"

#include <thread>
#include <utility>

#include "base/strings.h"
#include "jetstream/bucket_access.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_ask.h"
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

}  // namespace

AccountProbe::AccountProbe(jetstream::NatsEndpoint server, ServerKind kind,
                           std::chrono::milliseconds patience)
    : server_(std::move(server)), kind_(kind), patience_(patience) {}

absl::StatusOr<AccountUse> AccountProbe::Ask(const Tenant& tenant,
                                             const std::string& credentials_file) const {
  if (!known()) return Failed("no server is known; give --nats-url");
  jetstream::NatsEndpoint endpoint = server_;
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

absl::Status AccountProbe::UntilServed(const Tenant& tenant,
                                       const std::string& credentials_file) const {
  const auto deadline = steady_clock::now() + patience_;
  for (;;) {
    const auto use = Ask(tenant, credentials_file);
    if (use.ok() && HasLimits(*use, tenant.limits)) return absl::OkStatus();
    if (steady_clock::now() >= deadline) {
      const absl::Status why =
          use.ok() ? Failed("its limits are ", use->storage_limit_bytes, " bytes of storage, ",
                            use->streams_limit, " streams and ", use->consumers_limit,
                            " consumers there")
                   : use.status();
      return Failed("the server at ", jetstream::UrlWithoutSecrets(server_.url),
                    " does not serve it so: ", MessageOf(why));
    }
    std::this_thread::sleep_for(kPause);
  }
}

absl::Status AccountProbe::UntilRefused(const Tenant& tenant,
                                        const std::string& credentials_file) const {
  const auto deadline = steady_clock::now() + patience_;
  for (;;) {
    const auto use = Ask(tenant, credentials_file);
    if (absl::IsUnauthenticated(use.status())) return absl::OkStatus();
    if (use.ok() && InAnothersAccount(*use, tenant.limits)) return absl::OkStatus();
    if (steady_clock::now() >= deadline) {
      const std::string url = jetstream::UrlWithoutSecrets(server_.url);
      if (use.ok()) return Failed("the server at ", url, " lets their user in all the same");
      return Failed("the server at ", url,
                    " does not say that their user is refused: ", MessageOf(use.status()));
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace jetd::tenant
