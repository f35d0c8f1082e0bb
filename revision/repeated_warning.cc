// SPDX-License-Identifier: Apache-2.0
#include "revision/repeated_warning.h"

#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace jetd::revision {

void RepeatedWarning::Say(const absl::Status& why, std::string_view what) {
  const bool again = timer_ != 0 && GetErrc(why) == GetErrc(cause_);
  if (!again) SayRepeated();
  cause_ = why;
  newest_ = Cat(what, ": ", MessageOf(why));
  if (again) {
    ++more_;
    return;
  }
  say_(newest_);
  repeated_ = false;
  executor_->Cancel(timer_);
  Wait();
}

void RepeatedWarning::SayRepeated() {
  if (more_ == 0) return;
  say_(Cat(newest_, " (", more_, " more within ", kPause.count(), " s)"));
  more_ = 0;
  repeated_ = true;
}

void RepeatedWarning::Wait() {
  timer_ = executor_->RunAfter(kPause, [this] {
    timer_ = 0;
    if (more_ > 0) {
      SayRepeated();
      Wait();
    } else if (repeated_) {
      say_(Cat("no more for ", kPause.count(), " s: ", newest_));
    }
  });
}

}  // namespace jetd::revision
