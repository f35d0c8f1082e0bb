// SPDX-License-Identifier: Apache-2.0
//
// BucketWriter on a log in memory: what it leaves, wherever it is cut short, and whatever goes
// wrong on the way.
#include "replication/bucket_writer.h"

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/fake_executor.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "jetstream/silent_observer.h"
#include "replication/bucket_restore.h"
#include "replication/bucket_state.h"
#include "replication/check_harness.h"
#include "replication/fixture.h"
#include "replication/state_feed.h"
#include "revision/replay.h"
#include "revision/store.h"

namespace jetd::replication {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using revision::KvBlock;
using revision::KvRef;
using revision::Store;
using Leg = MemoryLog::Leg;

constexpr int64_t kBump = 1'000;

// Keys with numbers as a long life leaves them.
BucketState SomeState(uint64_t seed, int keys) {
  std::mt19937_64 random(seed);
  const auto below = [&random](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  BucketState state;
  int64_t mod = 2;
  uint32_t sub = 0;
  for (int i = 0; i < keys; ++i) {
    if (below(3) == 0) {
      ++sub;
    } else {
      mod += 1 + below(5);
      sub = static_cast<uint32_t>(below(3));
    }
    const int64_t create = 2 + below(mod - 1);
    const int64_t version = create == mod ? 1 : 2 + below(mod - create);
    const int64_t lease = below(4) == 0 ? 1 + below(3) : 0;
    state.keys.push_back(KvBlock::Make({.key = Cat("/registry/k=", below(1'000), "/", i),
                                        .value = std::string(static_cast<size_t>(below(200)), 'v'),
                                        .mod = {Revision(mod), sub},
                                        .create_revision = Revision(create),
                                        .version = version,
                                        .lease = LeaseId(lease)}));
  }
  state.leases = {{LeaseId(1), 60}, {LeaseId(2), 3'600}, {LeaseId(3), 5}, {LeaseId(-9), 7}};
  state.revision = Revision(mod);
  state.newest = Revision(mod + 17);
  const auto mends = Mend(&state);
  JETD_CHECK(mends.ok() && mends->renumbered == 0 && mends->detached == 0) << "a wrong test";
  return state;
}

// A store that lives on: what it gives first it takes back half way, and then gives a state.
class ChangingFeed final : public BucketFeed {
 public:
  ChangingFeed(const jetstream::SubjectCodec* codec, const BucketState* before, size_t taken_back,
               const BucketState* state)
      : before_(codec, before), taken_back_(taken_back), state_(codec, state) {}
  [[nodiscard]] bool compares() const override { return false; }
  [[nodiscard]] absl::StatusOr<More> Next(StreamSeq seq, revision::PlannedRecord* record) override {
    if (given_ < taken_back_) {
      ++given_;
      return before_.Next(seq, record);
    }
    if (given_++ == taken_back_) return More::kAnew;
    return state_.Next(seq, record);
  }
  void BeginReadBack() override { state_.BeginReadBack(); }
  void OnReadBack(const jetstream::Record& record) override { state_.OnReadBack(record); }
  [[nodiscard]] absl::Status EndReadBack() override { return state_.EndReadBack(); }

 private:
  StateFeed before_;
  const size_t taken_back_;
  size_t given_ = 0;
  StateFeed state_;
};

class BucketWriterTest : public testing::Test {
 protected:
  using Written = std::optional<absl::StatusOr<BucketWriter::Result>>;
  using Disturb = std::function<void(MemoryLog*)>;

  [[nodiscard]] jetstream::RestoreRecord RestoreOf(const BucketState& state) const {
    auto restore =
        NewRestore(NameOfState("bucket etcd", state), state.revision, state.newest, bump_);
    JETD_CHECK(restore.ok()) << restore.status();
    restore->id = "00112233445566778899aabbccddeeff";  // so that streams can be compared
    return *restore;
  }

  // As one process does it, until it ends by itself or after so many milliseconds. `disturb` is
  // called after the opening, and every millisecond.
  Written Write(const BucketState& state, const Disturb& disturb = {}, int milliseconds = 20'000,
                const MemoryLog::Options& log_options = {}, uint64_t expected_bytes = 0) {
    return WriteFeed(
        state, [&] { return std::make_unique<StateFeed>(&codec_, &state); }, disturb, milliseconds,
        log_options, expected_bytes);
  }
  Written WriteFeed(const BucketState& state,
                    const std::function<std::unique_ptr<BucketFeed>()>& make_feed,
                    const Disturb& disturb = {}, int milliseconds = 20'000,
                    const MemoryLog::Options& log_options = {}, uint64_t expected_bytes = 0) {
    MemoryLog log(&exec_, &stream_, log_options);
    std::unique_ptr<BucketFeed> feed;
    Written result;
    BucketWriter writer(
        &exec_, &log, &codec_, {.restore = RestoreOf(state), .expected_bytes = expected_bytes},
        [&](const jetstream::RestoreRecord& /*restore*/) -> absl::StatusOr<BucketFeed*> {
          feed = make_feed();
          return feed.get();
        },
        [&](absl::StatusOr<BucketWriter::Result> written) { result = std::move(written); });
    log.Open(&writer, [](const absl::Status& why) { JETD_CHECK(false) << why; });
    if (disturb) disturb(&log);
    for (int i = 0; i < milliseconds && !result.has_value(); ++i) {
      exec_.Advance(std::chrono::milliseconds(1));
      if (disturb) disturb(&log);
    }
    log.Close();
    exec_.RunDeferred();
    return result;
  }

  absl::Status Replayed(Store* store, Server server) {
    MemoryLog::Options options;
    options.exclusive = server == Server::kEmbedded;
    MemoryLog log(&exec_, &stream_, options);
    jetstream::SilentObserver observer;
    log.Open(&observer, [](const absl::Status&) {});
    exec_.RunDeferred();
    revision::Replay replay(&log, &codec_, store);
    absl::Status status = absl::UnknownError("it did not end");
    replay.Run(
        [&](const absl::StatusOr<revision::Replay::Result>& result) { status = result.status(); });
    exec_.Advance(std::chrono::seconds(1));
    log.Close();
    exec_.RunDeferred();
    return status;
  }

  // That a start of jetd finds just this state, and nothing before it.
  void ExpectWhole(const BucketState& state) {
    const Revision bumped(state.newest.value() + kBump);
    for (const Server server : {Server::kOutside, Server::kEmbedded}) {
      Store store;
      const absl::Status replayed = Replayed(&store, server);
      ASSERT_TRUE(replayed.ok()) << replayed;
      EXPECT_EQ(store.committed(), bumped);
      EXPECT_EQ(store.compacted(), bumped);
      EXPECT_EQ(store.stats().keys, state.keys.size());
      for (const KvRef& wanted : state.keys) {
        const KvRef kv = store.Get(wanted->key(), Store::View::kCommitted);
        ASSERT_TRUE(bool(kv)) << wanted->key();
        EXPECT_EQ(kv->encoded(), wanted->encoded()) << wanted->key();
        EXPECT_EQ(kv->mod(), wanted->mod());
      }
      ASSERT_EQ(store.lease_count(), state.leases.size());
      for (const Store::LeaseInfo& lease : state.leases) {
        EXPECT_EQ(store.FindLease(lease.id)->ttl_s, lease.ttl_s);
      }
      EXPECT_EQ(store.HashKv(Revision())->hash, HashOf(state));
      // A client of the old store has to list anew.
      const auto history = store.History(state.newest.Next(), 1, [](const revision::Change&) {});
      EXPECT_EQ(GetErrc(history.status()), Errc::kCompacted);
    }
    const auto report = CheckOf(&exec_, &stream_, Server::kOutside);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->damages(), 0U) << ToText(*report);
    EXPECT_EQ(report->notices.size(), 0U) << ToText(*report);
    EXPECT_EQ(report->hash, HashOf(state));
  }
  // That no jetd serves what is there.
  void ExpectRefused() {
    if (stream_.last() == StreamSeq{}) return;
    for (const Server server : {Server::kOutside, Server::kEmbedded}) {
      Store store;
      const absl::Status replayed = Replayed(&store, server);
      EXPECT_TRUE(absl::IsFailedPrecondition(replayed)) << replayed;
      EXPECT_NE(replayed.message().find("not whole"), std::string::npos) << replayed;
    }
    const auto report = CheckOf(&exec_, &stream_, Server::kOutside);
    EXPECT_TRUE(absl::IsFailedPrecondition(report.status())) << report.status();
  }

  int64_t bump_ = kBump;
  FakeExecutor exec_;
  MemoryStream stream_;
  const jetstream::SubjectCodec codec_{"B"};
};

TEST_F(BucketWriterTest, AnEmptyState) {
  BucketState empty;
  const Written written = Write(empty);
  ASSERT_TRUE(written.has_value() && written->ok()) << written->status();
  EXPECT_EQ((*written)->records, 3U);
  ExpectWhole(empty);
}

TEST_F(BucketWriterTest, AJetdGoesOnBehindTheBump) {
  const BucketState state = SomeState(1, 300);
  const Written written = Write(state);
  ASSERT_TRUE(written.has_value() && written->ok()) << written->status();
  EXPECT_EQ((*written)->records, state.keys.size() + state.leases.size() + 3);
  EXPECT_FALSE((*written)->was_whole);
  ExpectWhole(state);
  const ScratchFolder folder;
  FixtureMember member(&exec_, &stream_, "member", folder.path());
  EXPECT_EQ(HashOf(state), member.store().HashKv(Revision())->hash);
  member.Put("new", "value");
  EXPECT_EQ(member.store().committed(), Revision(state.newest.value() + kBump + 1));
  member.Revoke(2);
  for (const KvRef& kv : state.keys) {
    EXPECT_EQ(bool(member.store().Get(kv->key(), Store::View::kCommitted)),
              kv->lease() != LeaseId(2));
  }
}

// Killed when any number of its records were in the stream, and done again.
TEST_F(BucketWriterTest, CutShortAnywhereItIsRefusedAndGoesOn) {
  const BucketState state = SomeState(2, 25);
  ASSERT_TRUE(Write(state)->ok());
  const std::string whole = LinesOf(stream_);
  const size_t records = stream_.last().value();
  for (size_t there = 0; there < records; ++there) {
    stream_.Recreate(1'800'000'000'000'000'000 + static_cast<int64_t>(there));
    const Written cut = Write(
        state,
        [&, first = true](MemoryLog* log) mutable {
          if (!std::exchange(first, false)) return;
          log->Hold(Leg::kRequest);
          log->Pass(Leg::kRequest, there);
        },
        200);
    EXPECT_FALSE(cut.has_value());
    ASSERT_EQ(stream_.last(), StreamSeq(there));
    ExpectRefused();
    const Written again = Write(state);
    ASSERT_TRUE(again.has_value() && again->ok()) << again->status();
    EXPECT_EQ((*again)->found, there);
    ASSERT_EQ(LinesOf(stream_), whole) << there;
  }
  ExpectWhole(state);
}

// What counts lies behind what was taken back, and behind what was there when it was cut short.
TEST_F(BucketWriterTest, AStoreThatLivesOnIsWrittenAnew) {
  const BucketState before = SomeState(12, 25);
  const BucketState state = SomeState(13, 20);
  const auto make_feed = [&] {
    return std::make_unique<ChangingFeed>(&codec_, &before, 17, &state);
  };
  const Written at_once = WriteFeed(state, make_feed);
  ASSERT_TRUE(at_once.has_value() && at_once->ok()) << at_once->status();
  const size_t records = stream_.last().value();
  EXPECT_EQ(records, 1 + 17 + 1 + state.keys.size() + state.leases.size() + 2);
  ExpectWhole(state);
  for (size_t there = 0; there < records; ++there) {
    stream_.Recreate(1'800'000'000'000'000'000 + static_cast<int64_t>(there));
    const Written cut = WriteFeed(
        state, make_feed,
        [&, first = true](MemoryLog* log) mutable {
          if (!std::exchange(first, false)) return;
          log->Hold(Leg::kRequest);
          log->Pass(Leg::kRequest, there);
        },
        200);
    EXPECT_FALSE(cut.has_value());
    ASSERT_EQ(stream_.last(), StreamSeq(there));
    ExpectRefused();
    const Written again = WriteFeed(state, make_feed);
    ASSERT_TRUE(again.has_value() && again->ok()) << again->status();
    EXPECT_EQ((*again)->found, there);
    ExpectWhole(state);
  }
  // A jetd serves it, and removes what is void.
  const ScratchFolder folder;
  FixtureMember member(&exec_, &stream_, "member", folder.path());
  EXPECT_EQ(HashOf(state), member.store().HashKv(Revision())->hash);
  member.Put("later", "value");
  EXPECT_EQ(stream_.Find(StreamSeq(1)), nullptr);
  EXPECT_EQ(stream_.Find(StreamSeq(5)), nullptr);
}

TEST_F(BucketWriterTest, AWholeBucketIsLeftAlone) {
  const BucketState state = SomeState(3, 20);
  ASSERT_TRUE(Write(state)->ok());
  const std::string before = LinesOf(stream_);
  const Written again = Write(state);
  ASSERT_TRUE(again.has_value() && again->ok()) << again->status();
  EXPECT_TRUE((*again)->was_whole);
  EXPECT_EQ((*again)->restore.bumped, Revision(state.newest.value() + kBump));
  EXPECT_EQ(LinesOf(stream_), before);
}

// It need not hold any more what it was filled with.
TEST_F(BucketWriterTest, AWholeBucketThatWasWrittenToIsNotTakenForTheSame) {
  const BucketState state = SomeState(3, 20);
  ASSERT_TRUE(Write(state)->ok());
  for (int round = 0; round < 2; ++round) {
    // A jetd serves it, and has removed what is void.
    const ScratchFolder folder;
    FixtureMember member(&exec_, &stream_, "member", folder.path());
    if (round == 1) member.Put("later", "value");
    const std::string before = LinesOf(stream_);
    const Written again = Write(state);
    EXPECT_TRUE(absl::IsAlreadyExists(again->status())) << again->status();
    EXPECT_NE(again->status().message().find("has been written to since"), std::string::npos);
    EXPECT_EQ(LinesOf(stream_), before);
  }
  EXPECT_EQ(stream_.Find(StreamSeq(1)), nullptr);
}

TEST_F(BucketWriterTest, AnotherBumpIsRefused) {
  const BucketState state = SomeState(3, 20);
  for (const size_t there : {size_t{5}, SIZE_MAX}) {
    stream_.Recreate(1);
    bump_ = kBump;
    (void)Write(
        state,
        [there, first = true](MemoryLog* log) mutable {
          if (!std::exchange(first, false) || there == SIZE_MAX) return;
          log->Hold(Leg::kRequest);
          log->Pass(Leg::kRequest, there);
        },
        200);
    const std::string before = LinesOf(stream_);
    bump_ = kBump + 1;
    const Written other = Write(state);
    EXPECT_TRUE(absl::IsFailedPrecondition(other->status())) << other->status();
    EXPECT_NE(other->status().message().find("give --bump=1000"), std::string::npos)
        << other->status();
    EXPECT_EQ(LinesOf(stream_), before);
  }
}

TEST_F(BucketWriterTest, WhatIsNotNewOrOfAnotherRestoreIsRefused) {
  const BucketState state = SomeState(4, 20);
  const auto cut = [](MemoryLog* log) { log->Hold(Leg::kRequest); };
  {
    stream_.AppendForeign({.subject = "$KV.B.k", .payload = "v"});
    const Written written = Write(state);
    EXPECT_TRUE(absl::IsAlreadyExists(written->status())) << written->status();
    EXPECT_EQ(stream_.last(), StreamSeq(1));
  }
  stream_.Recreate(1);
  (void)Write(
      state,
      [&, first = true](MemoryLog* log) mutable {
        if (!std::exchange(first, false)) return;
        cut(log);
        log->Pass(Leg::kRequest, 5);
      },
      200);
  ASSERT_EQ(stream_.last(), StreamSeq(5));
  const Written other = Write(SomeState(5, 20));
  EXPECT_TRUE(absl::IsFailedPrecondition(other->status())) << other->status();
  EXPECT_NE(other->status().message().find("is being filled with"), std::string::npos);
  EXPECT_EQ(stream_.last(), StreamSeq(5));
  ASSERT_TRUE(Write(state)->ok());
  const Written late = Write(SomeState(5, 20));
  EXPECT_TRUE(absl::IsAlreadyExists(late->status())) << late->status();
}

TEST_F(BucketWriterTest, SomebodyElseWhoWritesIsNoticed) {
  const BucketState state = SomeState(6, 2'000);
  MemoryLog::Options options;
  options.faults.request_delay = [] { return std::chrono::microseconds(300); };
  const Written written = Write(
      state,
      [&, done = false](MemoryLog* /*log*/) mutable {
        if (done || stream_.last() < StreamSeq(600)) return;
        done = true;
        stream_.AppendForeign({.subject = "$KV.B.k", .payload = "v"});
      },
      20'000, options);
  ASSERT_TRUE(written.has_value());
  EXPECT_TRUE(absl::IsFailedPrecondition(written->status())) << written->status();
  EXPECT_NE(written->status().message().find("somebody else writes"), std::string::npos);
  ExpectRefused();
}

TEST_F(BucketWriterTest, WhatDoesNotFitIsToldBeforehand) {
  const BucketState state = SomeState(7, 50);
  stream_.set_max_bytes(1'000);
  MemoryLog::Options tells;
  tells.tells_room = true;
  const Written full = Write(state, {}, 1'000, tells, StreamBytesOf(state));
  EXPECT_EQ(GetErrc(full->status()), Errc::kNoSpace) << full->status();
  EXPECT_EQ(stream_.last(), StreamSeq{});
  // Not told of the room, it finds out on the way; with more room it goes on.
  const Written on_the_way = Write(state);
  EXPECT_EQ(GetErrc(on_the_way->status()), Errc::kNoSpace) << on_the_way->status();
  ExpectRefused();
  stream_.set_max_bytes(MemoryStream::kNoLimit);
  ASSERT_TRUE(Write(state)->ok());
  ExpectWhole(state);
  stream_.Recreate(1);
  MemoryLog::Options small;
  small.max_payload_bytes = 160;
  const Written large = Write(state, {}, 1'000, small);
  EXPECT_TRUE(absl::IsInvalidArgument(large->status())) << large->status();
}

TEST_F(BucketWriterTest, LostRecordsAreNoticed) {
  const BucketState state = SomeState(8, 40);
  (void)Write(
      state,
      [first = true](MemoryLog* log) mutable {
        if (!std::exchange(first, false)) return;
        log->Hold(Leg::kRequest);
        log->Pass(Leg::kRequest, 20);
      },
      200);
  ASSERT_EQ(stream_.last(), StreamSeq(20));
  stream_.Delete(StreamSeq(7));
  const Written written = Write(state);
  EXPECT_TRUE(absl::IsFailedPrecondition(written->status())) << written->status();
  ExpectRefused();
}

// Lost connections, lost answers, late copies, refusals and kills, again and again.
TEST_F(BucketWriterTest, RandomFaults) {
  constexpr uint64_t kSeeds = 60;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto chance = [&random](uint64_t one_in) { return random() % one_in == 0; };
    stream_.DropLate();
    stream_.Recreate(1'900'000'000'000'000'000 + static_cast<int64_t>(seed));
    const BucketState state = SomeState(seed, 200);
    MemoryLog::Options options;
    const auto delay = [&] { return std::chrono::microseconds(random() % 2'000); };
    options.faults.request_delay = delay;
    options.faults.answer_delay = delay;
    options.faults.api_delay = [&] { return std::chrono::microseconds(random() % 200); };
    options.faults.sync_delay = delay;
    options.faults.refuse = [&](StreamSeq) {
      return chance(100) ? MakeError(Errc::kTooManyRequests) : absl::OkStatus();
    };
    options.faults.fate = [&](StreamSeq) {
      return static_cast<jetstream::AppendFate>(random() % 4);
    };
    Written written;
    for (int process = 0; process < 50 && !written.has_value(); ++process) {
      written = Write(
          state,
          [&](MemoryLog* log) {
            if (chance(60)) log->Disconnect();
            if (!log->connected()) log->Reconnect();
            if (chance(5)) (void)stream_.LandLate();
          },
          process < 40 ? static_cast<int>(random() % 200) : 60'000, options);
      const auto newest = stream_.Find(stream_.last());
      if (newest == nullptr || newest->subject != codec_.TermSubject()) ExpectRefused();
    }
    ASSERT_TRUE(written.has_value());
    ASSERT_TRUE(written->ok()) << written->status();
    (void)stream_.LandLate(1'000);
    ExpectWhole(state);
  }
}

}  // namespace
}  // namespace jetd::replication
