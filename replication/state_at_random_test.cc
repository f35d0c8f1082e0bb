// SPDX-License-Identifier: Apache-2.0
//
// States of streams that whole members wrote, through lost connections, kills, other writers and
// compactions, compared with a naive reading of all that ever was in the stream: whatever is given
// is what was there. A mirror, which sees no deletion, gives everything.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "jetstream/silent_observer.h"
#include "replication/random_life.h"
#include "replication/state_at.h"

namespace jetd::replication {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using SubjectKind = jetstream::SubjectCodec::Kind;

// What was there at each revision, from all records that ever were. Its own reading of the rules:
// what a term record voids never was, from a record that is not ours to the next term record
// nothing was, a transaction counts when its last record is there.
class Naive {
 public:
  struct Moment {
    std::map<std::string, StateKey, std::less<>> keys;
    std::map<LeaseId, int64_t> leases;
  };

  explicit Naive(const MemoryStream& all) {
    ReadVoids(all);
    for (const auto& [seq, record] : all.records()) Add(*record);
  }
  [[nodiscard]] const Moment& at(Revision revision) const { return moments_.at(revision); }
  [[nodiscard]] Revision newest() const { return moments_.rbegin()->first; }
  // The changes of a key, by the sequence from which on they count.
  [[nodiscard]] const std::map<StreamSeq, Revision>& changes(const std::string& key) {
    return changes_[key];
  }

 private:
  struct One {
    jetstream::RecordHeader header;
    jetstream::SubjectCodec::Decoded subject;
    const MemoryStream::Stored* record;
  };

  void ReadVoids(const MemoryStream& all) {
    for (const auto& [seq, record] : all.records()) {
      if (record->subject != codec_.TermSubject()) continue;
      const auto term = jetstream::DecodeTerm(record->payload);
      if (!term.ok() || record->header.empty()) continue;
      voids_.insert(voids_.end(), term->voids.begin(), term->voids.end());
    }
  }
  void Add(const MemoryStream::Stored& record) {
    for (const jetstream::SeqRange& range : voids_) {
      if (range.first <= record.seq && record.seq <= range.last) return;
    }
    const auto header = jetstream::DecodeHeader(record.header);
    const auto subject = codec_.Decode(record.subject);
    if (!header.ok() || !subject.ok() || header->term < term_) {
      foreign_ = true;
      return;
    }
    term_ = header->term;
    if (subject->kind == SubjectKind::kTerm) {
      foreign_ = false;
      group_.clear();
    }
    const bool changes = subject->kind == SubjectKind::kKey || subject->kind == SubjectKind::kLease;
    if (foreign_ || !changes) return;
    group_.push_back({*header, *subject, &record});
    if (header->index < header->count) return;
    Moment next = moments_.rbegin()->second;
    for (const One& one : std::exchange(group_, {})) {
      Apply(one, &next);
      if (one.subject.kind == SubjectKind::kKey) {
        changes_[one.subject.key][record.seq] = header->revision;
      }
    }
    moments_[header->revision] = std::move(next);
  }
  static void Apply(const One& one, Moment* next) {
    if (one.subject.kind == SubjectKind::kLease) {
      if (one.record->is_delete) {
        next->leases.erase(one.subject.lease);
      } else {
        next->leases[one.subject.lease] = jetstream::DecodeLease(one.record->payload)->ttl_s;
      }
    } else if (one.record->is_delete) {
      next->keys.erase(one.subject.key);
    } else {
      next->keys[one.subject.key] = {.value = one.record->payload,
                                     .create_revision = one.header.create_revision,
                                     .mod_revision = one.header.revision,
                                     .version = one.header.version,
                                     .lease = one.header.lease};
    }
  }

