// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SMALL_DISK_H_
#define JETD_CONFORMANCE_SMALL_DISK_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace jetd::conformance {

// A file system of a few megabytes that can be full: a tmpfs in a mount namespace of this process's
// own, which its children share, and which is gone with them.
//
// Thread rules: Make while the process has one thread; the rest one thread at a time.
class SmallDisk {
 public:
  // FailedPrecondition where the machine does not let this process mount anything.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SmallDisk>> Make(size_t size_bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  [[nodiscard]] const std::string& folder() const { return folder_; }
  // Takes all the room there is, until Free.
  [[nodiscard]] absl::Status Fill();
  void Free();

 private:
  explicit SmallDisk(std::string folder) : folder_(std::move(folder)) {}
  [[nodiscard]] std::string ballast() const { return folder_ + "/ballast"; }

  const std::string folder_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_SMALL_DISK_H_
