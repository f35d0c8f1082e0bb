// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_TESTING_SCRATCH_FOLDER_H_
#define JETD_BASE_TESTING_SCRATCH_FOLDER_H_

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/check.h"

namespace jetd {

// A new folder that goes with the test. In memory if there is such a place: on a disk, making and
// removing small files is what a test would spend its time on. On disk for what servers keep there,
// and beside the folders of nats-servers for tests.
class ScratchFolder {
 public:
  enum Where { kAnywhere, kOnDisk };
  explicit ScratchFolder(Where where = kAnywhere) {
    const std::filesystem::path memory = "/dev/shm";
    const bool in_memory = where == kAnywhere && access(memory.c_str(), W_OK) == 0;
    path_ = (in_memory ? memory : std::filesystem::temp_directory_path()) / "jetd_scratch_XXXXXX";
    JETD_CHECK(mkdtemp(path_.data()) != nullptr) << "no temporary folder";
  }
  ~ScratchFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace jetd

#endif  // JETD_BASE_TESTING_SCRATCH_FOLDER_H_
