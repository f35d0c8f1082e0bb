// SPDX-License-Identifier: Apache-2.0
//
// Streams that whole members wrote, through lost connections, kills, power cuts, other writers and
// compactions: always clean. And the same with one record taken out or changed: damage is found
// where a replay finds any, and wherever a record that counts is missing.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "replication/check_harness.h"
#include "revision/committer_harness.h"

namespace jetd::replication {
namespace {

using jetstream::AppendFate;
using jetstream::MemoryLog;
using jetstream::MemoryStream;
using revision::Member;
using Kind = jetstream::SubjectCodec::Kind;

// Members, one after the other or side by side, that write whatever comes to their mind.
class Life {
 public:
  Life(uint64_t seed, Server server) : rng_(seed), server_(server) {}

  void Run(int steps) {
    Start();
    for (int i = 0; i < steps; ++i) Step();
    for (const auto& member : members_) member->log.Reconnect();
    exec_.Advance(std::chrono::seconds(10));
    stream_.LandLate(1'000);
    exec_.Advance(std::chrono::seconds(2));
  }
  void End() { members_.clear(); }
  [[nodiscard]] MemoryStream* stream() { return &stream_; }
  [[nodiscard]] FakeExecutor* exec() { return &exec_; }
  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng_); }
  bool Chance(size_t percent) { return Pick(100) < percent; }

