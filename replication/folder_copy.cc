// SPDX-License-Identifier: Apache-2.0
#include "replication/folder_copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/strings.h"

namespace jetd::replication {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCopyPrefix = "check-";
constexpr const char* kMarker = "/jetctl-check";

template <typename... Pieces>
absl::Status Unusable(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

// Shares the file's blocks. False: this file system cannot.
bool Clone(const fs::path& from, const fs::path& to) {
  const int in = open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (in < 0) return false;
  const int out = open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool done = out >= 0 && ioctl(out, FICLONE, in) == 0;
  if (out >= 0) close(out);
  close(in);
  if (!done && out >= 0) unlink(to.c_str());
  return done;
}

absl::Status CopyFile(const fs::path& from, const fs::path& to) {
  if (Clone(from, to)) return absl::OkStatus();
  std::error_code error;
  fs::copy_file(from, to, error);
  if (!error) return absl::OkStatus();
  if (error == std::errc::no_space_on_device) {
    return Unusable("no room for a copy of the store at ", to.parent_path().string(),
                    "; give --in-place to check the store itself, which its nats-server may mend "
                    "on the way as at jetd's next start");
  }
  return Unusable("cannot copy ", from.string(), ": ", error.message());
}

// Folders and plain files, which is all that there is.
absl::Status CopyTree(const fs::path& from, const fs::path& to,
                      const std::atomic<bool>* interrupted) {
  std::error_code error;
  fs::create_directories(to, error);
  fs::recursive_directory_iterator entry(from, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (interrupted != nullptr && interrupted->load()) return absl::CancelledError("interrupted");
    const fs::path target = to / entry->path().lexically_relative(from);
    if (entry->is_directory(error)) {
      fs::create_directories(target, error);
    } else if (entry->is_regular_file(error)) {
      if (absl::Status status = CopyFile(entry->path(), target); !status.ok()) return status;
    }
    if (error) break;
  }
  if (error) return Unusable("cannot copy ", from.string(), ": ", error.message());
  return absl::OkStatus();
}

// Copies that nobody uses. What else has such a name is somebody's own.
void RemoveLeftovers(const fs::path& data_dir) {
  std::error_code ignored;
  fs::directory_iterator entry(data_dir, ignored);
  for (; entry != fs::directory_iterator(); entry.increment(ignored)) {
    const std::string path = entry->path().string();
    if (!entry->path().filename().string().starts_with(kCopyPrefix)) continue;
    rmdir(path.c_str());  // if it is empty: a kill may have come before the marker
    const int marker = open((path + kMarker).c_str(), O_RDWR | O_CLOEXEC);
    if (marker < 0) continue;
    std::error_code gone;
    if (flock(marker, LOCK_EX | LOCK_NB) == 0) fs::remove_all(path, gone);
    close(marker);
  }
}

}  // namespace

absl::StatusOr<FolderLock> FolderLock::Take(const std::string& data_dir) {
  const std::string path = data_dir + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Unusable("cannot open ", path, ": ", std::strerror(errno));
  FolderLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  return MakeStatus(absl::StatusCode::kUnavailable, path, " is locked");
}

void FolderLock::Release() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

absl::StatusOr<std::unique_ptr<FolderCopy>> FolderCopy::Make(const std::string& data_dir,
                                                             const FolderLock& /*lock*/,
                                                             const std::atomic<bool>* interrupted) {
  RemoveLeftovers(data_dir);
  std::string path = Cat(data_dir, "/", kCopyPrefix, "XXXXXX");
  if (mkdtemp(path.data()) == nullptr) {
    return Unusable("cannot make a folder in ", data_dir, ": ", std::strerror(errno));
  }
  const int marker = open((path + kMarker).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  std::unique_ptr<FolderCopy> copy(new FolderCopy(path, marker));
  if (marker < 0 || flock(marker, LOCK_EX | LOCK_NB) != 0) {
    return Unusable("cannot write in ", path, ": ", std::strerror(errno));
  }
  for (const char* part : {"/nats", "/values"}) {
    std::error_code ignored;
    if (!fs::is_directory(data_dir + part, ignored)) continue;
    absl::Status status = CopyTree(data_dir + part, path + part, interrupted);
    if (!status.ok()) return status;
  }
  return copy;
}

FolderCopy::~FolderCopy() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  if (marker_ >= 0) close(marker_);
}

}  // namespace jetd::replication
