// SPDX-License-Identifier: Apache-2.0
#include "replication/stream_source.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "jetstream/stream_setup.h"

namespace jetd::replication {
namespace {

using jetstream::EmbeddedServer;
using jetstream::NatsEndpoint;

template <typename... Pieces>
absl::Status Unusable(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

// What a jetd that runs says of its nats-server: read anew for each attempt, since a restart of
// that server gives it another port.
absl::StatusOr<NatsEndpoint> EndpointOfRunning(const std::string& data_dir) {
  const std::string path = data_dir + "/private/nats.url";
  std::ifstream file(path);
  std::string url;
  std::error_code ignored;
  if (!std::getline(file, url) || url.empty()) {
    if (std::filesystem::exists(path, ignored)) {
      return Unusable(path, " cannot be read: run this as the user of that jetd");
    }
    return MakeError(Errc::kUnavailable, Cat("a jetd uses the folder ", data_dir,
                                             ", and its nats-server is not ready (no ", path, ")"));
  }
  NatsEndpoint endpoint;
  endpoint.url = url;
  return endpoint;
}

// A nats-server that was killed a moment ago may hold the lock a little longer than its jetd lived.
absl::StatusOr<FolderLock> TakeLock(const std::string& data_dir) {
  constexpr std::chrono::milliseconds kPause{20};
  constexpr int kAttempts = 50;
  for (int i = 1;; ++i) {
    auto lock = FolderLock::Take(data_dir);
    if (!absl::IsUnavailable(lock.status()) || i == kAttempts) return lock;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<OpenSource>> OpenSource::Open(const StreamSource& source) {
  if (!jetstream::IsBucketName(source.bucket)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "no name of a bucket: ", source.bucket);
  }
  if (!source.stream.empty() && !jetstream::IsBucketName(source.stream)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "no name of a stream: ", source.stream);
  }
  if (source.data_dir.empty() == source.nats_urls.empty()) {
    return absl::InvalidArgumentError("give either a data folder or NATS URLs");
  }
  std::unique_ptr<OpenSource> open(new OpenSource);
  open->bucket_ = source.bucket;
  open->domain_ = source.domain;
  open->stream_ = source.stream;
  open->api_prefix_ = source.api_prefix;
  if (source.data_dir.empty()) {
    open->name_ = jetstream::UrlWithoutSecrets(source.nats_urls.front());
    open->endpoint_ = jetstream::RotateEndpoints(source.nats_urls, source.credentials);
    return open;
  }
  if (absl::Status status = open->OpenFolder(source); !status.ok()) return status;
  return open;
}

absl::Status OpenSource::OpenFolder(const StreamSource& source) {
  // Nobody syncs a mirror.
  exclusive_ = source.exclusive == StreamSource::Exclusive::kYes && source.stream.empty();
  // A server that is started on a mistyped name would make a store there.
  std::error_code ignored;
  if (!std::filesystem::is_directory(source.data_dir + "/nats", ignored)) {
    return MakeStatus(absl::StatusCode::kNotFound, source.data_dir,
                      " is no data folder of jetd: it holds no folder \"nats\"");
  }
  auto lock = TakeLock(source.data_dir);
  if (absl::IsUnavailable(lock.status())) {
    name_ = Cat("the jetd that runs on ", source.data_dir);
    endpoint_ = [data_dir = source.data_dir] { return EndpointOfRunning(data_dir); };
    return absl::OkStatus();
  }
  if (!lock.ok()) return lock.status();
  if (source.stopped == StreamSource::Stopped::kInPlace) {
    lock->Release();  // nats-server's to hold
    name_ = source.data_dir;
    return StartServer(source, source.data_dir);
  }
  auto copy = FolderCopy::Make(source.data_dir, *lock, source.interrupted);
  if (!copy.ok()) return copy.status();
  copy_ = *std::move(copy);
  own_folder_ = copy_->path();
  name_ = Cat("a copy of ", source.data_dir);
  return StartServer(source, copy_->path());
}

absl::Status OpenSource::StartServer(const StreamSource& source, const std::string& folder) {
  if (source.nats_server.empty()) {
    return Unusable("no jetd runs on ", source.data_dir,
                    ", so its nats-server has to be started, and none is in PATH; give "
                    "--nats-server with its path");
  }
  auto server = EmbeddedServer::Start({.program = source.nats_server, .data_dir = folder});
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  endpoint_ = [server = server_.get()] { return server->endpoint(); };
  return absl::OkStatus();
}

jetstream::NatsLogOptions OpenSource::LogOptions() const {
  jetstream::NatsLogOptions options;
  options.endpoint = endpoint_;
  options.stream.bucket = bucket_;
  options.stream.stream = stream_;
  options.domain = domain_;
  options.api_prefix = api_prefix_;
  options.client_name = "jetctl";
  options.read_only = true;
  options.exclusive = exclusive_;
  return options;
}

}  // namespace jetd::replication
