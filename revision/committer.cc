// SPDX-License-Identifier: Apache-2.0
//
// Requests, their evaluation, and their commit. Reads are in committer_reads.cc, what happens when
// the chain breaks in committer_recovery.cc.
#include "revision/committer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "revision/committer_impl.h"
#include "revision/mirror_needs.h"

namespace jetd::revision {

using jetstream::LogInfo;
using jetstream::RecordHeader;

namespace {

uint64_t SeedOf(std::string_view incarnation) { return std::hash<std::string_view>()(incarnation); }

}  // namespace

Committer::Impl::Impl(Executor* executor_in, jetstream::Log* log_in, Store* store_in,
                      Options options_in)
    : executor(executor_in),
      log(log_in),
      store(store_in),
      options(std::move(options_in)),
      peers(options.peers),
      chain(log_in),
      breaks(executor_in,
             [](const std::string& line) { log::Warn("{}{}", line, log::Event("chain")); }),
      reads(
          executor_in, log_in, &chain,
          [this](StreamSeq last) {
            Break(MakeError(Errc::kUnavailable, Cat("the stream is at ", last.value(),
                                                    ", expected ", chain.sent().value())));
          },
          [this](StreamSeq last) {
            Break(MakeError(Errc::kUnavailable, Cat("the stream went back to ", last.value())));
          }),
      collector(executor_in, log_in, {}),
      mirror_audit(
          executor_in, log_in, options.mirror_audit,
          [this](const jetstream::CompareAnswer::Found& record) {
            return MirrorNeeds(record, {.codec = &*codec,
                                        .store = store,
                                        .system = &system,
                                        .voids = &named_voids,
                                        .led = led_seq});
          },
          [this](const auto& states) { WriteDownMirrors(states); }),
      gate(
          executor_in, log_in, &collector, {},
          [this](const jetstream::MirrorState& mirror) { OnPromoted(mirror); },
          [this](std::vector<jetstream::MirrorState>* mirrors) { mirror_audit.Judge(mirrors); }),
      lease_ids(SeedOf(options.incarnation)) {
  if (peers != nullptr) peers->set_owner(this);
  if (!options.quota.has_value()) return;
  quota = std::make_unique<Quota>(executor, log, *options.quota, [this] { SchedulePump(); });
}

Committer::Impl::~Impl() {
  executor->Cancel(patience);
  executor->Cancel(silence.timer);
  executor->Cancel(retry);
  executor->Cancel(compact_timer);
  executor->Cancel(audit_timer);
  executor->Cancel(last_words_patience);
  executor->Cancel(follow_tick);
  executor->Cancel(hand_over_timer);
  EndSurvey();
}

// --- requests -----------------------------------------------------------------------------------

void Committer::Impl::Enqueue(std::unique_ptr<Entry> entry) {
  absl::Status refusal = Refusal();
  if (refusal.ok() && Elsewhere()) refusal = MakeError(Errc::kNoLeader, "another member leads");
  if (refusal.ok() && room_awaited) refusal = MakeError(Errc::kNoSpace);
  if (refusal.ok() && (queue.size() + settled.size() >= limits::kMaxQueuedRequests ||
                       queue_bytes + entry->bytes > limits::kMaxQueuedBytes)) {
    refusal = MakeError(Errc::kTooManyRequests);
  }
  if (!refusal.ok()) {
    executor->Defer(
        [entry = std::shared_ptr<Entry>(std::move(entry)), refusal] { entry->Answer(refusal); });
    return;
  }
  queue_bytes += entry->bytes;
  queue.push_back(std::move(entry));
  SchedulePump();
}

void Committer::Impl::SchedulePump() {
  if (pump_scheduled || (phase != Phase::kLeading && !room_awaited)) return;
  pump_scheduled = true;
  executor->Defer([this] { Pump(); });
}

// Work is taken at the end of a round, all that came in it at once: then reads share the ack of a
// write of the same round, and records leave in one piece.
void Committer::Impl::Pump() {
  pump_scheduled = false;
  if (room_awaited) {
    // Not while the term record is on its way again: its answer is one for them too.
    if (chain.sent() == chain.landed()) reads.Flush();
    return;
  }
  if (phase != Phase::kLeading || handed_over) return;
  while (!queue.empty() && !compacting && pending.size() < limits::kMaxPendingTxns &&
         pending_bytes < limits::kMaxPendingBytes) {
    // A compaction is judged, and written, only when everything before it is committed: so the
    // record itself proves that what it makes removable was safe. Nothing passes it.
    if (queue.front()->kind == Entry::Kind::kCompact && !pending.empty()) break;
    if (!HaveRoomFor(*queue.front())) break;
    std::unique_ptr<Entry> entry = std::move(queue.front());
    queue.pop_front();
    queue_bytes -= entry->bytes;
    pending.push_back(std::move(entry));
    Evaluate(pending.back().get());
  }
  if (info.replicas > 1 && chain.sent().Next() == chain.next() && reads.uncovered()) {
    AppendBarrier();
  }
  chain.SendMore();
  Watch();
  reads.Flush();
  WatchSilence();
  // Entries that write nothing and have nothing before them need no ack to move on.
  if (!pending.empty() && !pending.front()->writes()) Advance();
}

// --- evaluation ---------------------------------------------------------------------------------

void Committer::Impl::Evaluate(Entry* entry) {
  entry->outcome = Outcome{};
  entry->evaluation = next_evaluation++;
  entry->proven = false;
  Outcome& outcome = entry->outcome;
  std::vector<PlannedRecord> system_records;
  store->Begin();
  outcome.status = RunEntry(entry, &system_records);
  if (!outcome.status.ok()) {
    store->Abort();
    outcome.revision = store->newest();
  } else {
    outcome.revision = store->txn_changed() ? store->txn_revision() : store->newest();
    outcome.in_store = store->End();
    outcome.changes = store->txn_changes();
    PlanRecords(entry, std::move(system_records));
  }
  if (!entry->writes()) Prove(entry);
}

absl::Status Committer::Impl::RunEntry(Entry* entry, std::vector<PlannedRecord>* system_records) {
  if (auto refused = RefusedByAlarm(*entry); !refused.ok()) return refused;
  switch (entry->kind) {
    case Entry::Kind::kApply: {
      auto result = EvaluateWrite(*entry->op, record_limits, chain.next(), store);
      if (!result.ok()) return result.status();
      entry->outcome.result = *std::move(result);
      return absl::OkStatus();
    }
    case Entry::Kind::kGrant:
      return RunGrant(entry, system_records);
    case Entry::Kind::kRevoke:
      return RunRevoke(entry, system_records);
    case Entry::Kind::kCompact: {
      if (auto status = store->CheckCompact(entry->revision); !status.ok()) return status;
      compacting = true;
      entry->outcome.compact = entry->revision;
      system_records->push_back(SystemRecord(
          codec->CompactSubject(),
          jetstream::EncodeCompact({.revision = entry->revision, .bound = committed_seq}),
          /*is_delete=*/false));
      return absl::OkStatus();
    }
    case Entry::Kind::kBarrier:
      system_records->push_back(SystemRecord(codec->BarrierSubject(), {}, /*is_delete=*/false));
      return absl::OkStatus();
    case Entry::Kind::kLive:
      system_records->push_back(
          SystemRecord(codec->LiveSubject(), entry->payload, /*is_delete=*/false));
      return absl::OkStatus();
    case Entry::Kind::kAlarm:
      return RunAlarm(entry, system_records);
  }
  return absl::InternalError("unknown kind of entry");
}

void Committer::Impl::AppendBarrier() {
  auto entry = std::make_unique<Entry>();
  entry->kind = Entry::Kind::kBarrier;
  ++counters.barriers_sent;
  pending.push_back(std::move(entry));
  Evaluate(pending.back().get());
}

PlannedRecord Committer::Impl::SystemRecord(std::string subject, std::string payload,
                                            bool is_delete) const {
  PlannedRecord record;
  record.subject = std::move(subject);
  record.payload = std::move(payload);
  record.is_delete = is_delete;
  return record;
}

absl::Status Committer::Impl::RunGrant(Entry* entry, std::vector<PlannedRecord>* system_records) {
  LeaseId id = entry->lease;
  while (id == LeaseId{} || (entry->lease == LeaseId{} && store->FindLease(id).has_value())) {
    id = LeaseId(static_cast<int64_t>(lease_ids() >> 1));
  }
  if (store->FindLease(id).has_value()) return MakeError(Errc::kLeaseExists);
  store->GrantLease(id, entry->ttl_s);
  entry->outcome.granted = Store::LeaseInfo{id, entry->ttl_s};
  system_records->push_back(SystemRecord(
      codec->LeaseSubject(id),
      jetstream::EncodeLease({.ttl_s = entry->ttl_s, .granted_ms = executor->WallNowMs()}),
      /*is_delete=*/false));
  return absl::OkStatus();
}

absl::Status Committer::Impl::RunRevoke(Entry* entry, std::vector<PlannedRecord>* system_records) {
  if (!store->FindLease(entry->lease).has_value()) return MakeError(Errc::kLeaseNotFound);
  for (const std::string& key : store->LeaseKeys(entry->lease)) {
    const StreamSeq seq(chain.next().value() + store->txn_changes().size());
    store->Delete({.key = key, .end = {}}, seq);
  }
  store->RevokeLease(entry->lease);
  entry->outcome.gone = entry->lease;
  system_records->push_back(
      SystemRecord(codec->LeaseSubject(entry->lease), {}, /*is_delete=*/true));
  return absl::OkStatus();
}

// The records of an outcome: its changes in order, then jetd's own.
void Committer::Impl::PlanRecords(Entry* entry, std::vector<PlannedRecord> system_records) {
  Outcome& outcome = entry->outcome;
  std::vector<PlannedRecord>& records = outcome.records;
  RecordHeader header;
  header.revision = outcome.revision;
  header.term = term;
  header.count = static_cast<uint32_t>(outcome.changes.size() + system_records.size());
  if (header.count == 0) return;
  records.reserve(header.count);
  header.index = 0;
  for (const Change& change : outcome.changes) {
    ++header.index;
    header.create_revision = change.kv->create_revision();
    header.version = change.kv->version();
    header.lease = change.kv->lease();
    PlannedRecord& record = records.emplace_back();
    record.subject = codec->EncodeKey(change.kv->key());
    record.header = EncodeHeader(header);
    record.is_delete = change.kv->tombstone();
    record.kv = change.kv;
  }
  header.create_revision = Revision{};
  header.version = 0;
  header.lease = LeaseId{};
  for (PlannedRecord& own : system_records) {
    ++header.index;
    own.header = EncodeHeader(header);
    records.push_back(std::move(own));
  }
  outcome.first_seq = chain.next();
  for (const PlannedRecord& record : records) {
    chain.Push(&record);
    pending_bytes += record.size_bytes();
  }
  outcome.last_seq = chain.next().Prev();
}

void Committer::Impl::Prove(Entry* entry) {
  if (Alone()) {
    entry->proven = true;
    return;
  }
  unproven[entry->evaluation] = entry;
  reads.Wait([this, evaluation = entry->evaluation](const absl::Status& status) {
    auto node = unproven.extract(evaluation);
    if (node.empty()) return;  // evaluated anew since, or answered
    Entry* proven = node.mapped();
    if (!status.ok()) {
      proven->Answer(status);
    }
    proven->proven = true;
    const auto at = std::find_if(settled.begin(), settled.end(),
                                 [&](const auto& one) { return one.get() == proven; });
    if (at == settled.end()) return;  // what it was judged on is not committed yet
    proven->Answer(absl::OkStatus());
    settled.erase(at);
  });
}

// --- commit -------------------------------------------------------------------------------------

void Committer::Impl::Advance() {
  while (!pending.empty()) {
    Entry* front = pending.front().get();
    // Durable alone says little: behind a refusal, what landed by number does not count.
    if (front->writes() && front->outcome.last_seq > std::min(durable, chain.landed())) break;
    std::unique_ptr<Entry> entry = std::move(pending.front());
    pending.pop_front();
    if (!entry->writes()) {
      if (entry->proven) {
        entry->Answer(absl::OkStatus());
      } else {
        settled.push_back(std::move(entry));
      }
      continue;
    }
    CountLanded(*entry);
    if (entry->kind == Entry::Kind::kCompact) {
      CommitCompaction(std::move(entry));
    } else {
      Commit(entry.get());
    }
  }
  if (peers != nullptr) {
    peers->Announce();
    if (handed_over && pending.empty()) NameSuccessor();
  }
  if (after_drain && Drained()) std::exchange(after_drain, nullptr)();
  if (!queue.empty()) SchedulePump();
}

void Committer::Impl::Commit(Entry* entry) {
  Outcome& outcome = entry->outcome;
  if (outcome.in_store) store->CommitOldest();
  committed_seq = outcome.last_seq;
  if (entry->kind == Entry::Kind::kBarrier) {
    barriers.push_back(outcome.last_seq);
    if (barriers.size() >= limits::kBarrierBatch) {
      collector.Add({.hidden = std::exchange(barriers, {}), .markers = {}, .done = nullptr});
    }
    return;
  }
  if (entry->kind == Entry::Kind::kLive) {
    system.live.push_back(outcome.last_seq);
    entry->Answer(absl::OkStatus());
    return;
  }
  if (entry->kind == Entry::Kind::kAlarm) return CommitAlarm(entry);
  ++counters.txns_committed;
  if (outcome.granted) system.leases[outcome.granted->id] = outcome.last_seq;
  if (outcome.gone) {
    const auto grant = system.leases.find(*outcome.gone);
    const StreamSeq granted = grant == system.leases.end() ? StreamSeq{} : grant->second;
    system.gone_leases.push_back({outcome.revision, granted, outcome.last_seq});
    if (grant != system.leases.end()) system.leases.erase(grant);
  }
  for (Listener* listener : listeners) {
    if (!outcome.changes.empty()) listener->OnCommit(outcome.revision, outcome.changes);
    if (outcome.granted) listener->OnLeaseGranted(outcome.granted->id, outcome.granted->ttl_s);
    if (outcome.gone) listener->OnLeaseGone(*outcome.gone);
  }
  entry->Answer(absl::OkStatus());
}

void Committer::Impl::CommitCompaction(std::unique_ptr<Entry> entry) {
  const Revision revision = *entry->outcome.compact;
  compacting = false;
  committed_seq = entry->outcome.last_seq;
  ++counters.txns_committed;
  store->StartCompact(revision);
  if (system.compact != StreamSeq{}) system.superseded.push_back(system.compact);
  system.compact = entry->outcome.last_seq;
  for (Listener* listener : listeners) listener->OnCompacted(revision);
  if (entry->wait == Wait::kPhysical) {
    physical.push_back(std::move(entry));
  } else {
    entry->Answer(absl::OkStatus());
  }
  if (compact_timer == 0) CompactMore();
}

// --- the public face ----------------------------------------------------------------------------

Committer::Committer(Executor* executor, jetstream::Log* log, Store* store, Options options)
    : impl_(std::make_unique<Impl>(executor, log, store, std::move(options))) {}

Committer::~Committer() = default;

void Committer::AddListener(Listener* listener) { impl_->listeners.push_back(listener); }

void Committer::Start(DoneFn fatal) {
  impl_->fatal = std::move(fatal);
  impl_->StartPatience();
  impl_->log->Open(this, [this](const absl::Status& why) { impl_->Fatal(why); });
}

void Committer::Stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  // A supervisor may tell the nats-server to end at the same time: what is committed stays so.
  impl_->led_at_stop = impl_->phase == Phase::kLeading || impl_->phase == Phase::kRecovering;
  impl_->End();
  impl_->EndSurvey();
  impl_->log->Close();
  impl_->FailAll(MakeError(Errc::kStopped), MakeError(Errc::kStopped));
}

