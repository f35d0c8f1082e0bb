// SPDX-License-Identifier: Apache-2.0
#include "replication/stream_dump.h"

#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "base/loop.h"
#include "base/strings.h"
#include "jetstream/embedded_server.h"
#include "jetstream/nats_log.h"
#include "jetstream/silent_observer.h"
#include "jetstream/subject.h"

namespace jetd::replication {
namespace {

using jetstream::EmbeddedServer;
using jetstream::NatsLog;
using jetstream::NatsLogOptions;

// Reads once, as soon as there is a connection; an error of the connection ends it.
class Dump : public jetstream::SilentObserver {
 public:
  Dump(NatsLogOptions options, const StreamSource& source,
       const TransactionReader::TransactionFn& on_transaction)
      : codec_(source.bucket),
        log_(&loop_, std::move(options)),
        reader_(&log_, &codec_),
        on_transaction_(on_transaction) {}

  absl::StatusOr<TransactionReader::Result> Run(std::chrono::seconds patience) {
    loop_.Post([this, patience] {
      log_.Open(this, [this](const absl::Status& why) { End(why); });
      loop_.RunAfter(patience,
                     [this] { End(absl::DeadlineExceededError("no answer from NATS in time")); });
    });
    loop_.Run();
    return result_;
  }

  void OnConnected(const jetstream::LogInfo& /*info*/) override {
    if (std::exchange(reading_, true)) return;
    reader_.Run(on_transaction_,
                [this](absl::StatusOr<TransactionReader::Result> result) { End(result); });
  }

 private:
  void End(absl::StatusOr<TransactionReader::Result> result) {
    if (std::exchange(ended_, true)) return;
    result_ = std::move(result);
    // Not from inside a callback of the log.
    loop_.Defer([this] {
      log_.Close();
      loop_.Stop();
    });
  }

  Loop loop_;
  const jetstream::SubjectCodec codec_;
  NatsLog log_;
  TransactionReader reader_;
  const TransactionReader::TransactionFn on_transaction_;
  bool reading_ = false, ended_ = false;
  absl::StatusOr<TransactionReader::Result> result_ = absl::UnknownError("not read");
};

}  // namespace

absl::StatusOr<TransactionReader::Result> DumpStream(
    const StreamSource& source, const TransactionReader::TransactionFn& on_transaction) {
  if (!jetstream::IsBucketName(source.bucket)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "no name of a bucket: ", source.bucket);
  }
  if (source.data_dir.empty() == source.nats_urls.empty()) {
    return absl::InvalidArgumentError("give either a data folder or NATS URLs");
  }
  NatsLogOptions options;
  options.stream.bucket = source.bucket;
  options.client_name = "jetd stream dump";
  options.read_only = true;
  if (!source.nats_urls.empty()) {
    options.endpoint = jetstream::RotateEndpoints(source.nats_urls, source.credentials);
    return Dump(std::move(options), source, on_transaction).Run(source.patience);
  }
  // A server that is started on a mistyped name would make a store there.
  std::error_code ignored;
  if (!std::filesystem::is_directory(source.data_dir + "/nats", ignored)) {
    return MakeStatus(absl::StatusCode::kNotFound, source.data_dir,
                      " is no data folder of jetd: it holds no folder \"nats\"");
  }
  auto server = EmbeddedServer::Start({.program = source.nats_server, .data_dir = source.data_dir});
  if (!server.ok()) return server.status();
  options.endpoint = [&server] { return (*server)->endpoint(); };
  return Dump(std::move(options), source, on_transaction).Run(source.patience);
}

}  // namespace jetd::replication
