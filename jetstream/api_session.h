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
//
// Between two questions nobody reads what the server says: a connection that rests ends, by
// nats.c's own pings after 15 s, or by the server's. So the next question makes it anew, if it is
// lost or has rested for long. A question that was under way as it broke is answered with that, and
// not asked again.
class ApiSession {
 public:
  struct Options {
    std::vector<std::string> urls{};  // each in turn until one takes us
    NatsCredentials credentials{};
    std::string client_name = "jetctl";
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds answer_timeout{5'000};
    std::chrono::milliseconds longest_rest{10'000};
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
  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  explicit ApiSession(const Options& options);
  [[nodiscard]] absl::Status Connect();
  void Disconnect();
  // Runs the loop until `begin` has called what it is given, on a connection that is whole. Not OK:
  // there is none, and `begin` was not called.
  using BeginFn = std::function<void(std::function<void()> done)>;
  [[nodiscard]] absl::Status RunUntilDone(const BeginFn& begin);
  // False: it was not called, for the connection has ended since it was last looked at.
  [[nodiscard]] bool RunOnce(const BeginFn& begin);

  const Options options_;
  const NatsEndpointFn endpoints_;
  Loop loop_;
  std::string url_;
  MonoTime used_{};
  std::unique_ptr<NatsConnection> connection_;
  std::unique_ptr<DomainApi> api_;
  absl::Status lost_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_API_SESSION_H_
