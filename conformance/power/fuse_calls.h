// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_POWER_FUSE_CALLS_H_
#define JETD_CONFORMANCE_POWER_FUSE_CALLS_H_

#define FUSE_USE_VERSION 31
#include <fuse_lowlevel.h>

namespace jetd::conformance::power {

// What the kernel asks of a Mount, which is the session's user data. All run on its serving thread.
class FuseCalls {
 public:
  [[nodiscard]] static fuse_lowlevel_ops Table();

 private:
  static void Lookup(fuse_req_t request, fuse_ino_t folder, const char* name);
  static void GetAttributes(fuse_req_t request, fuse_ino_t node, fuse_file_info* file);
  static void SetAttributes(fuse_req_t request, fuse_ino_t node, struct stat* attributes, int which,
                            fuse_file_info* file);
  static void MakeFolder(fuse_req_t request, fuse_ino_t folder, const char* name, mode_t mode);
  static void RemoveFile(fuse_req_t request, fuse_ino_t folder, const char* name);
  static void RemoveFolder(fuse_req_t request, fuse_ino_t folder, const char* name);
  static void Rename(fuse_req_t request, fuse_ino_t from, const char* name, fuse_ino_t to,
                     const char* as, unsigned int flags);
  static void Create(fuse_req_t request, fuse_ino_t folder, const char* name, mode_t mode,
                     fuse_file_info* file);
  static void Open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file);
  static void Read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                   fuse_file_info* file);
  static void Write(fuse_req_t request, fuse_ino_t node, const char* bytes, size_t size,
                    off_t offset, fuse_file_info* file);
  static void SyncFile(fuse_req_t request, fuse_ino_t node, int data_only, fuse_file_info* file);
  static void SyncFolder(fuse_req_t request, fuse_ino_t node, int data_only, fuse_file_info* file);
  static void OpenFolder(fuse_req_t request, fuse_ino_t node, fuse_file_info* file);
  static void ReadFolder(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                         fuse_file_info* file);
  static void CloseFolder(fuse_req_t request, fuse_ino_t node, fuse_file_info* file);
  static void Space(fuse_req_t request, fuse_ino_t node);
  static void Remove(fuse_req_t request, fuse_ino_t folder, const char* name, bool is_folder);
};

}  // namespace jetd::conformance::power

#endif  // JETD_CONFORMANCE_POWER_FUSE_CALLS_H_
