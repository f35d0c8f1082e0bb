// SPDX-License-Identifier: Apache-2.0
#include "replication/bucket_writer.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "base/check.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/strings.h"

namespace jetd::replication {

using jetstream::Log;
using jetstream::Record;
using revision::PlannedRecord;
using Kind = jetstream::SubjectCodec::Kind;

namespace {

constexpr std::chrono::milliseconds kRetryPause{50};
// Refusals in a row, with nothing of ours found in the stream between.
constexpr int kMaxRefusals = 100;

template <typename... Pieces>
absl::Status Refuse(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

}  // namespace

BucketWriter::BucketWriter(Executor* executor, Log* log, const jetstream::SubjectCodec* codec,
                           Options options, BeginFn begin, DoneFn done)
    : executor_(executor),
      log_(log),
      codec_(codec),
      options_(std::move(options)),
      begin_(std::move(begin)),
      done_(std::move(done)) {}

uint64_t BucketWriter::FingerprintOf(const jetstream::NewRecord& record) {
  return absl::HashOf(ToAbsl(record.subject), ToAbsl(record.header), record.is_delete,
                      ToAbsl(record.payload));
}

uint64_t BucketWriter::FingerprintOf(const Record& record) {
  return absl::HashOf(ToAbsl(record.subject), ToAbsl(record.header), record.is_delete,
                      ToAbsl(record.payload));
}

std::string BucketWriter::WholeName() const {
  return Cat("filled by jetctl with ", options_.restore.what);
}

PlannedRecord BucketWriter::System(std::string subject, std::string payload, Revision revision,
                                   Term term) const {
  jetstream::RecordHeader header;
  header.revision = revision;
  header.term = term;
  PlannedRecord record;
  record.subject = std::move(subject);
  record.header = EncodeHeader(header);
  record.payload = std::move(payload);
  return record;
}

void BucketWriter::End(absl::Status status) {
  if (stage_ == Stage::kEnded) return;
  stage_ = Stage::kEnded;
  result_.records = prints_.size();
  const DoneFn done = std::exchange(done_, nullptr);
  if (status.ok()) {
    done(result_);
  } else {
    done(std::move(status));
  }
}

void BucketWriter::After(std::chrono::milliseconds delay, Step step) {
  executor_->RunAfter(delay,
                      [this, step, connection = connection_, alive = std::weak_ptr<bool>(alive_)] {
                        if (alive.expired() || connection != connection_ || stage_ == Stage::kEnded)
                          return;
                        (this->*step)();
                      });
}

void BucketWriter::ReadFrom(Log::ReadOptions options, Log::RecordFn on_record, Step again,
                            std::function<void(StreamSeq last)> done) {
  reading_ = true;
  const auto here = [this, connection = connection_, alive = std::weak_ptr<bool>(alive_)] {
    return !alive.expired() && connection == connection_ && stage_ != Stage::kEnded;
  };
  log_->Read(
      options,
      [here, on_record = std::move(on_record)](const Record& record) {
        if (here()) on_record(record);
      },
      [this, here, again, done = std::move(done)](const absl::StatusOr<StreamSeq>& last) {
        if (!here()) return;
        // The connection is about to be lost, as a rule; then this is for nothing.
        if (!last.ok()) return After(kRetryPause, again);
        reading_ = false;
        done(*last);
      });
}

// ---- What is there ------------------------------------------------------------------------------

void BucketWriter::OnConnected(const jetstream::LogInfo& info) {
  if (stage_ == Stage::kEnded) return;
  ++connection_;
  connected_ = true;
  if (info_.created_ns != 0 && info_.created_ns != info.created_ns) {
    return End(Refuse("the bucket was made anew while it was being filled"));
  }
  info_ = info;
  if (feed_ == nullptr) return ReadHead();
  CatchUp();
}

void BucketWriter::OnDisconnected(const absl::Status& /*why*/) {
  ++connection_;
  connected_ = false;
  in_flight_ = 0;
  broken_ = false;
  durable_ = StreamSeq{};
}

void BucketWriter::ReadHead() {
  head_ = Head{};
  Log::ReadOptions options;
  options.subjects = {jetstream::RestoreSubject(*codec_), codec_->TermSubject()};
  ReadFrom(
      options,
      [this](const Record& record) {
        const auto subject = codec_->Decode(record.subject);
        if (!subject.ok()) return;
        if (subject->kind == Kind::kOther && record.seq == StreamSeq(1)) {
          auto restore = jetstream::DecodeRestore(record.payload);
          if (restore.ok()) head_.restore = *std::move(restore);
        }
        auto term = jetstream::DecodeTerm(record.payload);
        if (subject->kind != Kind::kTerm || !term.ok() || term->voids.empty()) return;
        if (term->voids.front().first != StreamSeq(1)) return;
        head_.whole = *std::move(term);
        head_.whole_seq = record.seq;
      },
      &BucketWriter::ReadHead, [this](StreamSeq last) { JudgeHead(last); });
}

void BucketWriter::JudgeHead(StreamSeq last) {
  if (head_.whole.has_value() && head_.whole->member_name == WholeName()) {
    if (absl::Status same = JudgeWhole(last); !same.ok()) return End(std::move(same));
    result_.was_whole = true;
    result_.restore = *head_.restore;
    return End(absl::OkStatus());
  }
  const bool filling = head_.restore.has_value() && !head_.whole.has_value();
  if (filling && head_.restore->what != options_.restore.what) {
    return End(Refuse("bucket ", info_.bucket, " is being filled with ", head_.restore->what,
                      ", and not with ", options_.restore.what,
                      "; do that to its end, or remove the bucket"));
  }
  if (absl::Status same = filling ? CheckBump() : absl::OkStatus(); !same.ok()) {
    return End(std::move(same));
  }
  if (!filling && last > StreamSeq{}) {
    return End(MakeStatus(absl::StatusCode::kAlreadyExists, "bucket ", info_.bucket,
                          " is not empty: only a new one can be filled"));
  }
  result_.restore = filling ? *head_.restore : options_.restore;
  ReadExisting();
}

absl::Status BucketWriter::JudgeWhole(StreamSeq last) const {
  // Without its first record a jetd has removed that: what was void.
  if (last > head_.whole_seq || !head_.restore.has_value()) {
    return MakeStatus(absl::StatusCode::kAlreadyExists, "bucket ", info_.bucket,
                      " was filled with ", options_.restore.what,
                      " and has been written to since: nothing was done, and it was not compared");
  }
  return CheckBump();
}

absl::Status BucketWriter::CheckBump() const {
  const int64_t begun = head_.restore->bump;
  if (begun == 0 || begun == options_.restore.bump) return absl::OkStatus();
  return Refuse("bucket ", info_.bucket, " is filled with a bump of ", begun, ", and not of ",
                options_.restore.bump, "; give --bump=", begun, ", or another bucket");
}

void BucketWriter::ReadExisting() {
  prints_.clear();
  const auto missing = std::make_shared<bool>(false);
  ReadFrom(
      {},
      [this, missing](const Record& record) {
        *missing = *missing || record.seq != last().Next();
        prints_.push_back(FingerprintOf(record));
      },
      &BucketWriter::ReadExisting,
      [this, missing](StreamSeq last_there) {
        if (*missing || last_there != last()) {
          return End(Refuse("records are missing from bucket ", info_.bucket,
                            ", which is not whole yet; remove it and begin anew"));
        }
        AskRoom();
      });
}

void BucketWriter::AskRoom() {
  if (options_.expected_bytes == 0) return Begin();
  reading_ = true;
  log_->Room([this, connection = connection_, alive = std::weak_ptr<bool>(alive_)](
                 const absl::StatusOr<jetstream::RoomInfo>& room) {
    if (alive.expired() || connection != connection_ || stage_ == Stage::kEnded) return;
    reading_ = false;
    const uint64_t there = room.ok() ? room->state.bytes : 0;
    const uint64_t needed = options_.expected_bytes > there ? options_.expected_bytes - there : 0;
    if (room.ok() && room->free_bytes < needed) {
      return End(MakeError(Errc::kNoSpace, Cat("it takes about ", needed, " bytes, and ",
                                               room->bound, " leaves ", room->free_bytes)));
    }
    Begin();
  });
}

void BucketWriter::Begin() {
  found_ = result_.found = prints_.size();
  absl::StatusOr<BucketFeed*> feed = begin_(result_.restore);
  if (!feed.ok()) return End(feed.status());
  feed_ = *feed;
  stage_ = Stage::kFeeding;
  fed_ = 1;
  if (found_ > 0) {
    log_->RequestDurable(last());
    // The first record alone says nothing that could be another by now.
    anew_ = found_ > 1 && !feed_->compares();
    if (anew_) fed_ = found_;
  } else {
    Push(System(jetstream::RestoreSubject(*codec_), EncodeRestore(result_.restore), Revision(1),
                kDataTerm));
  }
  Pump();
}

// ---- What is to be there ------------------------------------------------------------------------

void BucketWriter::Pump() {
  if (!connected_ || reading_ || broken_ || stage_ == Stage::kEnded) return;
  // Nothing may be in the stream that could be taken for a store before it is safe that it is none.
  if (durable_ < StreamSeq(1)) return;
  while (stage_ == Stage::kFeeding) {
    if (!Feed()) return;
  }
  if (!sent_.empty() || durable_ < last()) return;
  if (stage_ == Stage::kFed) return ReadBack();
  if (stage_ == Stage::kSealing) End(absl::OkStatus());
}

// Takes one record of the feed. False: not now.
bool BucketWriter::Feed() {
  if (sent_.size() >= limits::kMaxInFlightRecords || sent_bytes_ >= limits::kMaxInFlightBytes) {
    return false;
  }
  if (std::exchange(anew_, false)) BeginAnew();
  PlannedRecord record;
  const StreamSeq seq(fed_ + 1);
  const absl::StatusOr<BucketFeed::More> more = feed_->Next(seq, &record);
  if (!more.ok()) {
    End(more.status());
    return false;
  }
  if (*more == BucketFeed::More::kLater) return false;
  if (*more == BucketFeed::More::kAnew) {
    BeginAnew();
    return true;
  }
  if (*more == BucketFeed::More::kEnd) {
    const Revision bumped = result_.restore.bumped;
    record = System(codec_->CompactSubject(),
                    jetstream::EncodeCompact({.revision = bumped, .bound = seq.Prev()}), bumped,
                    kDataTerm);
    stage_ = Stage::kFed;
  }
  if (absl::Status status = CheckSize(record); !status.ok()) {
    End(std::move(status));
    return false;
  }
  ++fed_;
  const bool there = seq.value() <= found_;
  const bool same = there && prints_[seq.value() - 1] == FingerprintOf(record.view());
  if ((there && !same) || (stage_ == Stage::kFed && fed_ < found_)) {
    End(Refuse("bucket ", info_.bucket, " holds at sequence ", seq.value(),
               " something else than what it is being filled with: its source has changed since; "
               "remove the bucket and begin anew"));
    return false;
  }
  if (!there) Push(std::move(record));
  return true;
}

void BucketWriter::BeginAnew() {
  JETD_CHECK(fed_ == prints_.size()) << "a feed that compares begins anew";
  void_to_ = StreamSeq(++fed_);
  Push(System(jetstream::RestoreSubject(*codec_), EncodeRestore(result_.restore), Revision(1),
              kDataTerm));
}

absl::Status BucketWriter::CheckSize(const PlannedRecord& record) const {
  const auto invalid = [&record](std::string_view what, size_t size, size_t most) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, what, " of ",
                      record.subject.substr(0, 200), " has ", size,
                      " bytes, and this NATS server takes ", most);
  };
  if (record.subject.size() > info_.max_subject_bytes) {
    return invalid("the key", record.subject.size(), info_.max_subject_bytes);
  }
  if (record.body().size() > info_.max_payload_bytes) {
    return invalid("the value", record.body().size(), info_.max_payload_bytes);
  }
  return absl::OkStatus();
}

