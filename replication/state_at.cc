// SPDX-License-Identifier: Apache-2.0
#include "replication/state_at.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "base/error.h"
#include "base/strings.h"
#include "replication/log_session.h"
#include "replication/state_fold.h"
#include "revision/crc32c.h"

namespace jetd::replication {
namespace {

constexpr uint64_t kProgressEvery = 1'024;

using Result = absl::StatusOr<TransactionReader::Result>;

// Damage is no error of the reading: all in front of it is there.
bool IsDamage(const absl::Status& status) { return GetErrc(status) == Errc::kCorrupt; }

using WorkFn = std::function<void(StateReader* reader, std::function<void(absl::Status)> done)>;

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
                  [&](jetstream::Log* log, const jetstream::LogInfo& /*info*/, auto done) {
                    reader = std::make_unique<StateReader>(log, &codec, options);
                    work(reader.get(), std::move(done));
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
  const bool changes = std::any_of(points_.begin(), points_.end(), [](const Point& point) {
    return point.kind == Point::Kind::kBeforeChange;
  });
  if (changes) {
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

// Turns kBeforeChange into kRevision.
void StateReader::FindChanges() {
  auto newest = std::make_shared<absl::flat_hash_map<std::string, Revision>>();
  for (const Point& point : points_) {
    if (point.kind == Point::Kind::kBeforeChange) newest->try_emplace(point.key);
  }
  Pass(
      [newest](const StreamTransaction& transaction) {
        if (!transaction.counts) return;
        for (const StreamTransaction::Op& op : transaction.ops) {
          const auto found = newest->find(op.key);
          if (found != newest->end()) found->second = transaction.revision;
        }
      },
      [this, newest](const Result& result) {
        if (!result.ok() && !IsDamage(result.status())) {
          return std::exchange(done_, nullptr)(result.status());
        }
        for (Point& point : points_) {
          if (point.kind != Point::Kind::kBeforeChange) continue;
          const Revision change = newest->at(point.key);
          if (change == Revision{}) {
            return std::exchange(done_, nullptr)(MakeStatus(
                absl::StatusCode::kNotFound, "the stream knows of no change of ", point.key));
          }
          point.kind = Point::Kind::kRevision;
          point.revision = change.Prev();
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
  const absl::Status status = RunReader(source, options, [&](StateReader* reader, auto done) {
    reader->Run(points, absl::GetCurrentTimeNanos(),
                [&states, done = std::move(done)](absl::StatusOr<std::vector<State>> read) {
                  if (read.ok()) states = *std::move(read);
                  done(read.status());
                });
  });
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
  const absl::Status status = RunReader(source, options, [&](StateReader* reader, auto done) {
    reader->RunPoints([&points, done = std::move(done)](absl::StatusOr<Points> read) {
      if (read.ok()) points = *std::move(read);
      done(read.status());
    });
  });
  if (!status.ok()) return status;
  return points;
}

}  // namespace jetd::replication
