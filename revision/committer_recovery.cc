// SPDX-License-Identifier: Apache-2.0
//
// The chain's fate: start, lost connections, foreign records, taking over and stepping down.
//
//   connecting -> replaying -> taking over -> leading <-> recovering -> taking over | superseded
#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "revision/committer_impl.h"

namespace jetd::revision {

using jetstream::SeqRange;
using jetstream::TermRecord;
using Kind = jetstream::SubjectCodec::Kind;

namespace {

// For whoever runs both. The member id is no help where the names are equal: it comes from them.
std::string TookOver(const TermRecord& term, const std::string& own_name) {
  std::string text = Cat("member ", term.member_name);
  for (const std::string& url : term.client_urls) {
    CatTo(text, &url == &term.client_urls.front() ? " at " : ", ", url);
  }
  CatTo(text, " took over in term ", term.term.value());
  if (term.member_name == own_name) text += "; give each member a --name of its own";
  return text;
}

// The first few subjects, for whoever looks for who wrote them.
template <typename T>
std::string NamesOf(const T& foreign) {
  constexpr size_t kNamed = 5;
  std::string names = foreign.empty() ? "they are gone already" : "subjects";
  for (size_t i = 0; i < std::min(foreign.size(), kNamed); ++i) {
    CatTo(names, i == 0 ? " " : ", ", foreign[i].subject);
  }
  if (foreign.size() > kNamed) names += ", ...";
  return names;
}

constexpr size_t kShownSubjectBytes = 200;

}  // namespace

// --- events of the log --------------------------------------------------------------------------

void Committer::Impl::OnConnected(const jetstream::LogInfo& new_info) {
  if (stopped || phase == Phase::kStopped) return;
  connected = true;
  created_ns = new_info.created_ns;
  if (last_words != nullptr) return GoOnWithLastWords();
  if (led_before && new_info.created_ns != info.created_ns) {
    OnMadeAnew();
    return;
  }
  info = new_info;
  if (!codec) codec.emplace(info.bucket);
  reads.set_by_record(info.replicas > 1);
  record_limits = {.codec = &*codec,
                   .max_subject_bytes = info.max_subject_bytes,
                   .max_payload_bytes = info.max_payload_bytes};
  if (phase == Phase::kSuperseded) return;
  timings.connected = executor->Now();
  if (phase == Phase::kConnecting || phase == Phase::kReplaying) {
    StartReplay();
  } else if (phase == Phase::kFollowing) {
    ++counters.reconnects;
    reconnected = executor->Now();
    FollowAgain();
  } else {
    ++counters.reconnects;
    term_unproven = true;
    ReadTail();
  }
}

void Committer::Impl::OnDisconnected(const absl::Status& why) {
  connected = room_awaited = false;
  ambiguous = std::max(ambiguous, chain.sent());
  waiting_for = Cat("the connection to NATS: ", MessageOf(why));
  chain.OnDisconnected();
  watched = {};
  reads.Restart();
  SuspendRemoval();
  after_drain = nullptr;
  ++reading;
  terms_ahead.reset();
  if (last_words != nullptr) return;  // to be said on the next connection
  if (phase == Phase::kLeading || phase == Phase::kTakingOver) {
    phase = holds ? Phase::kRecovering : replay != nullptr ? Phase::kReplaying : Phase::kFollowing;
  }
  tail.reset();
  if (Elsewhere()) peers->Rest();
  if (phase != Phase::kSuperseded && phase != Phase::kStopped) StartPatience();
}

void Committer::Impl::OnAppended(StreamSeq seq) {
  if (chain.OnAppended(seq)) {
    ++counters.records_acked;
    collector.NoteWrite();
    WatchAcked(seq);
    reads.OnAppended(seq);
  }
  if (last_words != nullptr && chain.pending_records() == 0) return EndWithLastWords();
  if (tail_wanted) {
    ReadTail();
  } else if (phase == Phase::kLeading) {
    if (!queue.empty() || chain.sent().Next() < chain.next()) SchedulePump();
  } else if (phase == Phase::kTakingOver) {
    chain.SendMore();
  }
}

void Committer::Impl::OnRefused(const absl::Status& why) {
  chain.OnRefused();
  watched = {};
  if (last_words != nullptr) return ReadTail();
  if (GetErrc(why) == Errc::kNoSpace) no_space = true;
  if (GetErrc(why) == Errc::kTooManyRequests) busy = true;
  if (phase == Phase::kLeading || phase == Phase::kTakingOver) {
    Break(why);
  } else if (tail_wanted) {
    ReadTail();
  }
}

void Committer::Impl::OnDurable(StreamSeq seq) {
  durable = std::max(durable, seq);
  WatchDurable(seq);
  if (phase == Phase::kTakingOver && term_record != nullptr && chain.landed() >= term_seq &&
      durable >= term_seq) {
    Lead();
  }
  Advance();
}

void Committer::Impl::OnForeignTerm() {
  // Our own term records come by here too; a barrier tells the difference. While the chain is being
  // mended it may lie behind what was read for that.
  if (phase == Phase::kLeading) {
    reads.Probe();
  } else {
    reads.WantProbe();
  }
}

// --- taking over --------------------------------------------------------------------------------

void Committer::Impl::AppendTerm(const std::vector<SeqRange>& voids, Revision revision) {
  phase = Phase::kTakingOver;
  waiting_for = "its term record";
  term = term.Next();
  Voids joined;
  joined.Add(voids);
  term_voids = joined.ranges();
  TermRecord record;
  record.term = term;
  record.incarnation = options.incarnation;
  record.member_id = options.member_id;
  record.member_name = options.member_name;
  record.client_urls = options.client_urls;
  record.voids = term_voids;
  jetstream::RecordHeader header;
  header.revision = revision;
  header.term = term;
  term_record = std::make_unique<PlannedRecord>(
      SystemRecord(codec->TermSubject(), EncodeTerm(record), /*is_delete=*/false));
  term_record->header = EncodeHeader(header);
  term_seq = chain.next();
  chain.Push(term_record.get());
  // Before the record: who reads it may ask at once.
  if (peers != nullptr) peers->Listen(term);
  chain.SendMore();
}

void Committer::Impl::Lead() {
  if (!holds && !AdoptHeld()) return;
  if (std::exchange(loss_adopted, false) || lost_shown > store->newest()) {
    term_record.reset();
    return SayLastWords(chain.landed(),
                        Cat("the stream has lost revisions that this member has shown, up to ",
                            lost_shown.value(), ", and gives them out again"));
  }
  if (system.term != StreamSeq{}) system.superseded.push_back(system.term);
  system.term = term_seq;
  led_seq = term_seq;
  committed_seq = std::max(committed_seq, term_seq);
  led_term = term;
  if (!term_voids.empty()) {
    // A record with voids is never superseded: a mirror may still hold what it voids.
    system.term = StreamSeq{};
    Collector::Batch batch;
    named_voids.Add(term_voids);
    for (const SeqRange& range : std::exchange(term_voids, {})) {
      counters.voids += range.last.value() - range.first.value() + 1;
      for (StreamSeq seq = range.first; seq <= range.last; seq = seq.Next()) {
        batch.hidden.push_back(seq);
      }
    }
    collector.Add(std::move(batch));
  }
  term_record.reset();
  // What may still arrive carries an earlier term.
  ambiguous = StreamSeq{};
  for (auto& entry : queue) entry->may_land = false;
  for (auto& entry : std::exchange(without_room, {})) entry->Answer(MakeError(Errc::kNoSpace));
  leader_id = options.member_id;
  log::Info("leading in term {} from sequence {}, revision {}{}", log::As("term", term.value()),
            log::As("sequence", term_seq.value()), log::As("revision", store->committed().value()),
            log::Event("leading"));
  log->StartGuard();
  Resume();
  if (peers != nullptr) peers->Lead();
  if (!std::exchange(holds, true)) BeginToLead();
}

void Committer::Impl::Resume() {
  phase = Phase::kLeading;
  waiting_for.clear();
  impatient = silence.lasts = room_awaited = false;
  executor->Cancel(patience);
  patience = 0;
  reads.Restart();
  ResumeRemoval();
  if (audit_wanted) WantAudit();
  if (holds && std::exchange(corrupt_owed, false)) RaiseCorrupt();
  SchedulePump();
}

// --- the chain breaks ---------------------------------------------------------------------------

void Committer::Impl::Break(const absl::Status& why) {
  if (phase != Phase::kLeading && phase != Phase::kTakingOver) return;
  if (!holds) {
    ContendAgain();
    return;
  }
  ++counters.chain_breaks;
  watched = {};
  breaks.Say(why, Cat("the chain broke after sequence ", chain.landed().value()));
  phase = Phase::kRecovering;
  waiting_for = "the tail of the stream";
  ++reading;
  reads.Restart();
  SuspendRemoval();
  StartPatience();
  ReadTail();
}

void Committer::Impl::ReadTail() {
  tail_wanted = true;
  if (!connected || chain.unanswered() > 0) return;
  tail_wanted = false;
  after_drain = nullptr;
  foreign.clear();
  jetstream::Log::ReadOptions tail;
  tail.from = chain.landed().Next();
  const uint64_t number = ++reading;
  log->Read(
      tail,
      [this, number](const jetstream::Record& record) {
        if (number != reading) return;
        if (foreign.empty() && chain.OnFound(record)) return;
        Foreign& found = foreign.emplace_back();
        found.seq = record.seq;
        found.subject = std::string(record.subject.substr(0, kShownSubjectBytes));
        const auto subject = codec->Decode(record.subject);
        if (subject.ok() && subject->kind == Kind::kTerm && !record.header.empty()) {
          auto other = jetstream::DecodeTerm(record.payload);
          if (other.ok()) {
            found.term = *std::move(other);
          } else if (absl::IsFailedPrecondition(other.status())) {
            found.newer = other.status();
          }
        }
      },
      [this, number](absl::StatusOr<StreamSeq> last) {
        if (number == reading && !stopped) OnTail(std::move(last));
      });
}

void Committer::Impl::OnTail(absl::StatusOr<StreamSeq> last) {
  if (last_words != nullptr) return OnTailOfLastWords(last);
  if (!last.ok()) {
    waiting_for = Cat("the tail of the stream: ", MessageOf(last.status()));
    RetryAfter(std::chrono::milliseconds(100), &Impl::ReadTail);
    return;
  }
  // Who wrote what is foreign, or took the place of what is gone, may lead by now, with a term
  // record further down than what was read.
  if (!log->exclusive() && holds && (term_unproven || !foreign.empty() || *last < chain.landed())) {
    ProveTerm(*last);
  } else {
    JudgeTail(*last);
  }
}

void Committer::Impl::JudgeTail(StreamSeq last) {
  if (last < chain.landed()) {
    OnTailLost(last);
    return;
  }
  for (const Foreign& record : foreign) {
    if (!record.newer.ok()) {
      // Whoever it is, it leads, and this member can read no further.
      AfterDrain([this, why = Cat("a jetd of a later version took over (", MessageOf(record.newer),
                                  ")")] { StepDown(MakeError(Errc::kNoLeader, why)); });
      return;
    }
    if (record.term && record.term->incarnation != options.incarnation) {
      leader_id = record.term->member_id;
      AfterDrain([this, why = TookOver(*record.term, options.member_name)] {
        StepDown(MakeError(Errc::kNoLeader, why));
      });
      return;
    }
  }
  if (!loss_told.empty()) return SayLastWords(last, loss_told);
  if (!foreign.empty() || last > chain.landed()) {
    counters.foreign_records += foreign.size();
    log::Warn("{} records at {}..{} were not written by this member: voiding them; {}{}",
              log::As("records", foreign.size()),
              log::As("first_sequence", chain.landed().Next().value()),
              log::As("last_sequence", last.value()), NamesOf(foreign),
              log::Event("foreign_records"));
    // One that rolls its subject up (`nats kv purge`) has removed what was there.
    WantAudit();
    VoidTail(last);
  } else if (std::exchange(no_space, false)) {
    OnNoSpace();
  } else if (std::exchange(busy, false)) {
    RetryAfter(std::chrono::milliseconds(20), &Impl::Continue);
  } else {
    Continue();
  }
}

void Committer::Impl::RetryAfter(std::chrono::milliseconds delay, void (Impl::*step)()) {
  executor->Cancel(retry);
  retry = executor->RunAfter(delay, [this, step, number = reading] {
    if (connected && number == reading) (this->*step)();
  });
}

void Committer::Impl::Continue() {
  chain.Rewind();
  log->RequestDurable(chain.landed());
  if (term_record != nullptr) {
    phase = Phase::kTakingOver;
    waiting_for = "its term record";
    reads.Restart();  // the record would look like somebody else's
  } else {
    Resume();
  }
  chain.SendMore();
}

bool Committer::Impl::Drained() const {
  for (const auto& entry : pending) {
    if (entry->writes()) return entry->outcome.last_seq > chain.landed();
  }
  return true;
}

void Committer::Impl::AfterDrain(std::function<void()> fn) {
  after_drain = std::move(fn);
  log->RequestDurable(chain.landed());
  // Nothing to wait for: Advance finds that out.
  executor->Defer([this] { Advance(); });
}

StreamSeq Committer::Impl::Unfinished() const {
  for (const auto& entry : pending) {
    if (entry->writes()) return std::min(entry->outcome.first_seq, chain.landed().Next());
  }
  return chain.landed().Next();
}

void Committer::Impl::Unevaluate() {
  std::deque<std::unique_ptr<Entry>> again;
  for (auto* from : {&settled, &pending}) {
    for (auto& entry : *from) {
      // Nobody waits for it any more, and it did not happen: then it never will.
      if (entry->answered()) continue;
      if (entry->writes() && ambiguous > chain.landed()) entry->may_land = true;
      entry->outcome = Outcome{};
      queue_bytes += entry->bytes;
      again.push_back(std::move(entry));
    }
    from->clear();
  }
  unproven.clear();
  pending_bytes = 0;
  compacting = false;
  std::move(queue.begin(), queue.end(), std::back_inserter(again));
  queue.swap(again);
  store->Rollback();
  newest_alarms = alarms;
}

void Committer::Impl::VoidTail(StreamSeq last) {
  no_space = busy = false;  // why it broke matters no more
  AfterDrain([this, last] {
    std::vector<SeqRange> voids;
    // The voids of a term record that never landed are still to be named.
    if (term_record != nullptr && chain.landed() < term_seq) voids = term_voids;
    const StreamSeq first = Unfinished();
    if (first <= last) voids.push_back({first, last});
    chain.Reset(last);
    // Until the term record is there nobody can say that they are void.
    for (auto& entry : pending) {
      if (entry->writes() && entry->outcome.first_seq <= last) entry->may_land = true;
    }
    Unevaluate();
    AppendTerm(voids, store->committed());
  });
}

void Committer::Impl::StepDown(const absl::Status& why) {
  log::Warn("no longer leading: {}{}", log::As("reason", MessageOf(why)),
            log::Event("not_leading"));
  waiting_for = std::string(MessageOf(why));
  phase = Phase::kSuperseded;
  room_awaited = false;
  loss_told.clear();  // the other one hears of it too
  // Copies from lost connections may have landed in front of the other's term record, and then
  // count.
  const absl::Status unknown = MakeError(Errc::kTimeout, waiting_for);
  for (auto& entry : std::exchange(without_room, {})) entry->Answer(unknown);
  for (auto& entry : queue) {
    if (entry->may_land) entry->Answer(unknown);
  }
  // Reads that wait for a proof get it from the new leader, writes that were judged here do not.
  unproven.clear();
  std::vector<DoneFn> waiting;
  if (peers != nullptr) waiting = reads.TakeAll();
  // The places of the rest were taken: they did not happen. Unless records are gone there.
  const bool gap = !foreign.empty() && foreign.front().seq > chain.landed().Next();
  FailAll(MakeError(Errc::kNoLeader, waiting_for),
          gap ? unknown : MakeError(Errc::kUnavailable, waiting_for));
  // What was not found may have been removed by the other one: it is looked for anew.
  if (std::exchange(corrupt_owed, false)) audit_wanted = true;
  pending.clear();
  pending_bytes = 0;
  compacting = false;
  chain.Reset(chain.landed());
  store->Rollback();
  newest_alarms = alarms;
  EndSurvey();
  log->StopGuard();
  term_record.reset();
  for (Listener* listener : listeners) listener->OnStepDown(why);
  if (peers != nullptr) BeginToFollow();
  for (DoneFn& read : waiting) ReadElsewhere(std::move(read));
}

// The process may live on for a while: what is under way must not make this member lead again.
void Committer::Impl::End() {
  phase = Phase::kStopped;
  connected = room_awaited = false;
  ++reading;
  after_drain = nullptr;
  tail.reset();
  terms_ahead.reset();
  if (peers != nullptr) peers->Rest();
  SuspendRemoval();
}

void Committer::Impl::Fatal(const absl::Status& why) {
  if (phase == Phase::kStopped) return;
  End();
  waiting_for = std::string(MessageOf(why));
  // Whether what is in flight happened will be seen after the restart.
  FailAll(MakeError(Errc::kNoLeader, waiting_for), MakeError(Errc::kTimeout, waiting_for));
  if (fatal) std::exchange(fatal, nullptr)(why);
}

}  // namespace jetd::revision