void BucketWriter::Push(PlannedRecord record) {
  prints_.push_back(FingerprintOf(record.view()));
  const size_t bytes = record.size_bytes();
  sent_bytes_ += bytes;
  result_.bytes += bytes;
  sent_.push_back(std::move(record));
  ++in_flight_;
  log_->Append(last(), sent_.back().view());
}

void BucketWriter::Pop() {
  sent_bytes_ -= sent_.front().size_bytes();
  sent_.pop_front();
}

// ---- Answers ------------------------------------------------------------------------------------

void BucketWriter::OnAppended(StreamSeq seq) {
  if (stage_ == Stage::kEnded) return;
  JETD_CHECK(in_flight_ > 0) << "an answer to nothing, at " << seq;
  --in_flight_;
  if (broken_) {
    if (in_flight_ == 0) CatchUp();
    return;
  }
  JETD_CHECK(seq == confirmed().Next()) << seq << " behind " << confirmed();
  Pop();
  refusals_ = 0;
  if (options_.progress) options_.progress({confirmed().value(), result_.bytes - sent_bytes_});
  Pump();
}

void BucketWriter::OnRefused(StreamSeq /*seq*/, const absl::Status& why) {
  if (stage_ == Stage::kEnded) return;
  --in_flight_;
  if (!std::exchange(broken_, true)) refusal_ = why;
  if (in_flight_ > 0) return;
  if (GetErrc(refusal_) == Errc::kNoSpace || ++refusals_ > kMaxRefusals) return End(refusal_);
  After(kRetryPause, &BucketWriter::CatchUp);
}