void Committer::Apply(const Op* op, size_t bytes, ApplyDone done) {
  if (!MayWrite(*op)) {
    impl_->AfterBarrier([this, op, done = std::move(done)](const absl::Status& status) {
      const absl::Status refused = status.ok() ? impl_->alarms.RefusalOf(*op) : status;
      if (!refused.ok()) {
        done(refused);
      } else {
        done(EvaluateRead(*op, *impl_->store));
      }
    });
    return;
  }
  auto entry = std::make_unique<Entry>();
  entry->kind = Entry::Kind::kApply;
  entry->bytes = bytes;
  entry->op = op;
  entry->apply_done = std::move(done);
  impl_->Enqueue(std::move(entry));
}

void Committer::GrantLease(LeaseId id, int64_t ttl_s, LeaseFn done) {
  auto entry = std::make_unique<Entry>();
  entry->kind = Entry::Kind::kGrant;
  entry->lease = id;
  entry->ttl_s = ttl_s;
  entry->lease_done = std::move(done);
  impl_->Enqueue(std::move(entry));
}

void Committer::RevokeLease(LeaseId id, RevisionFn done) {
  auto entry = std::make_unique<Entry>();
  entry->kind = Entry::Kind::kRevoke;
  entry->lease = id;
  entry->revision_done = std::move(done);
  impl_->Enqueue(std::move(entry));
}

