// SPDX-License-Identifier: Apache-2.0
//
// The stream lost records that clients were told of: nats-server came back without its newest ones,
// or the stream was made anew. What this member knows of that dies with it, so it writes it down
// (docs/adr/0042-when-the-stream-goes-back.md), and ends:
//
//   the stream ends at 70, revisions up to 512 were answered
//     71  a term record, which voids what was cut short at 70
//     72  the alarm CORRUPT
//     73  a compaction at 1512: the next revision is 1513, and no watch goes on from before
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "revision/committer_impl.h"

namespace jetd::revision {

using jetstream::SeqRange;

namespace {

// Above all that anybody was told, so that nobody takes the new revisions for old ones: a watch
// that goes on behind the newest one it knows must find it compacted.
constexpr int64_t kBump = 1'000;
// A server that comes back from a power cut may come and go for a while.
constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kAgain{100};
constexpr size_t kNamed = 10;

}  // namespace

// It is, also when the stream has lost it and ends in an earlier term.
void Committer::Impl::ProveTerm(StreamSeq last) {
  auto newest = std::make_shared<std::optional<jetstream::TermRecord>>();
  auto went_on = std::make_shared<bool>(false);
  jetstream::Log::ReadOptions terms;
  terms.subjects = {codec->TermSubject()};
  log->Read(
      terms,
      [newest, went_on, last](const jetstream::Record& record) {
        if (record.header.empty()) return;
        if (record.seq > last) {
          *went_on = true;
          return;
        }
        auto found = jetstream::DecodeTerm(record.payload);
        // One that cannot be read is of a jetd that is newer than this.
        *newest = found.ok() ? *std::move(found) : jetstream::TermRecord{};
      },
      [this, newest, went_on, last, number = reading](const absl::StatusOr<StreamSeq>& end) {
        if (number != reading || stopped) return;
        if (!end.ok()) {
          RetryAfter(std::chrono::milliseconds(100), &Impl::ReadTail);
          return;
        }
        // Somebody took over since the tail was read, and may have removed the term record that
        // was the newest then: the tail that has his tells.
        if (*went_on) {
          ReadTail();
          return;
        }
        const bool doubted = std::exchange(term_doubted, false);
        const bool ours = newest->has_value() && (*newest)->incarnation == options.incarnation;
        const bool lost = last < led_seq && (!newest->has_value() || (*newest)->term < term);
        if (ours || lost || FoundTerm()) {
          term_unproven = false;
          JudgeTail(last);
          return;
        }
        // Or he did so while it was read, behind the end that this reading had, and his removal
        // came first. By now his record is in the tail.
        if (!doubted) {
          term_doubted = term_unproven = true;
          ReadTail();
          return;
        }
        Fatal(
            MakeError(Errc::kCorrupt,
                      Cat("the stream went back and goes on in another way than this member has "
                          "seen it",
                          newest->has_value() ? ", under member " : "",
                          newest->has_value() ? (*newest)->member_name : "", DescribeLoss(last))));
      });
}

// The tail that was read has the term record of another member, or this one's own: it went on in
// order, and is judged by that.
bool Committer::Impl::FoundTerm() const {
  return std::any_of(foreign.begin(), foreign.end(), [](const Foreign& record) {
    return record.term.has_value() || !record.newer.ok();
  });
}

void Committer::Impl::OnTailLost(StreamSeq last) {
  SayLastWords(last, Cat("the stream went back to sequence ", last.value(),
                         ", this member has seen ", chain.landed().value(), DescribeLoss(last)));
}

void Committer::Impl::OnMadeAnew() {
  const std::string text =
      Cat("the stream of bucket ", info.bucket, " was made anew while this member was using it");
  if (phase == Phase::kSuperseded || Elsewhere()) return Fatal(MakeError(Errc::kCorrupt, text));
  ++reading;
  log->State([this, number = reading, text](const absl::StatusOr<jetstream::StreamState>& state) {
    if (number != reading || stopped) return;
    // Whoever wrote into it leads there, and knows nothing of this one.
    if (!state.ok() || state->last > StreamSeq{}) return Fatal(MakeError(Errc::kCorrupt, text));
    SayLastWords(StreamSeq{}, Cat(text, DescribeLoss(StreamSeq{})));
  });
}

// A follower has shown what this member, which leads, may never have had: its leader is gone with
// the tail, and this one took over what was left (docs/adr/0042-when-the-stream-goes-back.md).
void Committer::Impl::OnLossTold(const std::string& member_name, const Peers::Lost& lost) {
  if (phase != Phase::kLeading || judging_loss || !loss_told.empty()) return;
  judging_loss = true;
  // One that was superseded and does not know it yet lacks what others have.
  AfterRoundTrip([this, member_name, lost](const absl::Status& status) {
    judging_loss = status.ok() && phase == Phase::kLeading;
    if (!judging_loss) return;
    LookFor(lost, [this, member_name, lost] {
      lost_shown = std::max(lost_shown, lost.revision);
      loss_told = Cat("the stream has lost revisions that member ", member_name,
                      " has shown, up to ", lost.revision.value(), ", and gives them out again");
      // The tail is read when every append is answered; then that is said.
      Break(MakeError(Errc::kCorrupt, loss_told));
    });
  });
}

void Committer::Impl::LookFor(const Peers::Lost& lost, std::function<void()> then) {
  enum class Place { kEmpty, kTaken, kItsOwn };
  auto place = std::make_shared<Place>(Place::kEmpty);
  // A newest revision that a compaction has given, and no change, has no place: 0, where nothing
  // lies. 1 is asked for in its stead and not looked at; then the revisions tell: a member that is
  // compacted below it lacks that compaction, which is the loss.
  log->Get(
      {std::max(lost.mark.seq, StreamSeq(1))},
      [lost, place](const jetstream::Record& record) {
        if (record.seq != lost.mark.seq) return;
        const auto header = jetstream::DecodeHeader(record.header);
        const bool other = !header.ok() || header->revision != lost.revision;
        *place = other || lost.mark.TakenBy(record) ? Place::kTaken : Place::kItsOwn;
      },
      [this, lost, place, then = std::move(then)](const absl::Status& status) {
        judging_loss = false;
        if (!status.ok() || phase != Phase::kLeading || *place == Place::kItsOwn) return;
        // Who goes on behind it is told that it is compacted.
        if (lost.revision < store->compacted()) return;
        // Then it may just be superseded.
        if (*place == Place::kEmpty && lost.revision == store->compacted()) return;
        then();
      });
}

// Which keys had their newest change behind `last`.
std::string Committer::Impl::DescribeLoss(StreamSeq last) const {
  size_t lost = 0;
  Revision first = store->newest();
  std::string names;
  std::string next_key;
  (void)store->VisitVersions(&next_key, SIZE_MAX, [&](const KvBlock& version) {
    if (version.seq() <= last || version.mod_revision() > store->committed()) return;
    first = std::min(first, version.mod_revision());
    if (++lost <= kNamed) {
      CatTo(names, lost == 1 ? "" : ", ", absl::CHexEscape(std::string(version.key())), " (",
            version.mod_revision().value(), ")");
    }
  });
  if (lost == 0) return "";
  return Cat("; ", lost, " changes of revisions ", first.value(), " to ",
             store->committed().value(), " are lost, of keys ", names,
             lost > kNamed ? ", ..." : "");
}

void Committer::Impl::SayLastWords(StreamSeq last, const std::string& why) {
  ++counters.lost_tails;
  log::Error("{}", why);
  phase = Phase::kRecovering;
  waiting_for = why;
  room_awaited = false;
  ++reading;
  reads.Restart();
  SuspendRemoval();
  after_drain = nullptr;
  last_words = std::make_unique<LastWords>();
  last_words->why = why;
  last_words->created_ns = created_ns;
  // Nobody is told that a write failed of which a copy may yet land.
  FailAll(MakeError(Errc::kNoLeader, why), MakeError(Errc::kTimeout, why));
  impatient = true;
  pending.clear();
  pending_bytes = 0;
  executor->Cancel(retry);
  if (last_words_patience == 0) {
    last_words_patience = executor->RunAfter(kPatience, [this] { EndWithLastWords(); });
  }
  chain.Reset(last);
  VoidWhatWasCut();
}

// What is left may end within a transaction; and a foreign record, with all behind it, counts as
// long as no term record voids it: the one that did may be lost.
struct Committer::Impl::Left {
  StreamSeq from{1};  // the newest term record: what lies before it, it or another one voids
  Term term;
  StreamSeq foreign;  // the first one, or the beginning of the transaction that it cut short
  SeqRange open;      // the records of a transaction, so far; last 0: none
  void Take(const jetstream::SubjectCodec& codec, const jetstream::Record& record) {
    if (foreign != StreamSeq{}) return;
    const auto header = jetstream::DecodeHeader(record.header);
    if (!header.ok() || header->term < term || !codec.Decode(record.subject).ok()) {
      foreign = open.last.Next() == record.seq ? open.first : record.seq;
      return;
    }
    term = header->term;
    open = {};
    if (header->index == header->count) return;
    const uint64_t before = std::min<uint64_t>(header->index - 1, record.seq.value() - 1);
    open = {StreamSeq(record.seq.value() - before), record.seq};
  }
  [[nodiscard]] std::vector<SeqRange> Voids(StreamSeq last) const {
    if (foreign != StreamSeq{}) return {{foreign, last}};
    if (open.last == last) return {open};
    return {};
  }
};

void Committer::Impl::VoidWhatWasCut() {
  const StreamSeq last = chain.landed();
  if (last == StreamSeq{}) return AppendLastWords();
  auto left = std::make_shared<Left>();
  jetstream::Log::ReadOptions terms;
  terms.subjects = {codec->TermSubject()};
  log->Read(
      terms,
      [left, last](const jetstream::Record& record) {
        const auto header = jetstream::DecodeHeader(record.header);
        if (record.seq > last || !header.ok() || header->term < left->term) return;
        left->from = record.seq;
        left->term = header->term;
      },
      [this, left, number = reading](const absl::StatusOr<StreamSeq>& end) {
        if (number != reading || stopped || last_words == nullptr) return;
        if (end.ok()) return JudgeWhatIsLeft(left);
        RetryAfter(kAgain, &Impl::VoidWhatWasCut);
      });
}

void Committer::Impl::JudgeWhatIsLeft(const std::shared_ptr<Left>& left) {
  jetstream::Log::ReadOptions rest;
  rest.from = left->from;
  rest.headers_only = true;
  log->Read(
      rest,
      [this, left, last = chain.landed()](const jetstream::Record& record) {
        if (record.seq <= last) left->Take(*codec, record);
      },
      [this, left, number = reading](const absl::StatusOr<StreamSeq>& end) {
        if (number != reading || stopped || last_words == nullptr) return;
        if (!end.ok()) return RetryAfter(kAgain, &Impl::VoidWhatWasCut);
        const StreamSeq last = chain.landed();
        last_words->voids = left->Voids(last);
        // Of a void a part may have been removed: the rest does not look like one, and what is
        // removed may come back.
        for (const SeqRange& range : named_voids.ranges()) {
          if (range.last < left->from || range.first > last) continue;
          last_words->voids.push_back({range.first, std::min(range.last, last)});
        }
        AppendLastWords();
      });
}

// Nobody else knows what they say.
void Committer::Impl::GoOnWithLastWords() {
  if (created_ns != last_words->created_ns) return EndWithLastWords();
  if (last_words->records.empty()) return VoidWhatWasCut();
  ReadTail();
}

void Committer::Impl::OnTailOfLastWords(const absl::StatusOr<StreamSeq>& last) {
  if (!last.ok()) return RetryAfter(kAgain, &Impl::ReadTail);
  // The server lost more; or somebody else went on from there, and leads; or all of them were in.
  if (*last < chain.landed()) return SayLastWords(*last, std::string(last_words->why));
  if (FoundTerm() || (foreign.empty() && chain.pending_records() == 0)) return EndWithLastWords();
  if (foreign.empty()) return RetryAfter(kAgain, &Impl::SendLastWords);
  // What somebody had on its way has landed in between: all of them again, behind it.
  const StreamSeq first = chain.landed().Next();
  last_words->records.clear();
  chain.Reset(*last);
  last_words->voids.push_back({first, *last});
  AppendLastWords();
}

void Committer::Impl::SendLastWords() {
  chain.Rewind();
  chain.SendMore();
}

void Committer::Impl::EndWithLastWords() { Fatal(MakeError(Errc::kCorrupt, last_words->why)); }

void Committer::Impl::AppendLastWords() {
  const Revision bumped(std::max(store->newest(), lost_shown).value() + kBump);
  term = term.Next();
  jetstream::TermRecord taken;
  taken.term = term;
  taken.incarnation = options.incarnation;
  taken.member_id = options.member_id;
  taken.member_name = options.member_name;
  taken.client_urls = options.client_urls;
  taken.voids = last_words->voids;
  AlarmSet raised = alarms;
  (void)raised.Raise(OwnAlarm(jetstream::AlarmType::kCorrupt));
  jetstream::RecordHeader header;
  header.revision = Revision(1);
  header.term = term;
  auto& records = last_words->records;
  records.push_back(SystemRecord(codec->TermSubject(), EncodeTerm(taken), /*is_delete=*/false));
  records.push_back(SystemRecord(codec->AlarmSubject(),
                                 jetstream::EncodeAlarms({.alarms = raised.all()}),
                                 /*is_delete=*/false));
  records.push_back(
      SystemRecord(codec->CompactSubject(),
                   jetstream::EncodeCompact({.revision = bumped, .bound = chain.landed()}),
                   /*is_delete=*/false));
  for (PlannedRecord& record : records) {
    record.header = EncodeHeader(header);
    chain.Push(&record);
  }
  chain.SendMore();
}

}  // namespace jetd::revision
