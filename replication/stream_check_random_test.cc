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
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "replication/check_harness.h"
#include "replication/random_life.h"

namespace jetd::replication {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using Kind = jetstream::SubjectCodec::Kind;

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
