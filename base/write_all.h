// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_WRITE_ALL_H_
#define JETD_BASE_WRITE_ALL_H_

#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace jetd {

// Writes all of it to a file, however many calls that takes; false and errno if it cannot.
[[nodiscard]] inline bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace jetd

#endif  // JETD_BASE_WRITE_ALL_H_