void BucketWriter::OnDurable(StreamSeq seq) {
  durable_ = std::max(durable_, seq);
  Pump();
}

// Which of what was sent is there; the rest is sent again, the same to the same places.
void BucketWriter::CatchUp() {
  const auto foreign = std::make_shared<bool>(false);
  const auto next = std::make_shared<StreamSeq>(confirmed().Next());
  Log::ReadOptions options;
  options.from = *next;
  ReadFrom(
      options,
      [this, foreign, next](const Record& record) {
        // Once it is whole a jetd may have begun to write.
        if (stage_ == Stage::kSealing && record.seq > last()) return;
        const bool ours = record.seq == *next && record.seq <= last() &&
                          prints_[record.seq.value() - 1] == FingerprintOf(record);
        *foreign = *foreign || !ours;
        *next = record.seq.Next();
      },
      &BucketWriter::CatchUp,
      [this, foreign](StreamSeq last_there) { OnCaughtUp(last_there, *foreign); });
}

void BucketWriter::OnCaughtUp(StreamSeq last_there, bool foreign) {
  if (foreign) {
    return End(Refuse("somebody else writes to bucket ", info_.bucket,
                      " while it is being filled; ",
                      feed_->compares() ? "remove it and begin anew" : "run this again"));
  }
  if (last_there < confirmed()) {
    return End(Refuse("bucket ", info_.bucket, " went back from sequence ", confirmed().value(),
                      " to ", last_there.value(), " while it was being filled: run this again"));
  }
  while (!sent_.empty() && confirmed() < last_there) {
    Pop();
    refusals_ = 0;
  }
  broken_ = false;
  in_flight_ = sent_.size();
  if (confirmed() > StreamSeq{}) log_->RequestDurable(confirmed());
  StreamSeq seq = confirmed();
  for (const PlannedRecord& record : sent_) {
    seq = seq.Next();
    log_->Append(seq, record.view());
  }
  if (stage_ == Stage::kReadingBack) return ReadBack();
  Pump();
}

