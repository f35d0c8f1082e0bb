// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace jetd::check_internal {

Failure::Failure(const char* file, int line, const char* condition) {
  stream_ << "check failed at " << file << ":" << line << ": " << condition << ": ";
}

Failure::~Failure() {
  stream_ << "\n";
  const std::string text = stream_.str();
  // write(2) and not the log: the log may be what is broken, and abort() flushes nothing.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  std::abort();
}

}  // namespace jetd::check_internal
