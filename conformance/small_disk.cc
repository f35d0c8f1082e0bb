// SPDX-License-Identifier: Apache-2.0
#include "conformance/small_disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace jetd::conformance {
namespace {

absl::Status Refused(const char* what) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, what, ": ",
                    std::string_view(std::strerror(errno)));
}

// As root a mount namespace, otherwise one below a user namespace in which this user is root.
absl::Status EnterNamespace() {
  const uid_t user = geteuid();
  if (unshare(CLONE_NEWNS) == 0) return absl::OkStatus();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return Refused("no mount namespace");
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SmallDisk>> SmallDisk::Make(size_t size_bytes) {
  if (absl::Status entered = EnterNamespace(); !entered.ok()) return entered;
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Refused("no mounts of one's own");
  }
  std::string folder = std::filesystem::temp_directory_path() / "jetd-disk-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return Refused("no folder");
  const std::string size = Cat("size=", size_bytes);
  if (mount("tmpfs", folder.c_str(), "tmpfs", 0, size.c_str()) != 0) {
    const absl::Status refused = Refused("no tmpfs");
    rmdir(folder.c_str());
    return refused;
  }
  return std::unique_ptr<SmallDisk>(new SmallDisk(std::move(folder)));
}

SmallDisk::~SmallDisk() {
  // Detached: what still has a file open there goes on until it ends.
  umount2(folder_.c_str(), MNT_DETACH);
  rmdir(folder_.c_str());
}

absl::Status SmallDisk::Fill() {
  const int fd = open(ballast().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return Refused("no ballast");
  const std::vector<char> block(64UL << 10);
  // To the last byte: smaller pieces when larger ones do not fit.
  for (size_t piece = block.size(); piece > 0; piece /= 2) {
    while (write(fd, block.data(), piece) > 0) {
    }
  }
  const bool full = errno == ENOSPC;
  close(fd);
  return full ? absl::OkStatus() : Refused("not full");
}

void SmallDisk::Free() { unlink(ballast().c_str()); }

}  // namespace jetd::conformance
