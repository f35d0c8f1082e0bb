// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_FILE_STAMP_H_
#define JETD_ETCDAPI_FILE_STAMP_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace jetd::etcdapi {

// By which it is seen that a file is another one, or was written to. A link is followed, so that
// one that is set anew (as Kubernetes does with mounted secrets) counts too.
struct FileStamp {
  uint64_t device = 0, inode = 0;
  int64_t size = -1;  // -1: there is no such file
  int64_t written_ns = 0, changed_ns = 0;

  bool operator==(const FileStamp&) const = default;
};

// About a microsecond. Any thread.
[[nodiscard]] inline FileStamp StampOf(const std::string& path) {
  struct stat info {};
  if (path.empty() || stat(path.c_str(), &info) != 0) return {};
  const auto ns = [](const timespec& time) {
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .size = info.st_size,
          .written_ns = ns(info.st_mtim),
          .changed_ns = ns(info.st_ctim)};
}

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_FILE_STAMP_H_
