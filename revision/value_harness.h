// SPDX-License-Identifier: Apache-2.0
//
// For tests: stores whose values are in files, in a folder that goes with the test.
#ifndef JETD_REVISION_VALUE_HARNESS_H_
#define JETD_REVISION_VALUE_HARNESS_H_

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "revision/store.h"
#include "revision/value_files.h"

namespace jetd::revision {

// In memory if there is such a place: on a disk, making and removing small files is what a test
// would spend its time on.
class ScratchFolder {
 public:
  enum Where { kAnywhere, kOnDisk };
  explicit ScratchFolder(Where where = kAnywhere) {
    const std::filesystem::path memory = "/dev/shm";
    const bool in_memory = where == kAnywhere && access(memory.c_str(), W_OK) == 0;
    path_ = (in_memory ? memory : std::filesystem::temp_directory_path()) / "jetd_values_XXXXXX";
    JETD_CHECK(mkdtemp(path_.data()) != nullptr) << "no temporary folder";
  }
  ~ScratchFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::unique_ptr<ValueFiles> OpenValueFiles(ValueFiles::Options options) {
  auto files = ValueFiles::Open(std::move(options));
  JETD_CHECK(files.ok()) << files.status();
  return *std::move(files);
}

// Every value is worth a file, and files so small that a few versions fill one.
inline void UseTinyValueFiles(Store* store, const std::string& folder, size_t budget_bytes,
                              bool keep = false) {
  store->UseValueFiles(
      OpenValueFiles({.folder = folder, .segment_bytes = 200, .buffer_bytes = 90, .keep = keep}),
      {.budget_bytes = budget_bytes, .min_value_bytes = 1});
}

}  // namespace jetd::revision

#endif  // JETD_REVISION_VALUE_HARNESS_H_