  const jetstream::SubjectCodec codec_{"B"};
  std::vector<jetstream::SeqRange> voids_;
  Term term_;
  bool foreign_ = false;
  std::vector<One> group_;
  std::map<Revision, Moment> moments_{{Revision(1), {}}};
  std::map<std::string, std::map<StreamSeq, Revision>> changes_;
};

// A reading of a stream, which takes its time.
class Reading {
 public:
  Reading(FakeExecutor* exec, MemoryStream* stream, size_t batch = 64)
      : exec_(exec), codec_(stream->bucket()), log_(exec, stream, Options(batch)) {
    log_.Open(&observer_, [](const absl::Status&) {});
    exec_->RunDeferred();
  }
  ~Reading() {
    log_.Close();
    exec_->RunDeferred();
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  void Start(std::vector<Point> points) {
    reader_.emplace(&log_, &codec_, StateOptions{});
    states_.reset();
    reader_->Run(std::move(points), INT64_MAX, [this](absl::StatusOr<std::vector<State>> states) {
      states_ = std::move(states);
    });
  }
  absl::StatusOr<std::vector<State>> Wait() {
    exec_->Advance(std::chrono::seconds(1));
    if (!states_.has_value()) return absl::InternalError("it did not end");
    return *std::move(states_);
  }
  absl::StatusOr<std::vector<State>> States(std::vector<Point> points) {
    Start(std::move(points));
    return Wait();
  }
  absl::StatusOr<Points> ReadPoints() {
    reader_.emplace(&log_, &codec_, StateOptions{});
    std::optional<absl::StatusOr<Points>> points;
    reader_->RunPoints([&points](absl::StatusOr<Points> read) { points = std::move(read); });
    exec_->Advance(std::chrono::seconds(1));
    if (!points.has_value()) return absl::InternalError("it did not end");
    return *std::move(points);
  }

 private:
  static MemoryLog::Options Options(size_t batch) {
    MemoryLog::Options options;
    options.read_batch = batch;
    options.faults.api_delay = [] { return std::chrono::microseconds(1); };
    return options;
  }

  FakeExecutor* const exec_;
  const jetstream::SubjectCodec codec_;
  MemoryLog log_;
  jetstream::SilentObserver observer_;
  std::optional<StateReader> reader_;
  std::optional<absl::StatusOr<std::vector<State>>> states_;
};

Point AtRevision(Revision revision) {
  return {.kind = Point::Kind::kRevision, .revision = revision};
}

// A life, and everything that ever was in its stream.
class Mirrored {
 public:
  explicit Mirrored(uint64_t seed) : life_(seed, Server::kOutside) {
    life_.stream()->AddListener([this](const MemoryStream::Stored& record, const void*) {
      (void)mirror_.AppendForeign({.subject = record.subject,
                                   .header = record.header,
                                   .is_delete = record.is_delete,
                                   .payload = record.payload});
    });
  }
  Life& life() { return life_; }
  MemoryStream* mirror() { return &mirror_; }

