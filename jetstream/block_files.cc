// SPDX-License-Identifier: Apache-2.0
#include "jetstream/block_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::jetstream {
namespace {

constexpr std::string_view kSuffix = ".blk";

int OpenFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  JETD_CHECK(fd >= 0) << "cannot open " << path << ": " << std::strerror(errno);
  return fd;
}

// Linux tells nothing of it to a file system of FUSE, and reports success.
bool PassesSyncfsOn(int fd) {
  struct statfs info {};
  JETD_CHECK(fstatfs(fd, &info) == 0) << "fstatfs: " << std::strerror(errno);
  return info.f_type != FUSE_SUPER_MAGIC;
}

// A file, or a folder's names. What has vanished needs none.
void SyncPath(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return;
  JETD_CHECK(fd >= 0) << "cannot open " << path << ": " << std::strerror(errno);
  JETD_CHECK(fsync(fd) == 0) << "fsync " << path << ": " << std::strerror(errno);
  close(fd);
}

// Everything below `path`, and itself.
void SyncTree(const std::string& path) {
  DIR* const dir = opendir(path.c_str());
  if (dir == nullptr && errno == ENOENT) return;
  if (dir == nullptr && errno == ENOTDIR) return SyncPath(path);
  JETD_CHECK(dir != nullptr) << "cannot list " << path << ": " << std::strerror(errno);
  while (const dirent* const entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") SyncTree(Cat(path, "/", name));
  }
  closedir(dir);
  SyncPath(path);
}

// The folders that `path` is in, as far as they are on the same file system.
void SyncAbove(std::string path) {
  struct stat info {};
  JETD_CHECK(stat(path.c_str(), &info) == 0) << path << ": " << std::strerror(errno);
  const dev_t device = info.st_dev;
  while (true) {
    path += "/..";
    const ino_t below = info.st_ino;
    JETD_CHECK(stat(path.c_str(), &info) == 0) << path << ": " << std::strerror(errno);
    if (info.st_dev != device || info.st_ino == below) return;
    SyncPath(path);
  }
}

bool Same(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

std::optional<std::vector<uint64_t>> ListBlocks(const std::string& folder, uint64_t from) {
  DIR* const dir = opendir(folder.c_str());
  if (dir == nullptr) return std::nullopt;
  std::vector<uint64_t> blocks;
  while (const dirent* const entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    uint64_t block = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), block);
    if (parsed.ec != std::errc() || block < from) continue;
    if (std::string_view(parsed.ptr) == kSuffix) blocks.push_back(block);
  }
  closedir(dir);
  std::sort(blocks.begin(), blocks.end());
  return blocks;
}

std::vector<uint64_t> BlockNumbers(const std::string& folder, uint64_t from) {
  auto blocks = ListBlocks(folder, from);
  JETD_CHECK(blocks.has_value()) << "cannot list " << folder << ": " << std::strerror(errno);
  return *std::move(blocks);
}

bool HasRecords(const std::string& stream_folder) {
  const std::string blocks = stream_folder + "/msgs";
  if (access(blocks.c_str(), F_OK) != 0) return false;
  for (const uint64_t block : BlockNumbers(blocks, 0)) {
    struct stat info {};
    if (stat(Cat(blocks, "/", block, kSuffix).c_str(), &info) == 0 && info.st_size > 0) return true;
  }
  return false;
}

BlockFiles::BlockFiles(std::string stream_folder)
    : folder_(std::move(stream_folder)), blocks_(folder_ + "/msgs") {}

BlockFiles::~BlockFiles() {
  if (newest_fd_ >= 0) close(newest_fd_);
  if (blocks_fd_ >= 0) close(blocks_fd_);
}

std::string BlockFiles::PathOf(uint64_t block) const { return Cat(blocks_, "/", block, kSuffix); }

void BlockFiles::SyncAll() {
  if (blocks_fd_ >= 0) close(blocks_fd_);
  blocks_fd_ = OpenFolder(blocks_);
  // Files of any age may have been written and not synced by a server that was killed, and the
  // folders above are new with a new stream: the whole file system is both simplest and surest.
  JETD_CHECK(syncfs(blocks_fd_) == 0) << "syncfs " << blocks_ << ": " << std::strerror(errno);
  if (!PassesSyncfsOn(blocks_fd_)) {
    SyncTree(folder_);
    SyncAbove(folder_);
  }
  const std::vector<uint64_t> blocks = BlockNumbers(blocks_, 0);
  newest_ = blocks.empty() ? 0 : blocks.back();
  SyncFrom(newest_);
}

bool BlockFiles::FolderChanged() {
  struct stat folder {};
  JETD_CHECK(fstat(blocks_fd_, &folder) == 0) << blocks_ << ": " << std::strerror(errno);
  if (!Same(folder.st_mtim, blocks_time_) || newest_fd_ < 0) return true;
  // The time is coarse, so two changes may bear the same.
  struct stat block {};
  JETD_CHECK(fstat(newest_fd_, &block) == 0) << PathOf(newest_) << ": " << std::strerror(errno);
  return block.st_nlink == 0 || access(PathOf(newest_ + 1).c_str(), F_OK) == 0;
}

void BlockFiles::SyncNewest() {
  JETD_CHECK(blocks_fd_ >= 0) << "SyncNewest before SyncAll";
  if (FolderChanged()) {
    SyncFrom(newest_);
    return;
  }
  JETD_CHECK(fdatasync(newest_fd_) == 0)
      << "fdatasync " << PathOf(newest_) << ": " << std::strerror(errno);
}

void BlockFiles::SyncFrom(uint64_t from) {
  // Taken before the look: what changes meanwhile is seen by the next call.
  struct stat folder {};
  JETD_CHECK(fstat(blocks_fd_, &folder) == 0) << blocks_ << ": " << std::strerror(errno);
  blocks_time_ = folder.st_mtim;
  for (const uint64_t block : BlockNumbers(blocks_, from)) {
    const int fd = open(PathOf(block).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) continue;  // emptied since the look
    JETD_CHECK(fd >= 0) << "cannot open " << PathOf(block) << ": " << std::strerror(errno);
    JETD_CHECK(fdatasync(fd) == 0) << "fdatasync " << PathOf(block) << ": " << std::strerror(errno);
    if (newest_fd_ >= 0) close(newest_fd_);
    newest_fd_ = fd;
    newest_ = block;
  }
  SyncFolder();
}

uint64_t BlockFiles::newest_inode() const {
  struct stat block {};
  return newest_fd_ >= 0 && fstat(newest_fd_, &block) == 0 ? block.st_ino : 0;
}

void BlockFiles::SyncFolder() {
  JETD_CHECK(fsync(blocks_fd_) == 0) << "fsync " << blocks_ << ": " << std::strerror(errno);
}

}  // namespace jetd::jetstream
