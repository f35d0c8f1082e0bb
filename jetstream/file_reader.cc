// SPDX-License-Identifier: Apache-2.0
#include "jetstream/file_reader.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "jetstream/long_subject.h"

namespace jetd::jetstream {
namespace {

// Records that are handed out without a look at what else there is to do: about a millisecond.
constexpr size_t kSlice = 256;

bool Same(const StreamState& a, const StreamState& b) {
  return a.first == b.first && a.last == b.last && a.messages == b.messages && a.bytes == b.bytes;
}

}  // namespace

bool FileReader::Can(const Log::ReadOptions& options) {
  return !options.follow &&
         std::all_of(options.subjects.begin(), options.subjects.end(), [](const auto& subject) {
           return subject.find_first_of("*>") == std::string::npos;
         });
}

FileReader::FileReader(Source source, Shared* shared, const Log::ReadOptions& options,
                       Log::RecordFn on_record, Log::ReadDoneFn done, OtherwiseFn otherwise)
    : source_(std::move(source)),
      shared_(shared),
      on_record_(std::move(on_record)),
      done_(std::move(done)),
      otherwise_(std::move(otherwise)),
      self_(std::make_shared<FileReader*>(this)),
      next_(std::max(options.from, StreamSeq(1))) {
  JETD_CHECK(Can(options)) << "wildcards, or to be followed";
  const std::string prefix = Cat("$KV.", source_.stream.bucket, ".");
  wish_.from = next_;
  wish_.headers_only = options.headers_only;
  for (const std::string& subject : options.subjects) {
    wish_.subjects.push_back(IsLongSubject(subject) ? ShortSubjectOf(prefix, subject) : subject);
  }
}

FileReader::~FileReader() { Stop(); }

void FileReader::Stop() {
  stop_.store(true, std::memory_order_relaxed);
  if (early_ != nullptr) early_->Stop();
}

void FileReader::Start() {
  AskStream(
      source_.api, source_.stream,
      [weak = std::weak_ptr(self_)](const absl::StatusOr<StreamFacts>& facts) {
        const auto self = weak.lock();
        if (self == nullptr || (*self)->finished()) return;
        if (!facts.ok()) return (*self)->Finish(facts.status());
        (*self)->OnFacts(*facts);
      },
      source_.few_deletes ? Deleted::kNamed : Deleted::kCounted);
}

void FileReader::OnFacts(const StreamFacts& facts) {
  target_ = facts.state.last;
  if (next_ > target_) return Finish(target_);
  const uint64_t range = target_.value() - next_.value() + 1;
  if (shared_->doubted || std::min(range, facts.state.messages) < source_.min_records) {
    return LeaveRest();
  }
  const StreamSurvey* const known = shared_->survey.get();
  if (known != nullptr && Same(known->state, facts.state)) return OnSurvey(shared_->survey);
  StreamClaim claim{.state = facts.state, .deleted = std::nullopt};
  if (source_.few_deletes) claim.deleted = facts.deleted;
  StreamPlace place{.folder = source_.folder,
                    .stream = StreamName(source_.stream),
                    .prefix = Cat("$KV.", source_.stream.bucket, ".")};
  early_ = std::exchange(shared_->early, nullptr);
  Away([this, place = std::move(place), claim = std::move(claim),
        early = early_.get()] { return SurveyStream(place, claim, early, stop_); },
       [](FileReader* self, SurveyOr survey) { self->OnSurvey(std::move(survey)); });
}

template <typename Work, typename Then>
void FileReader::Away(Work work, Then then) {
  if (!helper_.has_value()) helper_.emplace("read ahead");
  helper_->Run([loop = source_.loop, weak = std::weak_ptr(self_), work = std::move(work),
                then = std::move(then)]() mutable {
    auto result = std::make_shared<decltype(work())>(work());
    loop->Post([weak, then = std::move(then), result]() mutable {
      const auto self = weak.lock();
      if (self != nullptr && !(*self)->finished()) then(*self, std::move(*result));
    });
  });
}

void FileReader::OnSurvey(SurveyOr survey) {
  early_.reset();
  if (!survey.ok()) return Doubt(survey.status());
  survey_ = shared_->survey = *std::move(survey);
  for (size_t i = 0; i < survey_->blocks.size(); ++i) {
    if (survey_->MayHold(i, wish_)) blocks_.push_back(i);
  }
  HandOut();
}

void FileReader::LoadAhead() {
  while (asked_ < blocks_.size() && asked_ < handed_out_ + kBlocksAhead + 1) {
    std::unique_ptr<Loaded> into = std::make_unique<Loaded>();
    if (!spare_.empty()) {
      into = std::move(spare_.back());
      spare_.pop_back();
    }
    into->block = blocks_[asked_++];
    // A function is copied, so that what it carries is shared.
    Away(
        [survey = survey_, wish = wish_,
         into = std::make_shared<std::unique_ptr<Loaded>>(std::move(into))] {
          Loaded& loaded = **into;
          loaded.status = LoadBlock(*survey, loaded.block, wish, &loaded.content);
          return std::move(*into);
        },
        [](FileReader* self, std::unique_ptr<Loaded> loaded) {
          self->OnLoaded(std::move(loaded));
        });
  }
}

void FileReader::OnLoaded(std::unique_ptr<Loaded> loaded) {
  loaded_.push_back(std::move(loaded));
  if (!handing_out_) HandOut();
}

// Hands out a slice, and sees to it that the next one comes.
void FileReader::HandOut() {
  handing_out_ = false;
  LoadAhead();
  if (loaded_.empty()) {
    if (handed_out_ < blocks_.size()) return;
    ++shared_->passes;
    if (wish_.subjects.empty()) shared_->survey.reset();
    return Finish(target_);
  }
  Loaded& loaded = *loaded_.front();
  if (!loaded.status.ok()) return Doubt(loaded.status);
  const std::vector<Record>& records = loaded.content.records;
  const std::weak_ptr<FileReader*> weak(self_);
  for (size_t left = kSlice; left > 0 && at_ < records.size(); --left) {
    const Record& record = records[at_++];
    next_ = record.seq.Next();
    on_record_(record);
    if (weak.expired() || finished()) return;
  }
  if (at_ == records.size()) {
    at_ = 0;
    ++handed_out_;
    spare_.push_back(std::move(loaded_.front()));
    loaded_.pop_front();
  }
  handing_out_ = true;
  source_.loop->Post([weak] {
    const auto self = weak.lock();
    if (self != nullptr && !(*self)->finished()) (*self)->HandOut();
  });
}

void FileReader::Doubt(const absl::Status& why) {
  if (!shared_->doubted) {
    log::Warn(
        "nats-server's files are not what was expected, so that the stream is read through "
        "nats-server from sequence {} on: {}",
        next_.value(), MessageOf(why));
  }
  shared_->doubted = true;
  LeaveRest();
}

void FileReader::LeaveRest() {
  const Log::ReadDoneFn done = std::exchange(done_, nullptr);
  Stop();
  otherwise_(next_, std::move(on_record_), done);
}

void FileReader::Drop() {
  done_ = nullptr;
  Stop();
}

void FileReader::Finish(const absl::StatusOr<StreamSeq>& result) {
  if (finished()) return;
  Stop();
  const Log::ReadDoneFn done = std::exchange(done_, nullptr);
  done(result);
}

}  // namespace jetd::jetstream
