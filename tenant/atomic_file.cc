// SPDX-License-Identifier: Apache-2.0
#include "tenant/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/strings.h"
#include "base/write_all.h"

namespace jetd::tenant {
namespace {

absl::Status Failed(const char* what, const std::string& path) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, "cannot ", what, " ", path, ": ",
                    std::string_view(std::strerror(errno)));
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool SyncFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0;
  close(fd);
  return synced;
}

}  // namespace

absl::Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode) {
  const std::string unfinished = path + ".new";
  // What an earlier attempt left may have another mode or owner.
  unlink(unfinished.c_str());
  const int fd = open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0700);
  if (fd < 0) return Failed("write", unfinished);
  const bool written = fchmod(fd, mode) == 0 && WriteAll(fd, content) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  errno = error;
  if (!written) {
    absl::Status failed = Failed("write", unfinished);
    unlink(unfinished.c_str());
    return failed;
  }
  if (std::rename(unfinished.c_str(), path.c_str()) != 0) return Failed("replace", path);
  if (!SyncFolder(FolderOf(path))) return Failed("sync the folder of", path);
  return absl::OkStatus();
}

absl::Status MakeFolder(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0) {
    // Whatever the umask says.
    if (chmod(path.c_str(), mode) != 0) return Failed("set the mode of", path);
    if (!SyncFolder(FolderOf(path))) return Failed("sync the folder of", path);
    return absl::OkStatus();
  }
  struct stat there {};
  const int error = errno;
  if (stat(path.c_str(), &there) == 0 && S_ISDIR(there.st_mode)) return absl::OkStatus();
  errno = error;
  return Failed("make the folder", path);
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return Failed("remove", path);
}

}  // namespace jetd::tenant
