// SPDX-License-Identifier: Apache-2.0
//
// Following another member's lead, and taking it over:
//
//   replaying -> a word of its leader? -> following -> the leader is gone -> taking over -> leading
//                     `no: taking over        `- a breach: replaying anew, beside what is shown
//
// What is in the stream is shown when the leader has said that it is committed. A member that takes
// over shows the rest when its own term record is in: the chain made sure that it judged all of it.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "revision/committer_impl.h"

namespace jetd::revision {

using jetstream::TermRecord;

namespace {

// For a leader that lost its connection when this member did, and for one that has just begun and
// whose topic is not known to all servers of a cluster yet.
constexpr std::chrono::milliseconds kGraceAfterReconnect{1'000};
constexpr std::chrono::milliseconds kGraceOfNewTerm{250};
constexpr std::chrono::milliseconds kTryAgain{100};
// As long as last words may take. A leader of an earlier version does not listen: then this member
// goes on without them, and says them when it leads.
constexpr std::chrono::seconds kLossPatience{30};

}  // namespace

// ---- From the replay ----------------------------------------------------------------------------

void Committer::Impl::AskLeader() {
  const TermRecord& leader = replayed.leader;
  if (peers == nullptr || replayed.term == Term{} || leader.incarnation == options.incarnation) {
    Contend();
    return;
  }
  followed = leader;
  leader_id = leader.member_id;
  waiting_for =
      Cat("a word of member ", leader.member_name, ", the leader of term ", leader.term.value());
  peers->Follow(leader.term, led_before ? kGraceOfNewTerm : std::chrono::milliseconds(0));
}

// Another member may have appended since: then the term record is refused.
void Committer::Impl::Contend() { AppendTerm(replayed.voids, Active()->committed()); }

void Committer::Impl::StartFollowing() {
  phase = Phase::kFollowing;
  replay.reset();
  shown = false;
  follower = std::make_unique<Follower>(&*codec, Active(), &system, this);
  // What was not whole, or foreign, is read once more.
  follow_start = replayed.voids.empty() ? replayed.last : replayed.voids.front().first.Prev();
  const bool below = replayed.leader_seq <= follow_start;
  follower->Start(follow_start, replayed.term, below ? replayed.leader_seq : StreamSeq{});
  if (fresh != nullptr) follower->set_witness(shown_newest);
  term_incarnation = replayed.leader.incarnation;
  gap_until = StreamSeq{};
  StartTail();
  ApplyAnnounced();
}

// ---- After a leadership, a reconnect, a lost contest --------------------------------------------

void Committer::Impl::BeginToFollow() {
  holds = false;
  superseded = executor->Now();
  shown = false;
  follow_start = announced = goal = committed_seq;
  follower = std::make_unique<Follower>(&*codec, store, &system, this);
  follower->Start(committed_seq, led_term, led_seq);
  shown_newest = {};  // acks do not say the time
  term_incarnation = options.incarnation;
  if (handed_over) EndHandOver(absl::OkStatus());
  FollowAgain();
}

struct Committer::Impl::Newest {
  StreamSeq below;  // of the newest term record at or below the follower's position
  Term term_below;
  std::string incarnation_below;
  StreamSeq seq;  // of the newest of all
  std::optional<TermRecord> term;
  StreamSeq bound;     // of the newest compaction
  bool taken = false;  // another record lies where the newest change that is known did
};

void Committer::Impl::FindNewest(StreamSeq position, FoundFn found, void (Impl::*again)()) {
  auto newest = std::make_shared<Newest>();
  jetstream::Log::ReadOptions control;
  control.subjects = {codec->TermSubject(), codec->CompactSubject()};
  log->Read(
      control,
      [this, newest, position](const jetstream::Record& record) {
        if (record.header.empty()) return;
        if (record.subject == codec->CompactSubject()) {
          const auto compact = jetstream::DecodeCompact(record.payload);
          if (compact.ok()) newest->bound = std::max(newest->bound, compact->bound);
          return;
        }
        auto term_found = jetstream::DecodeTerm(record.payload);
        if (!term_found.ok()) return;
        newest->seq = record.seq;
        newest->term = *std::move(term_found);
        if (record.seq > position) return;
        newest->below = record.seq;
        newest->term_below = newest->term->term;
        newest->incarnation_below = newest->term->incarnation;
      },
      [this, newest, found = std::move(found), again,
       number = ++reading](const absl::StatusOr<StreamSeq>& last) {
        if (number != reading || stopped) return;
        if (last.ok()) return LookAgain(newest, *last, found, again);
        waiting_for = Cat("the newest term record: ", MessageOf(last.status()));
        RetryAfter(kTryAgain, again);
      });
}

// Of another past that was led by two, both term records may be removed by now.
void Committer::Impl::LookAgain(const std::shared_ptr<Newest>& newest, StreamSeq last,
                                const FoundFn& found, void (Impl::*again)()) {
  const Mark mark = ActiveNewest();
  if (mark.time_ns == 0) return found(*newest, last);
  log->Get(
      {mark.seq},
      [newest, mark](const jetstream::Record& record) {
        if (mark.TakenBy(record)) newest->taken = true;
      },
      [this, newest, last, found, again, number = reading](const absl::Status& status) {
        if (number != reading || stopped) return;
        if (status.ok()) return found(*newest, last);
        waiting_for = Cat("the newest change that is known: ", MessageOf(status));
        RetryAfter(kTryAgain, again);
      });
}

// Is what was read up to the follower's position the beginning of what is there?
absl::Status Committer::Impl::Compare(const Newest& newest, StreamSeq last) {
  const StreamSeq position = follower->position();
  if (last < position) {
    return MakeError(Errc::kCorrupt, Cat("the stream went back to sequence ", last.value(),
                                         ", this member has seen ", position.value()));
  }
  if (newest.taken) {
    return MakeError(Errc::kCorrupt, Cat("the record at sequence ", ActiveNewest().seq.value(),
                                         " is another one than this member has seen there"));
  }
  const StreamSeq known = follower->term_seq();  // 0: a replay found it
  const bool same = newest.term_below == follower->term() &&
                    (known == StreamSeq{} ||
                     (newest.below == known && newest.incarnation_below == term_incarnation));
  // A term record that another one has superseded may be removed.
  const bool superseded_since = newest.term_below < follower->term() && newest.seq > position;
  if (same || superseded_since) return absl::OkStatus();
  return MakeError(Errc::kCorrupt, "the stream has other term records than this member has seen");
}

void Committer::Impl::FollowAgain() {
  phase = Phase::kFollowing;
  waiting_for = "the newest term record";
  tail.reset();
  terms_ahead.reset();
  peers->Rest();
  term_record.reset();
  follower->DropHeld();
  follower->ForgetTerms();
  chain.Reset(follower->position());
  // The stream may have lost its tail meanwhile: what lies there from now on is something else. And
  // a replay goes further than anybody has announced.
  goal = announced = std::min(announced, follower->position());
  gap_until = StreamSeq{};
  went_back = false;
  if (!connected) return;
  StartPatience();
  FindNewest(
      follower->position(),
      [this](const Newest& newest, StreamSeq last) { OnNewest(newest, last); }, &Impl::FollowAgain);
}

void Committer::Impl::OnNewest(const Newest& newest, StreamSeq last) {
  const StreamSeq position = follower->position();
  const MonoTime until = reconnected + kGraceAfterReconnect;
  const std::chrono::nanoseconds grace =
      std::max(until - executor->Now(), MonoTime(kGraceOfNewTerm));
  // Whoever leads sees that too, and writes it down. Without a leader this member may be the only
  // one who knows. (One of several replicas may just be behind.)
  if (last < position && info.replicas == 1 && fresh == nullptr) {
    went_back = true;
    if (!newest.term.has_value()) return TakeOver();
    return FollowLeader(*newest.term, grace);
  }
  absl::Status same = Compare(newest, last);
  if (same.ok() && !newest.term.has_value()) same = MakeError(Errc::kCorrupt, "no term record");
  if (same.ok() && newest.bound > position) {
    same =
        MakeError(Errc::kCorrupt, Cat("garbage up to sequence ", newest.bound.value(),
                                      " may be removed, this member has read ", position.value()));
  }
  if (!same.ok()) return Rebuild(same);
  FollowLeader(*newest.term, grace);
}

void Committer::Impl::FollowLeader(const TermRecord& leader, std::chrono::nanoseconds grace) {
  followed = leader;
  leader_id = leader.member_id;
  if (leader.incarnation == options.incarnation) return TakeOver();
  waiting_for =
      Cat("a word of member ", leader.member_name, ", the leader of term ", leader.term.value());
  if (tail == nullptr && !went_back) StartTail();
  peers->Follow(leader.term, grace);
}

// ---- What is shown -----------------------------------------------------------------------------

// By the newest revision that was shown: the same changes at the same places of the stream, and the
// same record. Another history has another term record in it, so its revisions lie elsewhere;
// unless that took the place of one that made no revision.
bool Committer::Impl::FreshGoesOn() const {
  const Revision shown_last = store->committed();
  if (fresh->committed() < shown_last) return false;
  // Watchers from before are told that it is compacted.
  if (shown_last < fresh->compacted()) return true;
  if (shown_taken || (follower != nullptr && follower->witness_taken())) return false;
  using Place = std::pair<std::string, StreamSeq>;
  const auto places = [shown_last](const Store& of) {
    std::vector<Place> found;
    // An error: nothing can be said of a revision that is compacted.
    (void)of.History(shown_last, 1, [&](const Change& change) {
      if (change.kv->mod_revision() != shown_last) return;
      found.emplace_back(change.kv->key(), change.kv->seq());
    });
    return found;
  };
  const std::vector<Place> before = places(*store);
  const std::vector<Place> now = places(*fresh);
  // At the compact revision what was superseded since is gone.
  if (now.size() < before.size() && shown_last > fresh->compacted()) return false;
  return std::all_of(now.begin(), now.end(), [&](const Place& place) {
    return std::find(before.begin(), before.end(), place) != before.end();
  });
}

bool Committer::Impl::ShowFresh() {
  if (fresh == nullptr) return true;
  loss_found.reset();
  if (peers != nullptr) peers->set_lost(std::nullopt);
  const bool goes_on = FreshGoesOn();
  if (!goes_on) {
    ++counters.lost_tails;
    log::Error(
        "the stream has lost revisions that this member has shown, up to {}, and goes on in "
        "another way: ending all watches{}",
        log::As("revision", store->committed().value()), log::Event("history_lost"));
    corrupt_owed = true;  // raised if this member comes to lead
    lost_shown = std::max(lost_shown, store->newest());
    for (Listener* listener : listeners) listener->OnHistoryLost();
  }
  store->Swap(fresh.get());
  // Snapshots may refer to its value files; the next one that is built uses them.
  fresh->Clear();
  spare = std::move(fresh);
  shown_newest = fresh_newest;
  if (follower != nullptr) follower->set_store(store);
  return goes_on;
}

// It gives the numbers out again, and may know nothing of that. When it does, it ends as one that
// has seen the loss itself, and what it leaves lets this member's watches go on.
bool Committer::Impl::TellLoss() {
  if (loss_found.has_value()) return executor->Now() < *loss_found + kLossPatience;
  loss_found = executor->Now();
  Peers::Lost lost{.revision = store->committed(), .mark = {}};
  // Of its own time as the leader it knows the place alone.
  (void)store->History(lost.revision, 1, [this, &lost](const Change& change) {
    if (change.kv->mod_revision() != lost.revision || lost.mark.time_ns != 0) return;
    lost.mark.seq = change.kv->seq();
    if (lost.mark.seq == shown_newest.seq) lost.mark = shown_newest;
  });
  peers->set_lost(lost);
  waiting_for = Cat("member ", followed->member_name,
                    ", to write down that the stream has lost revisions which this member has "
                    "shown, up to ",
                    lost.revision.value());
  log::Error("waiting for {}", waiting_for);
  return true;
}

void Committer::Impl::Show() {
  if (fresh != nullptr && !FreshGoesOn() && TellLoss()) return;
  shown = true;
  led_before = true;
  (void)ShowFresh();
  Content();
  log::Info("following member {} in term {} from sequence {}, revision {}{}",
            log::As("leader", followed->member_name), log::As("term", followed->term.value()),
            follower->position().value(), store->committed().value(), log::Event("following"));
  for (Listener* listener : listeners) listener->OnFollowing(term);
}

void Committer::Impl::Content() {
  waiting_for.clear();
  impatient = false;
  executor->Cancel(patience);
  patience = 0;
}

std::unique_ptr<Store> Committer::Impl::MakeStore() const {
  return options.make_store ? options.make_store() : std::make_unique<Store>();
}

void Committer::Impl::Rebuild(const absl::Status& why) {
  log::Warn("reading all of the stream anew: {}", log::As("reason", MessageOf(why)));
  phase = Phase::kReplaying;
  waiting_for = "the replay of the stream";
  tail.reset();
  terms_ahead.reset();
  peers->Rest();
  follower.reset();
  replay.reset();
  shown = false;
  goal = announced = StreamSeq{};
  executor->Cancel(compact_timer);
  compact_timer = 0;
  garbage = {};
  followed_garbage.clear();
  // The replay finds what is to be removed; what was known may be another stream's by now.
  collector.Forget();
  gate.Forget();
  barriers.clear();
  last_markers.clear();
  term_record.reset();
  replayed = {};
  replayed_last = StreamSeq{};
  if (fresh != nullptr) {
    fresh->Clear();
  } else if (led_before) {
    fresh = spare != nullptr ? std::move(spare) : MakeStore();
  } else {
    store->Clear();
  }
  ++reading;
  StartPatience();
  RetryAfter(kTryAgain, &Impl::StartReplay);
}

// ---- Taking over --------------------------------------------------------------------------------

// The stream may have gone back behind this member's back, and its leader have ended over that:
// what it wrote last lies below what this member has read.
void Committer::Impl::TakeOver() {
  peers->Rest();
  tail.reset();
  terms_ahead.reset();
  waiting_for = "the newest term record";
  StartPatience();
  FindNewest(
      follower->position(),
      [this](const Newest& newest, StreamSeq last) {
        // A stream that ends before that is judged when its end is read.
        const absl::Status same =
            last < follower->position() ? absl::OkStatus() : Compare(newest, last);
        same.ok() ? ReadToTakeOver() : Rebuild(same);
      },
      &Impl::FollowAgain);
}

void Committer::Impl::ReadToTakeOver() {
  waiting_for = "the tail of the stream";
  const uint64_t number = ++reading;
  jetstream::Log::ReadOptions rest;
  rest.from = follower->read().Next();
  log->Read(
      rest,
      [this, number](const jetstream::Record& record) {
        if (number == reading) follower->Hold(record);
      },
      [this, number](const absl::StatusOr<StreamSeq>& last) {
        if (number == reading && !stopped) OnTakeOverRead(last);
      });
}

void Committer::Impl::OnTakeOverRead(const absl::StatusOr<StreamSeq>& last) {
  if (!last.ok()) {
    waiting_for = Cat("the tail of the stream: ", MessageOf(last.status()));
    RetryAfter(kTryAgain, &Impl::FollowAgain);
    return;
  }
  if (*last < follower->position()) {
    // Nobody else may know of what is lost.
    if (fresh != nullptr) return Rebuild(MakeError(Errc::kCorrupt, "the stream went back"));
    return SayLastWords(
        *last, Cat("the stream went back to sequence ", last->value(), ", this member has seen ",
                   follower->position().value(), DescribeLoss(*last)));
  }
  if (std::exchange(went_back, false)) return FollowAgain();
  follower->NoteRead(*last);
  const auto end = follower->Judge(*last);
  if (!end.ok()) return Rebuild(end.status());
  if (end->leader.has_value() && end->leader->term > followed->term &&
      end->leader->incarnation != options.incarnation) {
    return FollowLeader(*end->leader, kGraceOfNewTerm);
  }
  term = end->term;
  chain.Reset(*last);
  AppendTerm(end->voids, end->revision);
}

bool Committer::Impl::AdoptHeld() {
  if (follower != nullptr) {
    follower->AddVoids(term_voids);
    const absl::Status status = follower->Apply(term_seq.Prev());
    if (!status.ok()) {
      // This member's term record is in the stream, so nobody else's takes its place: the replay
      // finds it, and the member leads from there.
      Rebuild(status);
      return false;
    }
  }
  if (!ShowFresh()) loss_adopted = true;
  follower.reset();
  return true;
}

void Committer::Impl::BeginToLead() {
  led_before = true;
  mirror_audit.Begin();
  CollectAtStart();
  for (FollowedGarbage& kept : std::exchange(followed_garbage, {})) {
    gate.Add(std::move(kept.own), RemovalGate::Kind::kLastMarkers);
    gate.Add(std::move(kept.batch), RemovalGate::Kind::kSuperseded);
  }
  replay.reset();
  followed.reset();
  if (std::exchange(corrupt_owed, false)) RaiseCorrupt();
  SurveyIfWorthwhile();
  for (Listener* listener : listeners) listener->OnLeading(term);
  for (Waiting& read : std::exchange(reads_elsewhere, {})) AfterRoundTrip(std::move(read.done));
  ReleaseApplied();
}

// ---- What is told -------------------------------------------------------------------------------

// Not of a store that nobody sees yet: who is told of it later reads it whole.
bool Committer::Impl::Tells() const { return fresh == nullptr && led_before; }

void Committer::Impl::OnFollowedCommit(Revision revision, absl::Span<const Change> changes) {
  ActiveNewest() = follower->newest();
  ++counters.txns_committed;
  if (!Tells()) return;
  for (Listener* listener : listeners) listener->OnCommit(revision, changes);
}

void Committer::Impl::OnFollowedGrant(LeaseId id, int64_t ttl_s) {
  if (!Tells()) return;
  for (Listener* listener : listeners) listener->OnLeaseGranted(id, ttl_s);
}

void Committer::Impl::OnFollowedGone(LeaseId id) {
  if (!Tells()) return;
  for (Listener* listener : listeners) listener->OnLeaseGone(id);
}

void Committer::Impl::OnFollowedCompaction(Revision revision) {
  if (Tells()) {
    for (Listener* listener : listeners) listener->OnCompacted(revision);
  }
  // Not from inside the follower.
  if (compact_timer == 0) {
    compact_timer = executor->RunAt(executor->Now(), [this] { CompactMore(); });
  }
}

void Committer::Impl::OnFollowedAlarms(std::vector<jetstream::Alarm> raised) {
  alarms = newest_alarms = AlarmSet(std::move(raised));
}

void Committer::Impl::OnFollowedTerm(const TermRecord& record) {
  term_incarnation = record.incarnation;
  named_voids.Add(record.voids);
}

}  // namespace jetd::revision
