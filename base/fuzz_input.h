// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_FUZZ_INPUT_H_
#define JETD_BASE_FUZZ_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace jetd {

// The input of a fuzz target, taken off its front. At the end every number is 0 and every text
// empty.
class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size_bytes)
      : rest_(reinterpret_cast<const char*>(data), size_bytes) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }
  uint8_t Byte() { return rest_.empty() ? uint8_t{0} : static_cast<uint8_t>(Take(1)[0]); }
  std::string_view Take(size_t bytes) {
    const std::string_view taken = rest_.substr(0, std::min(bytes, rest_.size()));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // A byte that says how many follow, and those.
  std::string_view Chunk() { return Take(Byte()); }
  // Up to the line's end, which is taken too.
  std::string_view Line() { return Until('\n'); }
  std::string_view Until(char end) {
    const size_t at = std::min(rest_.find(end), rest_.size());
    const std::string_view taken = Take(at);
    (void)Take(1);
    return taken;
  }

 private:
  std::string_view rest_;
};

// For parsers that take the path of a file: one file that every input overwrites, in memory where
// there is such a place.
class FuzzFile {
 public:
  FuzzFile() {
    std::error_code ignored;
    const bool in_memory = std::filesystem::is_directory("/dev/shm", ignored);
    path_ =
        (in_memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) /
        "jetd_fuzz_XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~FuzzFile() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  FuzzFile(const FuzzFile&) = delete;
  FuzzFile& operator=(const FuzzFile&) = delete;

  [[nodiscard]] const std::string& folder() const { return path_; }
  // Its path, with these bytes in it.
  [[nodiscard]] std::string Write(std::string_view bytes) const {
    const std::string path = path_ + "/input";
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path;
  }

 private:
  std::string path_;
};

}  // namespace jetd

#endif  // JETD_BASE_FUZZ_INPUT_H_
