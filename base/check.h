// SPDX-License-Identifier: Apache-2.0
// Invariants that protect data. A JETD_CHECK that does not hold ends the process: going on would
// write or answer something wrong. It is on in release builds too. Input from users, files or the
// network never trips one; such errors are an absl::Status.
//
//   JETD_CHECK(revision > last) << "revision " << revision << " after " << last;
//
// A failure writes one line to stderr, `check failed at <file>:<line>: <condition>: <message>`, and
// aborts. Any thread may use it. Nothing to the right of `<<` is evaluated while the check holds.
#ifndef JETD_BASE_CHECK_H_
#define JETD_BASE_CHECK_H_

#include <sstream>

#include "absl/base/optimization.h"

namespace jetd::check_internal {

// Collects the message; its destructor, at the end of the statement, writes it and aborts.
class Failure {
 public:
  Failure(const char* file, int line, const char* condition);
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  [[noreturn]] ~Failure();

  [[nodiscard]] std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

// Gives both branches of JETD_CHECK's `?:` the type void; `&` binds looser than `<<`.
struct Voidify {
  void operator&(std::ostream&) const {}
};

}  // namespace jetd::check_internal

#define JETD_CHECK(condition)           \
  ABSL_PREDICT_TRUE(condition)          \
  ? static_cast<void>(0)                \
  : ::jetd::check_internal::Voidify() & \
          ::jetd::check_internal::Failure(__FILE__, __LINE__, #condition).stream()

#endif  // JETD_BASE_CHECK_H_
