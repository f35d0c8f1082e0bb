// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_CONFIG_LOCK_H_
#define JETD_REPLICATION_CONFIG_LOCK_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "jetstream/api_session.h"

namespace jetd::replication {

// JetStream changes a stream's configuration as a whole and compares nothing, so of two tools that
// read it, edit it and write it back at a time the second one takes back what the first one wrote.
// Here they take turns: who may change it has made a consumer of a fixed name, which only one can
// make, and which does nothing.
//
// nats-server removes it a minute after it was made, whether its holder is still there or not: so
// hold it for a few requests only, and ask Check right before the one that writes.
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

  // Aborted: it was held for too long, and may be another one's.
  [[nodiscard]] absl::Status Check();

 private:
  ConfigLock(jetstream::ApiSession* session, std::string domain, std::string stream,
             std::string holder)
      : session_(session),
        domain_(std::move(domain)),
        stream_(std::move(stream)),
        holder_(std::move(holder)) {}

  jetstream::ApiSession* const session_;
  const std::string domain_, stream_;
  const std::string holder_;  // what tells it from another one's
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_CONFIG_LOCK_H_
