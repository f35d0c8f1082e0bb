// SPDX-License-Identifier: Apache-2.0
#include "jetstream/group_sync.h"

#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/strings.h"
#include "jetstream/file_system.h"

namespace jetd::jetstream {

GroupSync::GroupSync(Loop* loop, std::string stream_folder)
    : loop_(loop), files_(std::make_unique<BlockFiles>(std::move(stream_folder))) {}

GroupSync::~GroupSync() = default;

void GroupSync::Run(std::function<void(BlockFiles&)> sync, SafeFn safe) {
  helper_.Run(
      [this, alive = std::weak_ptr(alive_), sync = std::move(sync), safe = std::move(safe)] {
        const auto begun = std::chrono::steady_clock::now();
        sync(*files_);
        const auto took = std::chrono::steady_clock::now() - begun;
        loop_->Post([this, alive, safe, took, newest = files_->newest()] {
          if (alive.expired()) return;
          newest_block_ = newest;
          syncs_.Observe(took);
          safe();
        });
      });
}

absl::Status GroupSync::MayCreate() const {
  if (!HasRecords(files_->folder())) return absl::OkStatus();
  return absl::FailedPreconditionError(
      Cat("there are records in ", files_->folder(),
          ", but nats-server does not know the stream (its meta.inf may be damaged); a new one is "
          "not made over them. Mend it, or move that folder away to start empty"));
}

absl::Status GroupSync::RemoveRemains() {
  std::error_code error;
  std::filesystem::remove_all(files_->folder(), error);
  if (!error) return absl::OkStatus();
  return absl::FailedPreconditionError(
      Cat("cannot remove what is left of a stream in ", files_->folder(), ": ", error.message()));
}

void GroupSync::SyncStream(SafeFn safe) {
  Run([](BlockFiles& files) { files.SyncAll(); },
      [this, safe = std::move(safe)] {
        caveat_ = FileSystemCaveat(files_->folder());
        safe();
      });
}

void GroupSync::SyncAppends(SafeFn safe) {
  Run([](BlockFiles& files) { files.SyncNewest(); }, std::move(safe));
}

void GroupSync::SyncDeletes(SafeFn safe) {
  Run(
      [](BlockFiles& files) {
        files.SyncNewest();
        files.SyncFolder();
      },
      std::move(safe));
}

}  // namespace jetd::jetstream
