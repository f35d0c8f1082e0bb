// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_FOLDER_COPY_H_
#define JETD_REPLICATION_FOLDER_COPY_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace jetd::replication {

// The lock of a data folder, which a jetd that runs holds: see jetstream/embedded_server.h.
class FolderLock {
 public:
  // Unavailable: somebody else has it. FailedPrecondition: the file cannot be opened.
  [[nodiscard]] static absl::StatusOr<FolderLock> Take(const std::string& data_dir);
  ~FolderLock() { Release(); }
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  void Release();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

// A copy of a data folder's `nats/` and `values/`, in a new folder in it, "check-XXXXXX", which
// goes with the object; one that a kill left there goes with the next copy. (A file `jetctl-check`
// in it says that it is one, and is locked while it is in use.) On a file system that can share the
// blocks of files (btrfs, XFS) it takes no room and no time.
class FolderCopy {
 public:
  // `lock` is of that folder, and held until this returns. FailedPrecondition with one line for
  // people: no room, no right. Cancelled: `interrupted`, which may be null, became true.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<FolderCopy>> Make(
      const std::string& data_dir, const FolderLock& lock, const std::atomic<bool>* interrupted);
  ~FolderCopy();
  FolderCopy(const FolderCopy&) = delete;
  FolderCopy& operator=(const FolderCopy&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  FolderCopy(std::string path, int marker) : path_(std::move(path)), marker_(marker) {}
  const std::string path_;
  const int marker_;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_FOLDER_COPY_H_