void Committer::Compact(Revision revision, Wait wait, RevisionFn done) {
  auto entry = std::make_unique<Entry>();
  entry->kind = Entry::Kind::kCompact;
  entry->revision = revision;
  entry->wait = wait;
  entry->revision_done = std::move(done);
  impl_->Enqueue(std::move(entry));
}

Committer::Phase Committer::phase() const { return impl_->phase; }
Term Committer::term() const { return impl_->term; }
uint64_t Committer::leader_id() const { return impl_->leader_id; }
const LogInfo& Committer::log_info() const { return impl_->info; }
StreamSeq Committer::last_seq() const { return impl_->committed_seq; }
const Store& Committer::store() const { return *impl_->store; }
size_t Committer::max_key_subject_bytes() const { return impl_->record_limits.max_subject_bytes; }

Committer::Counters Committer::counters() const {
  Counters counters = impl_->counters;
  counters.barriers_sent += impl_->reads.barriers_sent();
  counters.barriers_shared = impl_->reads.released();
  counters.queued = impl_->queue.size();
  counters.pending = impl_->pending.size();
  counters.in_flight_records = impl_->chain.unanswered();
  counters.waiting_reads = impl_->reads.size() + impl_->settled.size();
  counters.garbage_removed = impl_->collector.deleted();
  counters.garbage_waiting =
      impl_->collector.waiting() + impl_->last_markers.size() + impl_->gate.held();
  counters.garbage_held = impl_->gate.held();
  counters.mirrors_overtaken = impl_->gate.overtaken();
  counters.survey_running = impl_->survey != nullptr;
  return counters;
}

void Committer::LookAtMirrors() { impl_->gate.Look(); }
const std::vector<jetstream::MirrorState>& Committer::mirrors() const {
  return impl_->gate.mirrors();
}

void Committer::OnConnected(const LogInfo& info) { impl_->OnConnected(info); }
void Committer::OnDisconnected(const absl::Status& why) { impl_->OnDisconnected(why); }
void Committer::OnAppended(StreamSeq seq) { impl_->OnAppended(seq); }
void Committer::OnRefused(StreamSeq /*seq*/, const absl::Status& why) { impl_->OnRefused(why); }
void Committer::OnDurable(StreamSeq seq) { impl_->OnDurable(seq); }
void Committer::OnForeignTerm() { impl_->OnForeignTerm(); }
void Committer::OnMeddling(const jetstream::Meddling& meddling) { impl_->OnMeddling(meddling); }

}  // namespace jetd::revision
