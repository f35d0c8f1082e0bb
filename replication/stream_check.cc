// SPDX-License-Identifier: Apache-2.0
#include "replication/stream_check.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "replication/index_check.h"

namespace jetd::replication {

using jetstream::Log;
using jetstream::Record;

namespace {

constexpr uint64_t kProgressEvery = 4'096;

}  // namespace

StreamCheck::StreamCheck(Log* log, const jetstream::SubjectCodec* codec, Options options)
    : log_(log), codec_(codec), options_(std::move(options)) {}

void StreamCheck::Run(DoneFn done) {
  done_ = std::move(done);
  Start();
}

void StreamCheck::End(absl::StatusOr<CheckReport> report) {
  std::exchange(done_, nullptr)(std::move(report));
}

Log::ReadOptions StreamCheck::ControlRecords() const {
  Log::ReadOptions control;
  control.subjects = {codec_->TermSubject(), codec_->CompactSubject(), codec_->LiveSubject()};
  return control;
}

void StreamCheck::Start() {
  if (attempt_++ == options_.attempts) {
    End(MakeError(Errc::kUnavailable,
                  Cat("the stream was compacted each of ", options_.attempts,
                      " times while it was read; try again at a quieter time")));
    return;
  }
  checker_ = std::make_unique<StreamChecker>(codec_, log_->exclusive());
  log_->State([this](const absl::StatusOr<jetstream::StreamState>& state) {
    if (!state.ok()) return End(state.status());
    of_ = state->messages;
    log_->Read(
        ControlRecords(), [this](const Record& record) { checker_->OnControl(record); },
        [this](const absl::StatusOr<StreamSeq>& last) {
          if (!last.ok()) return End(last.status());
          if (!checker_->refused().ok()) return End(checker_->refused());
          ReadAll();
        });
  });
}

void StreamCheck::ReadAll() {
  log_->Read(
      {},
      [this](const Record& record) {
        checker_->OnRecord(record);
        const uint64_t records = checker_->report().records;
        if (options_.progress && records % kProgressEvery == 0) options_.progress(records, of_);
      },
      [this](const absl::StatusOr<StreamSeq>& last) {
        if (!last.ok()) return End(last.status());
        last_ = *last;
        if (options_.progress) options_.progress(checker_->report().records, of_);
        ReadLater();
      });
}

void StreamCheck::ReadLater() {
  log_->Read(
      ControlRecords(), [this](const Record& record) { checker_->OnLater(record); },
      [this](const absl::StatusOr<StreamSeq>& last) {
        if (!last.ok()) return End(last.status());
        Judge();
      });
}

void StreamCheck::Judge() {
  if (!checker_->refused().ok()) return End(checker_->refused());
  if (checker_->outdated()) return Start();
  checker_->Finish(last_);
  if (checker_->report().damages() > 0) {
    checker_->report().notices.emplace_back("no store was built from a damaged stream");
    return End(std::move(checker_->report()));
  }
  if (options_.store == nullptr) return End(std::move(checker_->report()));
  Replay();
}

void StreamCheck::Replay() {
  options_.store->Clear();
  replay_ = std::make_unique<revision::Replay>(log_, codec_, options_.store);
  replay_->Run(
      [this](absl::StatusOr<revision::Replay::Result> result) { OnReplayed(std::move(result)); });
}

void StreamCheck::OnReplayed(absl::StatusOr<revision::Replay::Result> result) {
  CheckReport& report = checker_->report();
  if (!result.ok()) {
    if (GetErrc(result.status()) != Errc::kCorrupt) return End(result.status());
    report.Add({.damage = Damage::kIndex,
                .what = Cat("a start of jetd would refuse it: ", MessageOf(result.status()))});
    return End(std::move(report));
  }
  // A leader that runs has compacted what is to be compared.
  if (options_.store->compacted() > report.revision) return Start();
  replayed_ = result->records;
  CompareWithStore(*checker_, result->last == report.last ? Leases::kSame : Leases::kLater,
                   *options_.store, &report);
  std::error_code ignored;
  if (options_.checkpoint_store != nullptr && report.damages() == 0 &&
      std::filesystem::exists(options_.checkpoint_path, ignored)) {
    ReplayCheckpoint();
  } else {
    End(std::move(report));
  }
}

void StreamCheck::ReplayCheckpoint() {
  replay_ = std::make_unique<revision::Replay>(log_, codec_, options_.checkpoint_store);
  replay_->set_checkpoint(options_.checkpoint_path, options_.info);
  replay_->Run([this](absl::StatusOr<revision::Replay::Result> result) {
    OnCheckpointReplayed(std::move(result));
  });
}

void StreamCheck::OnCheckpointReplayed(absl::StatusOr<revision::Replay::Result> result) {
  CheckReport& report = checker_->report();
  if (!result.ok()) return End(result.status());
  if (result->records >= replayed_) {
    report.notices.emplace_back(
        "the checkpoint in values/ does not fit the stream: the next start reads the stream");
  } else {
    CompareStores(*options_.store, *options_.checkpoint_store, &report);
  }
  End(std::move(report));
}

}  // namespace jetd::replication
