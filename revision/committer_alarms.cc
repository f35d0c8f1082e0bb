// SPDX-License-Identifier: Apache-2.0
//
// Alarms: each change of them is a record that names all that are raised then. And what becomes of
// writes when the log has no room.
#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "revision/committer_impl.h"

namespace jetd::revision {

using jetstream::Alarm;

namespace {

// For each of `these` that is not in `those`.
template <typename Fn>
void ForOthers(const AlarmSet& these, const AlarmSet& those, const Fn& fn) {
  for (const Alarm& alarm : these.all()) {
    if (!std::binary_search(those.all().begin(), those.all().end(), alarm)) fn(alarm);
  }
}

}  // namespace

absl::Status Committer::Impl::RefusedByAlarm(const Entry& entry) const {
  switch (entry.kind) {
    case Entry::Kind::kApply:
      return newest_alarms.RefusalOf(*entry.op);
    case Entry::Kind::kGrant:
      return newest_alarms.RefusalOfGrant();
    case Entry::Kind::kRevoke:
    case Entry::Kind::kCompact:
      return newest_alarms.RefusalOfRemoval();
    case Entry::Kind::kBarrier:
    case Entry::Kind::kLive:
    case Entry::Kind::kAlarm:
      break;
  }
  return absl::OkStatus();
}

absl::Status Committer::Impl::RunAlarm(Entry* entry, std::vector<PlannedRecord>* system_records) {
  AlarmSet after = newest_alarms;
  const bool raise = entry->alarm_change == AlarmChange::kRaise;
  const bool changed = raise ? after.Raise(entry->alarm) : after.Disarm(entry->alarm);
  if (after.all().size() > limits::kMaxAlarms) return MakeError(Errc::kTooManyRequests);
  if (raise || changed) entry->outcome.told = {entry->alarm};
  if (!changed) return absl::OkStatus();
  system_records->push_back(SystemRecord(codec->AlarmSubject(),
                                         jetstream::EncodeAlarms({.alarms = after.all()}),
                                         /*is_delete=*/false));
  newest_alarms = after;
  entry->outcome.alarms = std::move(after);
  return absl::OkStatus();
}

void Committer::Impl::CommitAlarm(Entry* entry) {
  const AlarmSet& after = *entry->outcome.alarms;
  ForOthers(after, alarms, [](const Alarm& alarm) {
    log::Warn("alarm raised: {}{}{}", ToText(alarm), log::Also("alarm", NameOf(alarm.type)),
              log::Event("alarm_raised"));
  });
  ForOthers(alarms, after, [](const Alarm& alarm) {
    log::Warn("alarm disarmed: {}{}{}", ToText(alarm), log::Also("alarm", NameOf(alarm.type)),
              log::Event("alarm_disarmed"));
  });
  alarms = after;
  if (system.alarm != StreamSeq{}) system.superseded.push_back(system.alarm);
  system.alarm = entry->outcome.last_seq;
  entry->Answer(absl::OkStatus());
}

bool Committer::Impl::HaveRoomFor(const Entry& entry) {
  uint64_t cost = 0;
  if (entry.kind == Entry::Kind::kApply) cost = CostOf(*entry.op);
  if (entry.kind == Entry::Kind::kGrant) cost = kLeaseCost;
  // What an alarm refuses needs none.
  if (quota == nullptr || cost == 0 || !newest_alarms.RefusalOfGrant().ok()) return true;
  const Quota::Load load{
      .held_bytes = store->stats().bytes + store->lease_count() * kLeaseCost,
      .pending_bytes = pending_bytes + chain.pending_records() * Quota::kRecordOverheadBytes};
  const Quota::Verdict verdict = quota->Judge(cost, load);
  WatchRoom(verdict != Quota::Verdict::kUnknown);
  switch (verdict) {
    case Quota::Verdict::kFits:
      return true;
    case Quota::Verdict::kUnknown:
      return false;
    case Quota::Verdict::kFull:
      break;
  }
  log::Warn("no room for puts: {}{}", log::As("reason", quota->why()), log::Event("no_room"));
  auto raise = std::make_unique<Entry>();
  raise->kind = Entry::Kind::kAlarm;
  raise->alarm = OwnAlarm(jetstream::AlarmType::kNoSpace);
  pending.push_back(std::move(raise));
  Evaluate(pending.back().get());
  return true;
}

void Committer::Impl::RaiseWithoutRoom() {
  const Alarm own = OwnAlarm(jetstream::AlarmType::kNoSpace);
  if (quota == nullptr || !alarms.Raise(own)) return;
  (void)newest_alarms.Raise(own);
  // The next change of alarms names it in its record; a start before that finds out anew.
  log::Warn("alarm raised: {}; there is no room for its record{}{}", ToText(own),
            log::Also("alarm", NameOf(own.type)), log::Event("alarm_raised"));
}

Alarm Committer::Impl::OwnAlarm(jetstream::AlarmType type) const {
  return {.type = type, .member_id = options.member_id};
}

void Committer::Impl::WriteDownMirrors(const std::vector<MirrorAudit::State>& states) {
  const auto change = [this](AlarmChange how, int64_t made_ns) {
    auto entry = std::make_unique<Entry>();
    entry->kind = Entry::Kind::kAlarm;
    entry->alarm_change = how;
    entry->alarm = {jetstream::AlarmType::kMirror, static_cast<uint64_t>(made_ns)};
    // So that it is judged anew after a chain break; the next round says it again.
    entry->alarms_done = [](const auto& /*raised*/) {};
    Enqueue(std::move(entry));
  };
  std::vector<int64_t> known;
  for (const MirrorAudit::State& state : states) {
    known.push_back(state.made_ns);
    if (state.differences > 0 && state.made_ns != 0) change(AlarmChange::kRaise, state.made_ns);
  }
  const auto has = [&known](int64_t made_ns) {
    return std::find(known.begin(), known.end(), made_ns) != known.end();
  };
  // One that was never heard may be any.
  if (has(0)) return;
  for (const Alarm& alarm : newest_alarms.all()) {
    const auto made_ns = static_cast<int64_t>(alarm.member_id);
    if (alarm.type == jetstream::AlarmType::kMirror && !has(made_ns)) {
      change(AlarmChange::kDisarm, made_ns);
    }
  }
}

void Committer::Impl::CountLanded(const Entry& entry) {
  uint64_t bytes = 0;
  for (const PlannedRecord& record : entry.outcome.records) bytes += record.size_bytes();
  pending_bytes -= bytes;
  if (quota == nullptr) return;
  quota->OnLanded(bytes + entry.outcome.records.size() * Quota::kRecordOverheadBytes);
}

void Committer::Impl::OnNoSpace() {
  waiting_for = "room in the stream";
  if (term_record != nullptr) {
    RaiseWithoutRoom();
    ResumeRemoval();  // as in ContendAgain
    AwaitRoom();
    RetryAfter(std::chrono::seconds(1), &Impl::Continue);
    return;
  }
  AfterDrain([this] {
    // Behind what landed, which may be a change of alarms.
    RaiseWithoutRoom();
    const StreamSeq first = Unfinished();
    const StreamSeq last = chain.landed();
    // All answers of this connection are in, so what was refused is not on its way: it did not
    // happen. Copies sent on an earlier connection may be: only a new term seals their fate.
    const bool unsealed = ambiguous > last;
    for (auto& entry : pending) {
      if (!entry->writes() || entry->answered()) continue;
      if (unsealed) {
        without_room.push_back(std::make_unique<Entry>(std::move(*entry)));
      } else {
        entry->Answer(MakeError(Errc::kNoSpace));
      }
    }
    chain.Reset(last);
    Unevaluate();
    // Their barrier would be a record too, and refused again and again.
    if (info.replicas > 1) reads.FailAll(MakeError(Errc::kNoSpace));
    if (first <= last) {
      AppendTerm({{first, last}}, store->committed());
    } else if (unsealed) {
      AppendTerm({}, store->committed());
    } else {
      Resume();
    }
  });
}

// What counts of all that landed is committed, so this member knows what is in the stream as far as
// a barrier says that nothing is behind it. On several replicas the barrier would be a record. What
// a member has shown and the stream has lost must not be read again.
bool Committer::Impl::ReadsGoOn() const {
  return room_awaited && info.replicas == 1 && !loss_adopted && lost_shown <= store->newest();
}

// Comes by each second, as long as the server answers.
void Committer::Impl::AwaitRoom() {
  const MonoTime now = executor->Now();
  if (!std::exchange(room_awaited, true)) room_awaited_since = now;
  executor->Cancel(patience);
  patience = executor->RunAfter(limits::kUnavailableAfter, [this] { LosePatience(); });
  std::deque<std::unique_ptr<Entry>> unsealed;
  queue_bytes = 0;
  for (auto& entry : std::exchange(queue, {})) {
    if (entry->may_land) {
      queue_bytes += entry->bytes;
      unsealed.push_back(std::move(entry));
    } else {
      entry->Answer(MakeError(Errc::kNoSpace));
    }
  }
  queue = std::move(unsealed);
  if (now - room_awaited_since >= limits::kUnavailableAfter) {
    FailElsewhere(MakeError(Errc::kNoSpace));
    FailWrites(MakeError(Errc::kNoSpace), MakeError(Errc::kTimeout, waiting_for));
  }
  chain.Rewind();
  if (ReadsGoOn()) {
    reads.Flush();
  } else {
    reads.FailAll(MakeError(Errc::kNoSpace));
  }
}

void Committer::ChangeAlarm(AlarmChange change, const Alarm& alarm, AlarmsFn done) {
  auto entry = std::make_unique<Entry>();
  entry->kind = Entry::Kind::kAlarm;
  entry->alarm_change = change;
  entry->alarm = alarm;
  entry->alarms_done = std::move(done);
  impl_->Enqueue(std::move(entry));
}

void Committer::ListAlarms(AlarmsFn done) {
  impl_->AfterBarrier([this, done = std::move(done)](const absl::Status& status) {
    if (!status.ok()) {
      done(status);
    } else {
      done(impl_->alarms.OfEtcd());
    }
  });
}

const AlarmSet& Committer::alarms() const { return impl_->alarms; }

}  // namespace jetd::revision
