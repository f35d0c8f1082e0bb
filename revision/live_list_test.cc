// SPDX-License-Identifier: Apache-2.0
#include "revision/live_list.h"

#include <random>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::revision {
namespace {

using jetstream::LiveRecord;
using jetstream::SeqRange;

std::vector<LiveRecord> TakeAll(LiveSurvey* survey, size_t max_live) {
  std::vector<LiveRecord> records;
  while (auto record = survey->NextRecord(max_live)) records.push_back(*std::move(record));
  return records;
}

TEST(LiveSurveyTest, RecordsShareTheSequencesAmongThem) {
  LiveSurvey survey(StreamSeq(10'000));
  for (const uint64_t seq : {9'000, 3, 5'000, 3, 4, 10'000, 10'001}) survey.Note(StreamSeq(seq));
  const std::vector<LiveRecord> records = TakeAll(&survey, 2);
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[0].range, (SeqRange{StreamSeq(1), StreamSeq(4)}));
  EXPECT_EQ(records[0].live, (std::vector<StreamSeq>{StreamSeq(3), StreamSeq(4)}));
  EXPECT_EQ(records[1].range, (SeqRange{StreamSeq(5), StreamSeq(9'000)}));
  EXPECT_EQ(records[2].range, (SeqRange{StreamSeq(9'001), StreamSeq(10'000)}));
  EXPECT_EQ(records[2].live, (std::vector<StreamSeq>{StreamSeq(10'000)}));
}

TEST(LiveSurveyTest, NothingAliveIsSaidToo) {
  LiveSurvey survey(StreamSeq(7));
  const std::vector<LiveRecord> records = TakeAll(&survey, 5);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].range, (SeqRange{StreamSeq(1), StreamSeq(7)}));
  EXPECT_TRUE(records[0].live.empty());
}

// Through the records and back: the list says dead of exactly what was not noted.
TEST(LiveListTest, SaysWhatTheSurveyFound) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 rng(seed);
    const uint64_t bound = 1 + rng() % 20'000;
    LiveSurvey survey{StreamSeq(bound)};
    std::set<StreamSeq> noted;
    for (uint64_t i = 0; i < bound / (1 + seed % 4); ++i) {
      const StreamSeq seq(1 + rng() % (bound + 100));
      survey.Note(seq);
      noted.insert(seq);
    }
    LiveList list;
    for (const LiveRecord& record : TakeAll(&survey, 1 + rng() % 5'000)) {
      const auto read = jetstream::DecodeLive(jetstream::EncodeLive(record));
      ASSERT_TRUE(read.ok()) << read.status();
      list.Add(*read);
    }
    for (uint64_t seq = 1; seq <= bound + 200; ++seq) {
      const bool dead = seq <= bound && noted.count(StreamSeq(seq)) == 0;
      ASSERT_EQ(list.Dead(StreamSeq(seq)), dead) << seq << " of " << bound << ", seed " << seed;
    }
  }
}

TEST(LiveListTest, OfTwoListsTheOneThatSaysDeadIsRight) {
  LiveList list;
  list.Add({.range = {StreamSeq(1), StreamSeq(4)}, .live = {StreamSeq(1), StreamSeq(2)}});
  list.Add({.range = {StreamSeq(1), StreamSeq(9)}, .live = {StreamSeq(1), StreamSeq(7)}});
  EXPECT_FALSE(list.Dead(StreamSeq(1)));
  EXPECT_TRUE(list.Dead(StreamSeq(2)));
  EXPECT_TRUE(list.Dead(StreamSeq(4)));
  EXPECT_FALSE(list.Dead(StreamSeq(7)));
  EXPECT_FALSE(list.Dead(StreamSeq(10)));
}

// However they overlap, and in whatever order they come.
TEST(LiveListTest, ManyListsAreWhatEachOfThemSays) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 rng(seed);
    LiveList list;
    std::set<StreamSeq> dead;
    for (uint64_t lists = 1 + rng() % 8; lists > 0; --lists) {
      const uint64_t first = 1 + rng() % 60, last = first + rng() % 40;
      LiveRecord record{.range = {StreamSeq(first), StreamSeq(last)}, .live = {}};
      for (uint64_t seq = first; seq <= last; ++seq) {
        if (rng() % 3 > 0) {
          record.live.emplace_back(seq);
        } else {
          dead.insert(StreamSeq(seq));
        }
      }
      list.Add(std::move(record));
    }
    for (uint64_t seq = 1; seq <= 120; ++seq) {
      ASSERT_EQ(list.Dead(StreamSeq(seq)), dead.count(StreamSeq(seq)) > 0)
          << seq << ", seed " << seed;
    }
  }
}

}  // namespace
}  // namespace jetd::revision
