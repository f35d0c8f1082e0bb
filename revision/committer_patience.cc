// SPDX-License-Identifier: Apache-2.0
//
// Clients that wait, and what they are told when that is too long.
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "revision/committer_impl.h"

namespace jetd::revision {

absl::Status Committer::Impl::Refusal() const {
  if (stopped || phase == Phase::kStopped) return MakeError(Errc::kStopped);
  if (phase == Phase::kSuperseded || (impatient && !room_awaited)) {
    return MakeError(Errc::kNoLeader, waiting_for);
  }
  return absl::OkStatus();
}

void Committer::Impl::StartPatience() {
  if (patience != 0 || impatient) return;
  patience = executor->RunAfter(limits::kUnavailableAfter, [this] { LosePatience(); });
}

void Committer::Impl::LosePatience() {
  patience = 0;
  if (phase == Phase::kLeading || (phase == Phase::kFollowing && shown && peers->found())) return;
  impatient = true;
  room_awaited = false;
  log::Warn("not leading for {} s: waiting for {}{}", limits::kUnavailableAfter.count(),
            log::As("waiting_for", waiting_for), log::Event("unavailable"));
  FailAll(MakeError(Errc::kNoLeader, waiting_for), MakeError(Errc::kTimeout, waiting_for));
}

// Answers all that wait: `unwritten` to what was never sent, `written` to what was and may yet
// land.
void Committer::Impl::FailAll(const absl::Status& unwritten, const absl::Status& written) {
  reads.FailAll(unwritten);
  FailElsewhere(unwritten);
  FailWrites(unwritten, written);
}

// What was sent stays pending without a client, since its records must be settled. A compaction
// whose removal is under way has happened, and goes on.
void Committer::Impl::FailWrites(const absl::Status& unwritten, const absl::Status& written) {
  for (auto& entry : std::exchange(queue, {})) {
    entry->Answer(entry->may_land ? written : unwritten);
  }
  queue_bytes = 0;
  for (auto& entry : std::exchange(settled, {})) entry->Answer(unwritten);
  for (auto& entry : std::exchange(without_room, {})) entry->Answer(written);
  for (auto* waiting : {&physical, &removing}) {
    for (const auto& entry : std::exchange(*waiting, {})) entry->Answer(absl::OkStatus());
  }
  for (auto& entry : pending) entry->Answer(entry->writes() ? written : unwritten);
  std::erase_if(pending, [](const auto& entry) { return !entry->writes(); });
  unproven.clear();
}

}  // namespace jetd::revision
