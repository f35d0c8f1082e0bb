// SPDX-License-Identifier: Apache-2.0
#include "replication/config_lock.h"

#include <chrono>
#include <cstdint>
#include <random>
#include <thread>

#include "base/strings.h"
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
  std::random_device random;
  // What tells it from another one's, for whom an equal one would be the same.
  const std::string holder = Cat("held by a jetctl, ", random(), random());
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
    if (made.ok()) return std::unique_ptr<ConfigLock>(new ConfigLock(session, domain, stream));
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

ConfigLock::~ConfigLock() {
  // One that stays goes by itself.
  (void)session_->Ask(domain_, Cat("CONSUMER.DELETE.", stream_, ".", kName));
}

}  // namespace jetd::replication
