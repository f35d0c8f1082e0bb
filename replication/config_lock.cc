// SPDX-License-Identifier: Apache-2.0
#include "replication/config_lock.h"

#include <chrono>
#include <cstdint>
#include <thread>

#include "base/random_id.h"
#include "base/strings.h"
#include "jetstream/nats_api.h"
#include "nlohmann/json.hpp"

namespace jetd::replication {
namespace {

constexpr char kName[] = "jetctl-config";
constexpr std::chrono::seconds kForgotten{60};
constexpr std::chrono::seconds kPatience{90};
constexpr std::chrono::milliseconds kPause{200};

}  // namespace

absl::StatusOr<std::unique_ptr<ConfigLock>> ConfigLock::Take(
    jetstream::ApiSession* session, const std::string& domain, const std::string& stream,
    const std::function<void(std::string_view line)>& say) {
  // An equal consumer would be the same to nats-server, and made twice.
  const std::string holder = Cat("held by jetctl ", RandomId());
  const nlohmann::json request = {
      {"stream_name", stream},
      {"action", "create"},
      {"config",
       {{"name", kName},
        {"description", holder},
        {"ack_policy", "none"},
        {"deliver_policy", "new"},
        {"replay_policy", "instant"},
        {"inactive_threshold", std::chrono::nanoseconds(kForgotten).count()}}}};
  const auto end = std::chrono::steady_clock::now() + kPatience;
  bool said = false;
  for (;;) {
    const auto made = session->Ask(domain, Cat("CONSUMER.CREATE.", stream, ".", kName), request);
    if (made.ok()) {
      return std::unique_ptr<ConfigLock>(new ConfigLock(session, domain, stream, holder));
    }
    if (!absl::IsAlreadyExists(made.status())) return made.status();
    if (std::chrono::steady_clock::now() > end) {
      return absl::AbortedError(
          Cat("another jetctl changes the configuration of ", stream, "; run this again"));
    }
    if (!said && say) say("waiting for another jetctl that changes the configuration");
    said = true;
    std::this_thread::sleep_for(kPause);
  }
}

absl::Status ConfigLock::Check() {
  const auto info = session_->Ask(domain_, Cat("CONSUMER.INFO.", stream_, ".", kName));
  if (info.ok()) {
    const auto config = info->find("config");
    if (config != info->end() && jetstream::TextOf(*config, "description") == holder_) {
      return absl::OkStatus();
    }
  } else if (!absl::IsNotFound(info.status())) {
    return info.status();
  }
  return absl::AbortedError(Cat("the configuration of ", stream_,
                                " was held for so long that another jetctl may change it; run "
                                "this again"));
}

ConfigLock::~ConfigLock() {
  // One that stays goes by itself, and another one's is not for this one to remove.
  if (!Check().ok()) return;
  (void)session_->Ask(domain_, Cat("CONSUMER.DELETE.", stream_, ".", kName));
}

}  // namespace jetd::replication
