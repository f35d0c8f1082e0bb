// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_TESTING_WAIT_UNTIL_H_
#define JETD_BASE_TESTING_WAIT_UNTIL_H_

#include <chrono>
#include <functional>
#include <thread>

namespace jetd {

// Asks until it is so; false after far too long. For what other processes, and threads that tell
// nobody, do at their own pace.
inline bool WaitUntil(const std::function<bool()>& so,
                      std::chrono::seconds far_too_long = std::chrono::seconds(60)) {
  const auto end = std::chrono::steady_clock::now() + far_too_long;
  while (!so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace jetd

#endif  // JETD_BASE_TESTING_WAIT_UNTIL_H_
