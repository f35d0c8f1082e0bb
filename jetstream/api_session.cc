// SPDX-License-Identifier: Apache-2.0
#include "jetstream/api_session.h"

#include <optional>
#include <utility>

#include "base/check.h"

namespace jetd::jetstream {

absl::StatusOr<std::unique_ptr<ApiSession>> ApiSession::Open(const Options& options) {
  JETD_CHECK(!options.urls.empty());
  const NatsEndpointFn endpoints = RotateEndpoints(options.urls, options.credentials);
  std::unique_ptr<ApiSession> session(new ApiSession(options));
  absl::Status why;
  for (size_t i = 0; i < options.urls.size() && session->connection_ == nullptr; ++i) {
    auto connection = NatsConnection::Connect(&session->loop_, endpoints().value(),
                                              options.client_name, options.connect_timeout);
    if (connection.ok()) {
      session->connection_ = *std::move(connection);
    } else {
      why = connection.status();
    }
  }
  if (session->connection_ == nullptr) return why;
  session->api_ = std::make_unique<DomainApi>(&session->loop_, session->connection_.get(),
                                              options.answer_timeout);
  ApiSession* const self = session.get();
  session->loop_.AddRoundHook([self] { self->connection_->Flush(); });
  session->connection_->Start([self](const absl::Status& lost) {
    self->lost_ = lost;
    self->api_->Fail(lost);
  });
  return session;
}

ApiSession::~ApiSession() {
  if (connection_ == nullptr) return;
  api_.reset();
  connection_->Stop();
}

void ApiSession::RunUntilDone(const std::function<void(std::function<void()>)>& begin) {
  loop_.Post([this, &begin] { begin([this] { loop_.Stop(); }); });
  loop_.Run();
}

absl::StatusOr<nlohmann::json> ApiSession::Ask(const std::string& domain, std::string_view rest,
                                               const nlohmann::json& request) {
  if (!lost_.ok()) return lost_;
  std::optional<absl::StatusOr<nlohmann::json>> result;
  RunUntilDone([&](const std::function<void()>& done) {
    // What was lost since is told by nobody.
    if (!lost_.ok()) {
      result = lost_;
      return done();
    }
    api_->Ask(domain, rest, request.is_null() ? std::string() : request.dump(),
              [&result, done](absl::StatusOr<nlohmann::json> answer) {
                result = std::move(answer);
                done();
              });
  });
  return *std::move(result);
}

absl::StatusOr<std::vector<MirrorReport>> ApiSession::Mirrors(const MirrorQuestion& question) {
  if (!lost_.ok()) return lost_;
  std::optional<absl::StatusOr<std::vector<MirrorReport>>> result;
  RunUntilDone([&](const std::function<void()>& done) {
    if (!lost_.ok()) {
      result = lost_;
      return done();
    }
    AskMirrors(api_.get(), api_.get(), question,
               [&result, done](absl::StatusOr<std::vector<MirrorReport>> reports) {
                 result = std::move(reports);
                 done();
               });
  });
  return *std::move(result);
}

}  // namespace jetd::jetstream