// ---- The end ------------------------------------------------------------------------------------

void BucketWriter::ReadBack() {
  stage_ = Stage::kReadingBack;
  feed_->BeginReadBack();
  const auto next = std::make_shared<StreamSeq>(1);
  const auto wrong = std::make_shared<StreamSeq>();
  ReadFrom(
      {},
      [this, next, wrong](const Record& record) {
        const bool right = record.seq == *next && record.seq <= last() &&
                           prints_[record.seq.value() - 1] == FingerprintOf(record);
        if (!right && *wrong == StreamSeq{}) *wrong = record.seq;
        *next = record.seq.Next();
        if (record.seq > void_to_) feed_->OnReadBack(record);
      },
      &BucketWriter::ReadBack,
      [this, next, wrong](StreamSeq last_there) {
        if (*wrong != StreamSeq{} || *next != last().Next() || last_there != last()) {
          return End(Refuse("bucket ", info_.bucket,
                            " does not hold what was written, from sequence ",
                            *wrong == StreamSeq{} ? next->value() : wrong->value(),
                            " on: it stays unusable; remove it"));
        }
        if (absl::Status verdict = feed_->EndReadBack(); !verdict.ok())
          return End(std::move(verdict));
        Seal();
      });
}

void BucketWriter::Seal() {
  jetstream::TermRecord whole;
  whole.term = kWholeTerm;
  whole.incarnation = result_.restore.id;
  whole.member_name = WholeName();
  whole.voids = {{StreamSeq(1), void_to_}};
  stage_ = Stage::kSealing;
  Push(System(codec_->TermSubject(), EncodeTerm(whole), result_.restore.bumped, kWholeTerm));
}

}  // namespace jetd::replication
