// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_API_SESSION_H_
#define JETD_JETSTREAM_API_SESSION_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "jetstream/domain_api.h"
#include "jetstream/mirror_probe.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_endpoint.h"
#include "nlohmann/json.hpp"

namespace jetd::jetstream {

// For tools: a connection with a loop of its own, and questions to the JetStream API that block.
// Any one thread.
class ApiSession {
 public:
  struct Options {
    std::vector<std::string> urls{};  // each in turn until one takes us
    NatsCredentials credentials{};
    std::string client_name = "jetctl";
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds answer_timeout{5'000};
  };
  static absl::StatusOr<std::unique_ptr<ApiSession>> Open(const Options& options);
  ~ApiSession();
  ApiSession(const ApiSession&) = delete;
  ApiSession& operator=(const ApiSession&) = delete;

  // As DomainApi::Ask; no request: an empty payload.
  [[nodiscard]] absl::StatusOr<nlohmann::json> Ask(const std::string& domain, std::string_view rest,
                                                   const nlohmann::json& request = nullptr);
  // As AskMirrors, all on this connection.
  [[nodiscard]] absl::StatusOr<std::vector<MirrorReport>> Mirrors(const MirrorQuestion& question);
  // "nats://n1:4222", without secrets.
  [[nodiscard]] const std::string& url() const { return connection_->server().url; }

 private:
  explicit ApiSession(const Options& options) : options_(options) {}
  // Runs the loop until `begin` has called what it is given.
  void RunUntilDone(const std::function<void(std::function<void()>)>& begin);

  const Options options_;
  Loop loop_;
  std::unique_ptr<NatsConnection> connection_;
  std::unique_ptr<DomainApi> api_;
  absl::Status lost_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_API_SESSION_H_
