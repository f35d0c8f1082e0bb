// SPDX-License-Identifier: Apache-2.0
#include "replication/bucket_target.h"

#include <filesystem>
#include <utility>

#include "base/strings.h"
#include "jetstream/api_session.h"
#include "jetstream/group_sync.h"
#include "jetstream/nats_log.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"

namespace jetd::replication {
namespace {

using jetstream::EmbeddedServer;

constexpr std::chrono::milliseconds kLookForInterrupt{100};

// One filling, on a loop of its own.
class Filling {
 public:
  Filling(jetstream::NatsLogOptions options, const std::string& sync_folder,
          const jetstream::SubjectCodec* codec, const BucketWriter::Options& writer,
          const BucketTarget::FeedFn& make_feed)
      : make_feed_(make_feed) {
    if (!sync_folder.empty()) {
      sync_ = std::make_unique<jetstream::GroupSync>(&loop_, sync_folder);
      options.durability = sync_.get();
    }
    log_ = std::make_unique<jetstream::NatsLog>(&loop_, std::move(options));
    writer_ = std::make_unique<BucketWriter>(
        &loop_, log_.get(), codec, writer,
        [this](const jetstream::RestoreRecord& restore) { return Begin(restore); },
        [this](absl::StatusOr<BucketWriter::Result> result) { End(std::move(result)); });
  }

  absl::StatusOr<BucketWriter::Result> Run(const Patience& patience) {
    loop_.Post([this, patience] {
      log_->Open(writer_.get(), [this](const absl::Status& why) { End(why); });
      loop_.RunAfter(patience.connect, [this, patience] {
        if (log_ != nullptr && !writer_->connected_once()) {
          End(NoConnection(patience.connect, *log_));
        }
      });
      if (patience.interrupted != nullptr) LookForInterrupt(patience.interrupted);
    });
    loop_.Run();
    return std::move(result_);
  }

 private:
  absl::StatusOr<BucketFeed*> Begin(const jetstream::RestoreRecord& restore) {
    auto feed = make_feed_(
        &loop_, [this] { writer_->Wake(); }, restore);
    if (!feed.ok()) return feed.status();
    feed_ = *std::move(feed);
    return feed_.get();
  }
  void LookForInterrupt(const std::atomic<bool>* interrupted) {
    if (interrupted->load()) return End(absl::CancelledError("interrupted"));
    loop_.RunAfter(kLookForInterrupt, [this, interrupted] { LookForInterrupt(interrupted); });
  }
  void End(absl::StatusOr<BucketWriter::Result> result) {
    if (std::exchange(ended_, true)) return;
    result_ = std::move(result);
    // Not from inside a callback of the log.
    loop_.Defer([this] {
      log_->Close();
      loop_.Stop();
    });
  }

  const BucketTarget::FeedFn& make_feed_;
  Loop loop_;
  std::unique_ptr<jetstream::GroupSync> sync_;
  std::unique_ptr<jetstream::NatsLog> log_;
  std::unique_ptr<BucketFeed> feed_;  // outlives the writer
  std::unique_ptr<BucketWriter> writer_;
  bool ended_ = false;
  absl::StatusOr<BucketWriter::Result> result_ = absl::UnknownError("not begun");
};

}  // namespace

absl::StatusOr<std::string> FoundAt(const StreamSource& place) {
  if (!place.data_dir.empty()) {
    std::error_code ignored;
    const std::filesystem::path folder = place.data_dir;
    return std::string(std::filesystem::exists(folder / "nats", ignored) ? "holds a store" : "");
  }
  const auto session =
      jetstream::ApiSession::Open({.urls = place.nats_urls, .credentials = place.credentials});
  if (!session.ok()) return session.status();
  const auto info =
      (*session)->Ask(place.domain, Cat("STREAM.INFO.", jetstream::StreamName(place.bucket)));
  if (absl::IsNotFound(info.status())) return "";
  if (!info.ok()) return info.status();
  const nlohmann::json::json_pointer messages("/state/messages");
  if (!info->contains(messages) || (*info)[messages] == 0) return "";
  return Cat("has ", (*info)[messages].dump(), " records");
}

BucketTarget::BucketTarget(StreamSource place, int replicas)
    : place_(std::move(place)), replicas_(replicas), codec_(place_.bucket) {}

absl::StatusOr<std::unique_ptr<BucketTarget>> BucketTarget::Open(const StreamSource& place,
                                                                 int replicas) {
  if (!jetstream::IsBucketName(place.bucket)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "no name of a bucket: ", place.bucket);
  }
  if (place.data_dir.empty() == place.nats_urls.empty()) {
    return absl::InvalidArgumentError("give either a data folder or NATS URLs");
  }
  std::unique_ptr<BucketTarget> target(new BucketTarget(place, replicas));
  if (place.data_dir.empty()) return target;
  if (place.nats_server.empty()) {
    return absl::FailedPreconditionError(
        "a nats-server has to be started on the new folder, and none is in PATH; give its path");
  }
  auto server = EmbeddedServer::Start({.program = place.nats_server, .data_dir = place.data_dir});
  if (!server.ok()) return server.status();
  target->server_ = *std::move(server);
  return target;
}

std::string BucketTarget::name() const {
  return Cat("bucket ", place_.bucket, " of ",
             server_ != nullptr ? place_.data_dir
                                : jetstream::UrlWithoutSecrets(place_.nats_urls.front()));
}

jetstream::NatsLogOptions BucketTarget::LogOptions() const {
  jetstream::NatsLogOptions options;
  options.stream.bucket = place_.bucket;
  options.stream.replicas = replicas_;
  options.client_name = "jetctl";
  if (server_ == nullptr) {
    options.endpoint = jetstream::RotateEndpoints(place_.nats_urls, place_.credentials);
    options.domain = place_.domain;
    return options;
  }
  // As jetd itself does (docs/OPERATIONS.md): nobody else can write there.
  options.endpoint = [server = server_.get()] { return server->endpoint(); };
  options.exclusive = true;
  options.disk_room = [server = server_.get()](uint64_t bytes) { return server->RoomFor(bytes); };
  options.min_minor_version = EmbeddedServer::kMinMinorVersion;
  return options;
}

absl::StatusOr<BucketWriter::Result> BucketTarget::Fill(const BucketWriter::Options& options,
                                                        const FeedFn& make_feed,
                                                        const Patience& patience) {
  const std::string sync_folder =
      server_ == nullptr ? std::string() : server_->StreamFolder(place_.bucket);
  return Filling(LogOptions(), sync_folder, &codec_, options, make_feed).Run(patience);
}

}  // namespace jetd::replication
