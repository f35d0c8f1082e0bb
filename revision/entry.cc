// SPDX-License-Identifier: Apache-2.0
#include "revision/entry.h"

namespace jetd::revision {

void Entry::Answer(const absl::Status& status) {
  const absl::Status& end = status.ok() ? outcome.status : status;
  if (auto done = std::exchange(apply_done, nullptr)) {
    if (end.ok()) {
      done(std::move(outcome.result));
    } else {
      done(end);
    }
  } else if (auto lease = std::exchange(lease_done, nullptr)) {
    if (end.ok()) {
      lease(*outcome.granted);
    } else {
      lease(end);
    }
  } else if (auto rev = std::exchange(revision_done, nullptr)) {
    if (end.ok()) {
      rev(outcome.revision);
    } else {
      rev(end);
    }
  } else if (auto alarms = std::exchange(alarms_done, nullptr)) {
    if (end.ok()) {
      alarms(outcome.told);
    } else {
      alarms(end);
    }
  }
}

}  // namespace jetd::revision
