// SPDX-License-Identifier: Apache-2.0
#include "conformance/watch_order.h"

#include <algorithm>

#include "base/strings.h"

namespace jetd::conformance {

std::string WatchOrder::TakeEvents(const etcdserverpb::WatchResponse& response) {
  std::string wrong;
  const auto note = [&](const auto&... pieces) {
    if (wrong.empty()) wrong = Cat(pieces...);
  };
  if (!announced_) note("events before the watch was announced");
  const int64_t first = response.events(0).kv().mod_revision();
  if (first < last_ || (first == last_ && !in_fragment_)) {
    note("revision ", first, " comes after revision ", last_);
  }
  for (const mvccpb::Event& event : response.events()) {
    const int64_t revision = event.kv().mod_revision();
    if (revision < last_) note("revision ", revision, " comes after revision ", last_);
    if (revision <= progress_) {
      note("revision ", revision, " comes after progress said ", progress_);
    }
    last_ = std::max(last_, revision);
  }
  if (response.header().revision() < last_) {
    note("revision ", last_, " under a header of ", response.header().revision());
  }
  in_fragment_ = response.fragment();
  return wrong;
}

std::string WatchOrder::TakeProgress(int64_t revision) {
  if (!announced_) return "";
  progress_ = std::max(progress_, revision);
  return in_fragment_ ? Cat("progress between the fragments of revision ", last_) : "";
}

void WatchOrder::Reopen() {
  if (in_fragment_) --last_;
  in_fragment_ = false;
  announced_ = false;
}

int64_t WatchOrder::complete() const {
  return std::max(in_fragment_ ? last_ - 1 : last_, progress_);
}

}  // namespace jetd::conformance