 private:
  void Start() {
    MemoryLog::Options options;
    options.exclusive = server_ == Server::kEmbedded;
    options.replicas = server_ == Server::kOutside && Chance(30) ? 3 : 1;
    options.faults.answer_delay = [this] { return std::chrono::microseconds(Pick(300)); };
    options.faults.sync_delay = [this] { return std::chrono::microseconds(Pick(500)); };
    options.faults.fate = [this](StreamSeq) {
      const size_t fates = server_ == Server::kEmbedded ? 2 : 3;
      return std::array{AppendFate::kNever, AppendFate::kLands, AppendFate::kLate}[Pick(fates)];
    };
    members_.push_back(
        std::make_unique<Member>(&exec_, &stream_, Cat("m", ++started_), std::move(options)));
  }
  void Kill() {
    members_.back()->log.Disconnect();
    members_.back()->committer->Stop();
    members_.pop_back();
    if (server_ == Server::kOutside) return;
    const bool holes = Chance(30);
    if (Chance(70)) {
      stream_.PowerCut([this, holes](StreamSeq) { return holes && Chance(80); });
    }
  }
  void Write(Member* member) {
    const std::string key = Cat("k", Pick(6));
    const LeaseId lease(Chance(30) ? static_cast<int64_t>(1 + Pick(3)) : 0);
    switch (Pick(8)) {
      case 0:
        (void)member->Delete(key);
        break;
      case 1:
        (void)member->Delete("k1", "k4");
        break;
      case 2:
        (void)member->PutMany(key, static_cast<int>(2 + Pick(4)), "many");
        break;
      case 3:
        member->committer->GrantLease(LeaseId(static_cast<int64_t>(1 + Pick(3))), 60,
                                      [](const auto&) {});
        break;
      case 4:
        member->committer->RevokeLease(LeaseId(static_cast<int64_t>(1 + Pick(3))),
                                       [](const auto&) {});
        break;
      default:
        (void)member->Put(key, Cat("v", Pick(100)), lease);
    }
  }
  void Compact(Member* member) const {
    const Revision at(member->store.committed().value() - 3);
    if (!member->committer->leading() || at <= std::max(Revision(1), member->store.compacted())) {
      return;
    }
    member->committer->Compact(at, revision::Committer::Wait::kLogical, [](const auto&) {});
  }
  void Step() {
    Member* const member = members_.back().get();
    const size_t what = Pick(100);
    if (what < 60) {
      Write(member);
    } else if (what < 88) {
      exec_.Advance(std::chrono::microseconds(Pick(2'000)));
    } else if (what < 91) {
      member->log.Disconnect();
      exec_.RunDeferred();
      member->log.Reconnect();
    } else if (what < 93) {
      stream_.LandLate(1);
    } else if (what < 94 && server_ == Server::kOutside) {
      stream_.AppendForeign({.subject = "$KV.B.intruder", .header = {}, .payload = "x"});
    } else if (what < 95) {
      Kill();
      Start();
    } else if (what < 96 && server_ == Server::kOutside) {
      Start();  // the one before lives on
    } else {
      Compact(member);
      exec_.Advance(std::chrono::milliseconds(20));
    }
  }

  std::mt19937_64 rng_;
  const Server server_;
  FakeExecutor exec_;
  MemoryStream stream_;
  std::vector<std::unique_ptr<Member>> members_;
  int started_ = 0;
};

// Records whose absence must be noticed: of keys above the compact revision that are not void.
std::vector<StreamSeq> MustBeThere(const MemoryStream& stream, const CheckReport& report) {
  const jetstream::SubjectCodec codec("B");
  std::vector<jetstream::SeqRange> voids;
  std::vector<StreamSeq> seqs;
  for (StreamSeq seq(1); seq <= stream.last(); seq = seq.Next()) {
    const auto record = stream.Find(seq);
    if (record == nullptr) continue;
    const auto subject = codec.Decode(record->subject);
    const auto header = jetstream::DecodeHeader(record->header);
    if (!subject.ok() || !header.ok()) continue;
    if (subject->kind == Kind::kTerm) {
      const auto term = jetstream::DecodeTerm(record->payload);
      voids.insert(voids.end(), term->voids.begin(), term->voids.end());
    }
    // The end of the stream is missed by nobody.
    const bool last = header->revision == report.revision;
    if (subject->kind == Kind::kKey && header->revision > report.compacted && !last) {
      seqs.push_back(seq);
    }
  }
  std::erase_if(seqs, [&voids](StreamSeq seq) {
    return std::any_of(voids.begin(), voids.end(), [seq](const jetstream::SeqRange& range) {
      return range.first <= seq && seq <= range.last;
    });
  });
  return seqs;
}

void RunSeeds(Server server) {
  log::Init({.level = log::Level::kError});
  size_t damaged = 0;
  uint64_t records = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(Cat("seed ", seed));
    Life life(seed, server);
    life.Run(300);
    const auto live = CheckOf(life.exec(), life.stream(), server);
    ASSERT_TRUE(live.ok()) << live.status();
    ASSERT_EQ(live->damages(), 0U) << ToText(*live);
    life.End();
    const auto sound = CheckOf(life.exec(), life.stream(), server);
    ASSERT_TRUE(sound.ok()) << sound.status();
    ASSERT_EQ(sound->damages(), 0U) << ToText(*sound);
    records += sound->records;
    const std::vector<StreamSeq> seqs = MustBeThere(*life.stream(), *sound);
    if (seqs.empty() || !sound->notices.empty()) continue;
    for (int i = 0; i < 8; ++i) {
      const StreamSeq lost = seqs[life.Pick(seqs.size())];
      const auto copy = CopyStream(
          *life.stream(), [lost](MemoryStream::Stored* record) { return record->seq != lost; });
      // Others may write to it, so nothing is taken for a power cut.
      const auto report = CheckOf(life.exec(), copy.get(), Server::kOutside);
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_GT(report->damages(), 0U) << "without " << lost << ": " << ToText(*report);
      EXPECT_LT(report->damages(), 12U) << ToText(*report);
      ++damaged;
    }
  }
  std::printf("%llu records of sound streams, %zu damaged streams\n",
              static_cast<unsigned long long>(records), damaged);
  EXPECT_GT(damaged, 300U);
}

TEST(StreamCheckRandomTest, StreamsOfAnOutsideServer) { RunSeeds(Server::kOutside); }
TEST(StreamCheckRandomTest, StreamsOfAServerOfOurOwn) { RunSeeds(Server::kEmbedded); }

// A changed byte anywhere: the check never ends in anything but a report or a refusal, and finds
// damage where a replay does.
TEST(StreamCheckRandomTest, FindsWhatAReplayFinds) {
  log::Init({.level = log::Level::kError});
  size_t refused = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(Cat("seed ", seed));
    Life life(seed, Server::kOutside);
    life.Run(120);
    life.End();
    for (int i = 0; i < 10; ++i) {
      const StreamSeq changed(1 + life.Pick(life.stream()->last().value()));
      const auto copy = CopyStream(*life.stream(), [&](MemoryStream::Stored* record) {
        if (record->seq != changed) return true;
        std::string* const part =
            std::array{&record->header, &record->payload, &record->header}[life.Pick(3)];
        if (!part->empty())
          (*part)[life.Pick(part->size())] = static_cast<char>('0' + life.Pick(10));
        return true;
      });
      const auto report = CheckOf(life.exec(), copy.get(), Server::kOutside);
      if (!report.ok()) continue;
      revision::Store store;
      MemoryLog log(life.exec(), copy.get());
      jetstream::SilentObserver observer;
      log.Open(&observer, [](const absl::Status&) {});
      life.exec()->RunDeferred();
      const jetstream::SubjectCodec codec("B");
      revision::Replay replay(&log, &codec, &store);
      absl::Status status;
      replay.Run([&status](const auto& result) { status = result.status(); });
      life.exec()->Advance(std::chrono::seconds(1));
      log.Close();
      if (status.ok()) continue;
      ++refused;
      // Of itself, and not because it replays too.
      EXPECT_GT(report->damages(), report->counts.at(static_cast<size_t>(Damage::kIndex)))
          << status << "\n"
          << ToText(*report);
    }
  }
  EXPECT_GT(refused, 20U);
}

}  // namespace
}  // namespace jetd::replication
