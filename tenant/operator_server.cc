// SPDX-License-Identifier: Apache-2.0
#include "tenant/operator_server.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "jetstream/bucket_access.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_ask.h"
#include "nlohmann/json.hpp"
#include "tenant/jwt.h"

namespace jetd::tenant {
namespace {

using jetstream::NatsEndpoint;
using jetstream::NkeyKind;
using jetstream::NkeyPair;
using nlohmann::json;

constexpr std::chrono::milliseconds kPatience{10'000};
constexpr char kHead[] =
    "# Written by `jetctl tenant init`. It belongs to the top of nats-server's configuration, by\n"
    "# a path that is relative to it:\n"
    "#   include \"jetd/operator.conf\"\n";

// {"server": {…}, "data": {"code": 200, "message": "…"}}, or "error" with code and description.
absl::Status StatusOfAnswer(std::string_view text) {
  const json answer = jetstream::ParseAnswer(text);
  const jetstream::ApiError error = jetstream::ApiErrorOf(answer);
  if (error.code != 0) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "the nats-server refused: ", error.description);
  }
  const auto data = answer.find("data");
  if (data == answer.end() || !data->is_object() || jetstream::IntegerOf(*data, "code", 0) != 200) {
    return MakeStatus(absl::StatusCode::kUnavailable,
                      "the nats-server's answer is of an unknown shape");
  }
  return absl::OkStatus();
}

absl::Status Send(const NatsEndpoint& system, const char* subject, const std::string& jwt) {
  const auto answer = jetstream::AskNats(system, {.subject = subject, .payload = jwt}, kPatience);
  if (absl::IsNotFound(answer.status()) || absl::IsDeadlineExceeded(answer.status())) {
    return MakeStatus(
        absl::StatusCode::kFailedPrecondition, "no resolver answers at ",
        jetstream::UrlWithoutSecrets(system.url),
        ": is its configuration that of `jetctl tenant init`, and the user one of the "
        "system account?");
  }
  if (!answer.ok()) return answer.status();
  return StatusOfAnswer(*answer);
}

}  // namespace

int64_t NowSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

NewOperator MakeOperator(const NkeyPair& key, const NkeyPair& system, const std::string& name,
                         const std::string& resolver_dir, int64_t issued) {
  const NkeyPair user = NkeyPair::Generate(NkeyKind::kUser);
  // The system account has no JetStream.
  const std::string account_jwt = AccountJwt(key, system.public_key(), "SYS", {}, issued);
  const std::string user_jwt = UnboundUserJwt(system, user.public_key(), "jetctl", issued);
  NewOperator made;
  made.system_credentials = CredentialsText(user_jwt, user.Seed());
  made.configuration =
      Cat(kHead, "operator: ", OperatorJwt(key, name, system.public_key(), issued),
          "\nsystem_account: ", system.public_key(),
          "\nresolver: {\n  type: full\n  dir: ", json(resolver_dir).dump(),
          "\n  allow_delete: true\n  interval: \"2m\"\n}\n", "resolver_preload: {\n  ",
          system.public_key(), ": ", account_jwt, "\n}\n");
  return made;
}

std::string TenantCredentials(const NkeyPair& account, const NkeyPair& user, const Tenant& tenant,
                              int64_t issued) {
  const std::string jwt =
      UserJwt(account, user.public_key(), "jetd", jetstream::PermissionsOf(tenant.bucket), issued);
  return CredentialsText(jwt, user.Seed());
}

absl::Status PushAccount(const NatsEndpoint& system, const NkeyPair& signer, const Tenant& tenant,
                         int64_t issued) {
  return Send(
      system, "$SYS.REQ.CLAIMS.UPDATE",
      AccountJwt(signer, tenant.account, tenant.name, tenant.limits, issued, tenant.revoked));
}

absl::Status DeleteAccount(const NatsEndpoint& system, const NkeyPair& signer,
                           const std::string& account, int64_t issued) {
  return Send(system, "$SYS.REQ.CLAIMS.DELETE", DeletionJwt(signer, {account}, issued));
}

}  // namespace jetd::tenant
