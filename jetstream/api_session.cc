// SPDX-License-Identifier: Apache-2.0
#include "jetstream/api_session.h"

#include <optional>
#include <utility>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::jetstream {

ApiSession::ApiSession(const Options& options)
    : options_(options), endpoints_(RotateEndpoints(options.urls, options.credentials)) {
  loop_.AddRoundHook([this] { connection_->Flush(); });
}

absl::StatusOr<std::unique_ptr<ApiSession>> ApiSession::Open(const Options& options) {
  JETD_CHECK(!options.urls.empty());
  std::unique_ptr<ApiSession> session(new ApiSession(options));
  if (absl::Status connected = session->Connect(); !connected.ok()) return connected;
  return session;
}

ApiSession::~ApiSession() { Disconnect(); }

absl::Status ApiSession::Connect() {
  absl::Status why;
  for (size_t i = 0; i < options_.urls.size(); ++i) {
    auto connection = NatsConnection::Connect(&loop_, endpoints_().value(), options_.client_name,
                                              options_.connect_timeout);
    if (!connection.ok()) {
      why = connection.status();
      continue;
    }
    connection_ = *std::move(connection);
    url_ = connection_->server().url;
    api_ = std::make_unique<DomainApi>(&loop_, connection_.get(), options_.answer_timeout);
    lost_ = absl::OkStatus();
    used_ = loop_.Now();
    connection_->Start([this](const absl::Status& lost) {
      lost_ = lost;
      api_->Fail(lost);
    });
    return absl::OkStatus();
  }
  return why;
}

void ApiSession::Disconnect() {
  api_.reset();
  if (connection_ != nullptr) connection_->Stop();
  connection_.reset();
}

absl::Status ApiSession::RunUntilDone(const BeginFn& begin) {
  while (true) {
    const bool made_anew = connection_ == nullptr || !lost_.ok() || connection_->closed() ||
                           loop_.Now() - used_ > options_.longest_rest;
    if (made_anew) {
      Disconnect();
      if (absl::Status connected = Connect(); !connected.ok()) return connected;
    }
    if (RunOnce(begin)) return absl::OkStatus();
    if (made_anew) return MakeStatus(absl::StatusCode::kUnavailable, url_, " ends connections");
  }
}

bool ApiSession::RunOnce(const BeginFn& begin) {
  bool begun = false;
  loop_.Post([this, &begin, &begun] {
    // The loop has looked at the socket before this.
    begun = lost_.ok() && !connection_->closed();
    if (!begun) return loop_.Stop();
    begin([this] { loop_.Stop(); });
  });
  loop_.Run();
  used_ = loop_.Now();
  return begun;
}

absl::StatusOr<nlohmann::json> ApiSession::Ask(const std::string& domain, std::string_view rest,
                                               const nlohmann::json& request) {
  std::optional<absl::StatusOr<nlohmann::json>> result;
  const absl::Status ran = RunUntilDone([&](const std::function<void()>& done) {
    api_->Ask(domain, rest, request.is_null() ? std::string() : request.dump(),
              [&result, done](absl::StatusOr<nlohmann::json> answer) {
                result = std::move(answer);
                done();
              });
  });
  if (!ran.ok()) return ran;
  return *std::move(result);
}

absl::StatusOr<std::vector<MirrorReport>> ApiSession::Mirrors(const MirrorQuestion& question) {
  std::optional<absl::StatusOr<std::vector<MirrorReport>>> result;
  const absl::Status ran = RunUntilDone([&](const std::function<void()>& done) {
    AskMirrors(api_.get(), api_.get(), question,
               [&result, done](absl::StatusOr<std::vector<MirrorReport>> reports) {
                 result = std::move(reports);
                 done();
               });
  });
  if (!ran.ok()) return ran;
  return *std::move(result);
}

}  // namespace jetd::jetstream
