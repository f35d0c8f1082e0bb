// SPDX-License-Identifier: Apache-2.0
#include "replication/bucket_check.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/strings.h"
#include "jetstream/subject.h"
#include "replication/log_session.h"
#include "replication/stream_check.h"
#include "revision/value_files.h"

namespace jetd::replication {
namespace {

using revision::Store;
using revision::ValueFiles;

absl::StatusOr<std::unique_ptr<Store>> OpenStore(ValueFiles::Options options, size_t memory_bytes) {
  auto files = ValueFiles::Open(std::move(options));
  if (!files.ok()) return files.status();
  auto store = std::make_unique<Store>();
  store->UseValueFiles(*std::move(files), {.budget_bytes = memory_bytes});
  return store;
}

}  // namespace

BucketCheck::~BucketCheck() {
  store_.reset();
  checkpoint_store_.reset();
  std::error_code ignored;
  if (!values_folder_.empty()) std::filesystem::remove_all(values_folder_, ignored);
}

absl::Status BucketCheck::OpenStores(const Options& options) {
  std::error_code error;
  const std::string& own = source_->own_folder();
  const std::filesystem::path where =
      own.empty() ? std::filesystem::temp_directory_path(error) : std::filesystem::path(own);
  values_folder_ = (where / "jetctl-values-XXXXXX").string();
  if (error || mkdtemp(values_folder_.data()) == nullptr) {
    const int why = errno;
    values_folder_.clear();
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "cannot make a folder in ",
                      where.string(), ": ", std::strerror(why));
  }
  auto store = OpenStore({.folder = values_folder_}, options.value_memory_bytes);
  if (!store.ok()) return store.status();
  store_ = *std::move(store);
  checkpoint_path_ = own + "/values/checkpoint";
  if (own.empty() || !std::filesystem::exists(checkpoint_path_, error)) return absl::OkStatus();
  auto other = OpenStore({.folder = own + "/values", .keep = true}, options.value_memory_bytes);
  if (!other.ok()) return other.status();
  checkpoint_store_ = *std::move(other);
  return absl::OkStatus();
}

absl::Status BucketCheck::Read(const Options& options) {
  const jetstream::SubjectCodec codec(options.source.bucket);
  std::unique_ptr<StreamCheck> check;
  return RunOnLog(source_->LogOptions(),
                  {.connect = options.source.connect_patience,
                   .end = options.source.patience,
                   .interrupted = options.source.interrupted},
                  [&](jetstream::Log* log, const jetstream::LogInfo& info, auto done) {
                    check = std::make_unique<StreamCheck>(
                        log, &codec,
                        StreamCheck::Options{.info = info,
                                             .store = store_.get(),
                                             .checkpoint_store = checkpoint_store_.get(),
                                             .checkpoint_path = checkpoint_path_,
                                             .progress = options.progress});
                    check->Run([this, done = std::move(done)](absl::StatusOr<CheckReport> report) {
                      if (report.ok()) report_ = *std::move(report);
                      done(report.status());
                    });
                  });
}

absl::StatusOr<std::unique_ptr<BucketCheck>> BucketCheck::Run(const Options& options) {
  auto source = OpenSource::Open(options.source);
  if (!source.ok()) return source.status();
  std::unique_ptr<BucketCheck> check(new BucketCheck);
  check->source_ = *std::move(source);
  check->name_ = check->source_->name();
  if (absl::Status status = check->OpenStores(options); !status.ok()) return status;
  if (absl::Status status = check->Read(options); !status.ok()) return status;
  return check;
}

absl::StatusOr<uint32_t> BucketCheck::HashAt(Revision at, Revision compacted) {
  if (!report_.replayed) return absl::FailedPreconditionError("no store was built");
  const Revision ours = store_->compacted();
  if (compacted < ours && ours > Revision{}) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "it was compacted at ",
                      compacted.value(), ", the stream at ", ours.value());
  }
  if (compacted > std::max(ours, Revision{})) {
    if (absl::Status status = store_->CheckCompact(compacted); !status.ok()) return status;
    (void)store_->Compact(compacted);
  }
  const auto hash = store_->HashKv(at);
  if (!hash.ok()) return hash.status();
  return hash->hash;
}

}  // namespace jetd::replication