 private:
  MemoryStream mirror_;
  Life life_;
};

void ExpectSame(const State& state, const Naive& naive) {
  const Naive::Moment& moment = naive.at(state.revision);
  EXPECT_EQ(state.keys, moment.keys) << "at " << state.revision;
  // To the newest revision leases may have come since.
  if (state.all_leases && state.revision < state.points.current) {
    EXPECT_EQ(state.leases, moment.leases) << "at " << state.revision;
  }
}

std::vector<Point> AllUpTo(Revision newest) {
  std::vector<Point> points;
  for (Revision at(1); at <= newest; at = at.Next()) points.push_back(AtRevision(at));
  return points;
}

TEST(StateAtRandomTest, AMirrorGivesEverything) {
  log::Init({.level = log::Level::kError});
  size_t given = 0, compacted = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(Cat("seed ", seed));
    Mirrored run(seed);
    run.life().Run(200);
    run.life().End();
    const Naive naive(*run.mirror());
    Reading reading(run.life().exec(), run.mirror());
    const auto states = reading.States(AllUpTo(naive.newest()));
    ASSERT_TRUE(states.ok()) << states.status();
    for (const State& state : *states) {
      ExpectSame(state, naive);
      EXPECT_TRUE(state.all_leases || state.points.compacted > state.revision);
      EXPECT_TRUE(state.points.gaps.empty());
      compacted += state.revision < state.points.compacted ? 1 : 0;
      ++given;
    }
    EXPECT_EQ(states->back().points.current, naive.newest());
  }
  std::printf("%zu revisions, %zu of them compacted\n", given, compacted);
  EXPECT_GT(compacted, 500U);
}

TEST(StateAtRandomTest, AnOriginGivesWhatWasThere) {
  log::Init({.level = log::Level::kError});
  size_t given = 0, below = 0, refused = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(Cat("seed ", seed));
    Mirrored run(seed);
    run.life().Run(200);
    run.life().End();
    const Naive naive(*run.mirror());
    Reading reading(run.life().exec(), run.life().stream());
    const auto points = reading.ReadPoints();
    ASSERT_TRUE(points.ok()) << points.status();
    ASSERT_EQ(points->current, naive.newest());
    std::vector<Point> there;
    for (const Point& point : AllUpTo(naive.newest())) {
      const absl::Status status = points->Restorable(point.revision);
      if (status.ok()) {
        there.push_back(point);
        continue;
      }
      ++refused;
      ASSERT_LT(point.revision, points->compacted) << status;
      EXPECT_EQ(reading.States({point}).status(), status);
    }
    const auto states = reading.States(there);
    ASSERT_TRUE(states.ok()) << states.status();
    for (const State& state : *states) {
      ExpectSame(state, naive);
      below += state.revision < points->compacted ? 1 : 0;
      ++given;
    }
  }
  std::printf("%zu revisions given, %zu of them compacted, %zu refused\n", given, below, refused);
  EXPECT_GT(below, 10U);
  EXPECT_GT(refused, 500U);
}

// A state from before the newest change of a key, and what the stream had when that was asked for.
struct BeforeChange {
  std::string key;
  StreamSeq asked;
  State state;
};

// Of the changes of the key one that the reading may have taken for the newest: none that was there
// when it began lies behind it, and it lies in what was read.
void ExpectBeforeChange(const BeforeChange& given, Naive* naive) {
  const Revision change = given.state.revision.Next();
  bool is_one = false;
  for (const auto& [seq, revision] : naive->changes(given.key)) {
    is_one = is_one || revision == change;
    if (seq > given.asked) continue;
    EXPECT_GE(change, revision) << given.key << " at " << seq;
  }
  EXPECT_TRUE(is_one) << given.key << " did not change at " << change;
  EXPECT_LE(change, given.state.points.current);
}

// While members write, compact and remove.
TEST(StateAtRandomTest, WhileItIsWrittenAndCompacted) {
  log::Init({.level = log::Level::kError});
  size_t given = 0, outdated = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(Cat("seed ", seed));
    Mirrored run(seed);
    run.life().Start();
    run.life().Steps(80);
    std::vector<State> all;
    std::vector<BeforeChange> before;
    for (int round = 0; round < 6; ++round) {
      Reading reading(run.life().exec(), run.life().stream(), /*batch=*/1);
      const std::string key = Cat("k", round);
      reading.Start({Point{}, {.kind = Point::Kind::kBeforeChange, .key = key}});
      const StreamSeq asked = run.mirror()->last();
      run.life().Steps(25);
      auto states = reading.Wait();
      if (!states.ok()) {
        // No such change, or all of it gone; or never the same stream from end to end.
        EXPECT_TRUE(absl::IsNotFound(states.status()) ||
                    absl::IsFailedPrecondition(states.status()) ||
                    GetErrc(states.status()) == Errc::kUnavailable)
            << states.status();
        outdated += GetErrc(states.status()) == Errc::kUnavailable ? 1 : 0;
        continue;
      }
      before.push_back({key, asked, states->back()});
      std::move(states->begin(), states->end(), std::back_inserter(all));
    }
    run.life().ComeToRest();
    run.life().End();
    Naive naive(*run.mirror());
    for (const State& state : all) {
      ExpectSame(state, naive);
      ++given;
    }
    for (const BeforeChange& one : before) ExpectBeforeChange(one, &naive);
  }
  std::printf("%zu states given, %zu readings were overtaken\n", given, outdated);
  EXPECT_GT(given, 300U);
}

}  // namespace
}  // namespace jetd::replication
