// SPDX-License-Identifier: Apache-2.0
//
// What others do to the stream while this member leads: it is looked through, what is missing is
// named, and the alarm CORRUPT raised. What they wrote into it is voided (committer_recovery.cc).
#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "revision/committer_impl.h"

namespace jetd::revision {
namespace {

// Between two audits, so that somebody who meddles all the time does not keep the server busy: ten
// times what the last one took, but at least this.
constexpr std::chrono::seconds kAuditPause{10};
constexpr int kAuditShare = 10;

}  // namespace

void Committer::Impl::OnMeddling(const jetstream::Meddling& meddling) {
  // Also while it voids something, in a new term of its own: no guard says anything twice.
  const bool leads = phase == Phase::kLeading || phase == Phase::kRecovering ||
                     (phase == Phase::kTakingOver && holds);
  if (stopped || !led_before || !leads) return;
  ++counters.meddlings;
  if (meddling.kind == jetstream::Meddling::Kind::kConfig) {
    log::Error("somebody changed the stream's configuration: {}{}", log::As("what", meddling.what),
               log::Event("meddling"));
    RaiseCorrupt();
  } else {
    log::Warn("somebody may have removed records from the stream: {}{}",
              log::As("what", meddling.what), log::Event("meddling"));
  }
  WantAudit();
}

void Committer::Impl::WantAudit() {
  audit_wanted = true;
  if (audit != nullptr || audit_timer != 0) return;
  audit_timer = executor->RunAt(std::max(next_audit, executor->Now()), [this] {
    audit_timer = 0;
    StartAudit();
  });
}

void Committer::Impl::StartAudit() {
  // While the chain is broken nothing can be said; Resume asks again.
  if (stopped || phase != Phase::kLeading || !std::exchange(audit_wanted, false)) return;
  audit = std::make_unique<Audit>(executor, log, store, &system, led_seq, committed_seq);
  audit->Run([this, began = executor->Now()](absl::StatusOr<Audit::Result> result) {
    const MonoTime took = executor->Now() - began;
    next_audit = executor->Now() + std::max<MonoTime>(kAuditPause, kAuditShare * took);
    // Not at once: this is called from inside it.
    executor->Defer([this, result = std::move(result)]() mutable { OnAudited(std::move(result)); });
  });
}

void Committer::Impl::OnAudited(absl::StatusOr<Audit::Result> result) {
  audit.reset();
  if (!result.ok()) {
    audit_wanted = true;
  } else if (result->missing == 0) {
    log::Info("the stream holds all {} records that it should", result->records);
  } else {
    counters.missing_records += result->missing;
    std::string names;
    for (const std::string& name : result->named) CatTo(names, names.empty() ? "" : "; ", name);
    log::Error(
        "{} of {} records are gone from the stream, and will not be there after a start: {}{}",
        result->missing, result->records, names,
        result->missing > result->named.size() ? "; ..." : "");
    RaiseCorrupt();
  }
  if (audit_wanted) WantAudit();
}

void Committer::Impl::RaiseCorrupt() {
  auto raise = std::make_unique<Entry>();
  raise->kind = Entry::Kind::kAlarm;
  raise->alarm = OwnAlarm(jetstream::AlarmType::kCorrupt);
  // So that it is judged anew after a chain break, as what somebody waits for.
  raise->alarms_done = [this](const auto& raised) {
    if (!raised.ok()) corrupt_owed = true;
  };
  Enqueue(std::move(raise));
}

}  // namespace jetd::revision
