// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_REPEATED_WARNING_H_
#define JETD_REVISION_REPEATED_WARNING_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "base/executor.h"

namespace jetd::revision {

// A warning that may come many times a second for as long as its cause lasts: it is said at once,
// then with a count at most every kPause, and once more when it has not come for that long.
//
//   0.0 s  Say(full, "broke at 7")    broke at 7: no room
//   0.1 s  Say(full, "broke at 7")
//   9.9 s  Say(full, "broke at 9")
//   10 s                              broke at 9: no room (2 more within 10 s)
//   20 s                              no more for 10 s: broke at 9: no room
//
// Another cause (another kind of error) is said at once.
//
// Engine thread only.
class RepeatedWarning {
 public:
  static constexpr std::chrono::seconds kPause{10};
  using SayFn = std::function<void(const std::string& line)>;

  RepeatedWarning(Executor* executor, SayFn say) : executor_(executor), say_(std::move(say)) {}
  ~RepeatedWarning() { executor_->Cancel(timer_); }
  RepeatedWarning(const RepeatedWarning&) = delete;
  RepeatedWarning& operator=(const RepeatedWarning&) = delete;

  void Say(const absl::Status& why, std::string_view what);

 private:
  void SayRepeated();
  void Wait();

  Executor* const executor_;
  const SayFn say_;
  absl::Status cause_;
  std::string newest_;
  size_t more_ = 0;        // not said
  bool repeated_ = false;  // that there were more was said
  TimerId timer_ = 0;      // 0: it is over
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_REPEATED_WARNING_H_
