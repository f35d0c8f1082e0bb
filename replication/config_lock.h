// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_CONFIG_LOCK_H_
#define JETD_REPLICATION_CONFIG_LOCK_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "jetstream/api_session.h"

namespace jetd::replication {

// JetStream changes a stream's configuration as a whole and compares nothing, so of two tools that
// read it, edit it and write it back at a time the second one takes back what the first one wrote.
// Here they take turns: who may change it has made a consumer of a fixed name, which only one can
// make, and which does nothing. nats-server removes it when its maker has been gone for a minute.
//
// Held until its end. Blocks; the session's thread. It binds nobody who does not ask for it.
class ConfigLock {
 public:
  // Waits for others, and says so. Aborted: they took too long.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ConfigLock>> Take(
      jetstream::ApiSession* session, const std::string& domain, const std::string& stream,
      const std::function<void(std::string_view line)>& say);
  ~ConfigLock();
  ConfigLock(const ConfigLock&) = delete;
  ConfigLock& operator=(const ConfigLock&) = delete;

 private:
  ConfigLock(jetstream::ApiSession* session, std::string domain, std::string stream)
      : session_(session), domain_(std::move(domain)), stream_(std::move(stream)) {}

  jetstream::ApiSession* const session_;
  const std::string domain_, stream_;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_CONFIG_LOCK_H_
