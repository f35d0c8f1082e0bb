// SPDX-License-Identifier: Apache-2.0
#include "replication/state_at.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/error.h"
#include "base/stable_id.h"
#include "base/strings.h"
#include "replication/change_finder.h"
#include "replication/log_session.h"
#include "replication/state_fold.h"
#include "revision/crc32c.h"

namespace jetd::replication {
namespace {

constexpr uint64_t kProgressEvery = 1'024;

using Result = absl::StatusOr<TransactionReader::Result>;

// Damage is no error of the reading: all in front of it is there.
bool IsDamage(const absl::Status& status) { return GetErrc(status) == Errc::kCorrupt; }

// `cluster_id` as State has it.
using WorkFn = std::function<void(StateReader* reader, uint64_t cluster_id,
                                  std::function<void(absl::Status)> done)>;

absl::Status RunReader(const StreamSource& source, const StateOptions& options,
                       const WorkFn& work) {
  const auto open = OpenSource::Open(source);
  if (!open.ok()) return open.status();
  const jetstream::SubjectCodec codec(source.bucket);
  std::unique_ptr<StateReader> reader;
  return RunOnLog((*open)->LogOptions(),
                  {.connect = source.connect_patience,
                   .end = source.patience,
                   .interrupted = source.interrupted},
                  [&](jetstream::NatsLog* log, const jetstream::LogInfo& info, auto done) {
                    reader = std::make_unique<StateReader>(log, &codec, options);
                    const int64_t created_ns = log->origin_created_ns();
                    work(reader.get(), created_ns == 0 ? 0 : ClusterIdOf(info.bucket, created_ns),
                         std::move(done));
                  });
}

}  // namespace

uint32_t DigestOf(const State& state) {
  uint32_t crc = 0;
  for (const auto& [key, value] : state.keys) {
    crc = revision::ExtendCrc32c(crc, Cat(key.size(), " ", key, " ", value.create_revision.value(),
                                          " ", value.mod_revision.value(), " ", value.version, " ",
                                          value.lease.value(), " ", value.value.size(), " "));
    crc = revision::ExtendCrc32c(crc, value.value);
  }
  return crc;
}

StateReader::StateReader(jetstream::Log* log, const jetstream::SubjectCodec* codec,
                         StateOptions options)
    : log_(log), codec_(codec), options_(std::move(options)) {}

StateReader::~StateReader() = default;

void StateReader::Run(std::vector<Point> points, int64_t now_ns, StatesFn done) {
  points_ = std::move(points);
  now_ns_ = now_ns;
  done_ = std::move(done);
  if (std::any_of(points_.begin(), points_.end(), ChangeFinder::Finds)) {
    FindChanges();
  } else {
    ReadAll();
  }
}

void StateReader::RunPoints(PointsFn done) {
  points_done_ = std::move(done);
  ReadAll();
}

void StateReader::Pass(TransactionReader::TransactionFn on_transaction, EndFn end,
                       std::function<void()> again) {
  last_reader_ = std::move(reader_);
  reader_ = std::make_unique<TransactionReader>(log_, codec_);
  reader_->Run(
      [this, on_transaction = std::move(on_transaction),
       seen = uint64_t{0}](StreamTransaction transaction) mutable {
        on_transaction(std::move(transaction));
        if (options_.progress && ++seen % kProgressEvery == 0) {
          options_.progress(reader_->records());
        }
      },
      [this, end = std::move(end), again = std::move(again)](Result result) {
        // Compacted while it was read.
        const bool outdated = GetErrc(result.status()) == Errc::kUnavailable;
        if (outdated && ++passes_ < options_.attempts) return again();
        end(std::move(result));
      });
}

// Turns points that name a key into kRevision.
void StateReader::FindChanges() {
  const auto finder = std::make_shared<ChangeFinder>(points_);
  Pass([finder](const StreamTransaction& transaction) { finder->Add(transaction); },
       [this, finder](const Result& result) {
         if (!result.ok() && !IsDamage(result.status())) {
           return std::exchange(done_, nullptr)(result.status());
         }
         if (absl::Status found = finder->Resolve(&points_); !found.ok()) {
           return std::exchange(done_, nullptr)(std::move(found));
         }
         ReadAll();
       },
       [this] { FindChanges(); });
}

void StateReader::ReadAll() {
  fold_ = std::make_unique<StateFold>(points_, &options_);
  Pass(
      [this](StreamTransaction transaction) {
        fold_->Add(std::move(transaction), reader_->compacted());
      },
      [this](const Result& result) {
        const bool read = result.ok() || IsDamage(result.status());
        if (points_done_) {
          const PointsFn done = std::exchange(points_done_, nullptr);
          if (!read) return done(result.status());
          return done(fold_->FinishPoints(result));
        }
        const StatesFn done = std::exchange(done_, nullptr);
        if (!read) return done(result.status());
        done(fold_->Finish(result, now_ns_));
      },
      [this] { ReadAll(); });
}

absl::StatusOr<std::vector<State>> ReadStates(const StreamSource& source,
                                              const std::vector<Point>& points,
                                              const StateOptions& options) {
  std::vector<State> states;
  const auto work = [&](StateReader* reader, uint64_t cluster_id, auto done) {
    reader->Run(points, absl::GetCurrentTimeNanos(),
                [&states, cluster_id, done](absl::StatusOr<std::vector<State>> read) {
                  if (read.ok()) states = *std::move(read);
                  for (State& state : states) state.cluster_id = cluster_id;
                  done(read.status());
                });
  };
  const absl::Status status = RunReader(source, options, work);
  if (!status.ok()) return status;
  return states;
}

absl::StatusOr<State> ReadState(const StreamSource& source, const Point& point,
                                const StateOptions& options) {
  absl::StatusOr<std::vector<State>> states = ReadStates(source, {point}, options);
  if (!states.ok()) return states.status();
  return std::move(states->front());
}

absl::StatusOr<Points> ReadPoints(const StreamSource& source, const StateOptions& options) {
  Points points;
  const auto work = [&](StateReader* reader, uint64_t /*cluster_id*/, auto done) {
    reader->RunPoints([&points, done](absl::StatusOr<Points> read) {
      if (read.ok()) points = *std::move(read);
      done(read.status());
    });
  };
  const absl::Status status = RunReader(source, options, work);
  if (!status.ok()) return status;
  return points;
}

}  // namespace jetd::replication
