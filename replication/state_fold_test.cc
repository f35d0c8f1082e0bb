// SPDX-License-Identifier: Apache-2.0
#include "replication/state_fold.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "replication/fold_harness.h"

namespace jetd::replication {
namespace {

using Kind = StreamTransaction::Kind;

class StateFoldTest : public ::testing::Test {
 protected:
  absl::StatusOr<State> At(const Point& point, int64_t now_ns = 10'000) {
    auto states =
        StatesOf(history_.transactions, history_.End({}), Revision{}, {point}, now_ns, options_);
    if (!states.ok()) return states.status();
    return std::move(states->front());
  }
  std::string Keys(const absl::StatusOr<State>& state) {
    if (!state.ok()) return std::string(MessageOf(state.status()));
    std::string text = Cat("revision ", state->revision.value(), ":");
    for (const auto& [key, value] : state->keys) CatTo(text, " ", key, "=", value.value);
    return text;
  }

  FakeHistory history_;
  StateOptions options_;
};

TEST_F(StateFoldTest, TimesAndRevisions) {
  history_.time_ns = 100;
  history_.Put("a", "1");
  history_.time_ns = 200;
  history_.Grant(LeaseId(5), 30);
  history_.time_ns = 300;
  history_.Put("b", "2", LeaseId(5));
  EXPECT_EQ(Keys(At(AtRevision(Revision(1)))), "revision 1:");
  EXPECT_EQ(Keys(At(AtRevision(Revision(2)))), "revision 2: a=1");
  EXPECT_EQ(At(AtRevision(Revision(2)))->leases.size(), 1U) << "granted before revision 3";
  EXPECT_EQ(At(AtTime(199))->leases.size(), 0U);
  EXPECT_EQ(At(AtTime(200))->leases.at(LeaseId(5)), 30);
  EXPECT_EQ(Keys(At(AtTime(299))), "revision 2: a=1");
  EXPECT_EQ(Keys(At(AtTime(300))), "revision 3: a=1 b=2");
  EXPECT_EQ(At(AtTime(300))->time_ns, 300);
  EXPECT_EQ(Keys(At(AtTime(9'999))), "revision 3: a=1 b=2");
  EXPECT_EQ(Keys(At(Point{})), "revision 3: a=1 b=2");
  EXPECT_EQ(At(Point{})->last, StreamSeq(3));
}

TEST_F(StateFoldTest, WhatIsNoPoint) {
  history_.time_ns = 100;
  history_.Put("a", "1");
  EXPECT_EQ(Keys(At(AtTime(20'000))),
            Cat(TimeText(20'000), " is in the future: the newest change is of ", TimeText(100)));
  EXPECT_EQ(Keys(At(AtTime(20'000), /*now_ns=*/20'000)), "revision 2: a=1");
  EXPECT_EQ(
      Keys(At(AtTime(99))),
      Cat(TimeText(99), " is before the first change that the stream holds, of ", TimeText(100)));
  EXPECT_EQ(Keys(At(AtRevision(Revision(3)))), "revision 3 is in the future: the newest is 2");
}

// The rule of point.h, and its example.
TEST_F(StateFoldTest, AClockThatGoesBack) {
  for (const int64_t time_ns : {1'000, 1'005, 1'002, 1'006, 1'010}) {
    history_.time_ns = time_ns;
    history_.Put("a", Cat(time_ns));
  }
  EXPECT_EQ(Keys(At(AtTime(1'003))), "revision 2: a=1000");
  EXPECT_EQ(Keys(At(AtTime(1'004))), "revision 2: a=1000");
  EXPECT_EQ(Keys(At(AtTime(1'005))), "revision 4: a=1002");
  EXPECT_EQ(Keys(At(AtTime(1'007))), "revision 5: a=1006");
  EXPECT_EQ(At(AtTime(1'007))->points.clock_went_back, 1U);
}

// When a removed record was written is not known either.
TEST_F(StateFoldTest, ATimeBesideWhatWasRemoved) {
  history_.time_ns = 100;
  history_.Put("b", "1");  // 2
  history_.time_ns = 200;
  history_.Put("a", "1");  // 3, removed
  history_.time_ns = 300;
  history_.Put("a", "2");  // 4
  const auto rest = Without(history_.transactions, {2});
  const auto at = [&](int64_t time_ns) {
    auto states = StatesOf(rest, history_.End(Revision(4)), Revision(4), {AtTime(time_ns)});
    if (!states.ok()) return Keys(states.status());
    return Keys(states->front());
  };
  EXPECT_EQ(at(100), "revision 2: b=1");
  EXPECT_EQ(at(101), Cat("what was there at ", TimeText(101),
                         " cannot be told: records of revisions 3 to 3 were removed by compaction, "
                         "and with them when they were written"));
  EXPECT_EQ(at(300), "revision 4: a=2 b=1");
}

TEST_F(StateFoldTest, PrefixesAndValues) {
  history_.Put("/a/1", "x");
  history_.Put("/b/1", "y");
  history_.Put("/a/2", "z");
  options_.prefix = "/a/";
  EXPECT_EQ(Keys(At(Point{})), "revision 4: /a/1=x /a/2=z");
  options_.values = StateOptions::Values::kNo;
  EXPECT_EQ(Keys(At(Point{})), "revision 4: /a/1= /a/2=");
}

TEST_F(StateFoldTest, BehindDamage) {
  history_.time_ns = 100;
  history_.Put("a", "1");
  history_.Put("a", "2");
  const auto at = [&](const Point& point) {
    auto states =
        StatesOf(history_.transactions, MakeError(Errc::kCorrupt, "a hole"), Revision{}, {point});
    if (!states.ok()) return Keys(states.status());
    return Keys(states->front());
  };
  EXPECT_EQ(at(AtRevision(Revision(3))), "revision 3: a=2");
  EXPECT_EQ(at(AtTime(100)), "revision 2: a=1");
  EXPECT_NE(at(AtTime(500)).find("where the stream cannot be read: a hole"), std::string::npos);
  EXPECT_NE(at(Point{}).find("where the stream cannot be read: a hole"), std::string::npos);
}

TEST_F(StateFoldTest, TheDigestIsOfTheKeys) {
  history_.Put("a", "1");
  const uint32_t one = DigestOf(*At(Point{}));
  history_.Put("b", "1");
  const uint32_t two = DigestOf(*At(Point{}));
  EXPECT_NE(one, two);
  EXPECT_EQ(one, DigestOf(*At(AtRevision(Revision(2)))));
  EXPECT_EQ(DigestOf(State{}), 0U);
}

// Random histories, parts of which are removed as compaction may remove them, in any order:
// whatever is given is what was there, and all is given from the compact revision on.
class RandomHistory {
 public:
  explicit RandomHistory(uint64_t seed) : rng_(seed) {}

  void Write(int steps) {
    const bool clock_goes_back = Pick(2) == 0;
    for (int i = 0; i < steps; ++i) {
      history.time_ns += static_cast<int64_t>(Pick(30));
      if (clock_goes_back && Pick(20) == 0) history.time_ns -= 60;
      Step();
    }
    compacted = Revision(static_cast<int64_t>(Pick(static_cast<size_t>(history.newest().value()))));
    if (compacted == Revision(1)) compacted = {};
  }
  // Which of what may go is gone; a list of what lives has been written if delete markers went.
  std::vector<StreamTransaction> Remove(size_t percent) {
    std::set<StreamSeq> gone;
    std::map<std::string, std::vector<std::pair<Revision, const StreamTransaction::Op*>>> versions;
    for (const StreamTransaction& transaction : history.transactions) {
      for (const StreamTransaction::Op& op : transaction.ops) {
        if (op.kind == Kind::kPut || op.kind == Kind::kDelete) {
          versions[op.key].emplace_back(transaction.revision, &op);
        }
      }
    }
    for (const auto& [key, all] : versions) RemoveOf(all, percent, &gone);
    return Rest(history.transactions, [&](const StreamTransaction& transaction, auto* op) {
      op->dropped = dropped_.contains(op->seq);
      const bool lease = op->kind == Kind::kLeaseGrant || op->kind == Kind::kLeaseGone;
      if (!lease) return !gone.contains(op->seq);
      // Grant and end of one go together.
      return !LeaseIsGone(transaction, *op) ||
             !leases_gone_.try_emplace(op->lease, Pick(100) < percent).first->second;
    });
  }
  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng_); }

  FakeHistory history;
  Revision compacted;

 private:
  void Step() {
    const auto key = [this] { return Cat("k", Pick(6)); };
    const LeaseId lease(static_cast<int64_t>(1 + Pick(3)));
    switch (Pick(10)) {
      case 0:
        return history.Grant(lease, static_cast<int64_t>(10 + Pick(90)));
      case 1:
        return history.Revoke(lease);
      case 2:
      case 3:
        return history.Delete(key());
      case 4: {
        std::vector<FakeHistory::Change> changes;
        for (size_t i = 0; i < 6; ++i) {
          if (Pick(2) == 0) continue;
          changes.push_back({.key = Cat("k", i), .value = Cat("many", Pick(100))});
          if (Pick(3) == 0) changes.back().value.reset();
        }
        return history.Txn(changes);
      }
      default: {
        const bool attached = Pick(4) == 0 && history.at(history.newest()).leases.contains(lease);
        history.Put(key(), Cat("v", Pick(1'000)), attached ? lease : LeaseId{});
      }
    }
  }
  // What the compaction superseded goes as it likes; delete markers only behind a list, or with a
  // newer record of the key there.
  void RemoveOf(const std::vector<std::pair<Revision, const StreamTransaction::Op*>>& all,
                size_t percent, std::set<StreamSeq>* gone) {
    bool outlived = false;
    for (size_t i = 0; i < all.size(); ++i) {
      const auto& [revision, op] = all[i];
      const bool superseded = i + 1 < all.size() && all[i + 1].first <= compacted;
      const bool marker = op->kind == Kind::kDelete && revision < compacted;
      if (!superseded && !marker) continue;
      const bool goes = Pick(100) < percent;
      if (goes) gone->insert(op->seq);
      if (!goes && op->kind == Kind::kPut) outlived = true;
      const bool newer = i + 1 < all.size();
      if (goes && op->kind == Kind::kDelete && outlived && !newer) {
        for (size_t before = 0; before <= i; ++before) dropped_.insert(all[before].second->seq);
      }
    }
  }
  [[nodiscard]] bool LeaseIsGone(const StreamTransaction& transaction,
                                 const StreamTransaction::Op& op) const {
    return transaction.revision <= compacted && !history.at(compacted).leases.contains(op.lease);
  }

  std::mt19937_64 rng_;
  std::set<StreamSeq> dropped_;
  std::map<LeaseId, bool> leases_gone_;
};

TEST(StateFoldRandomTest, GivesWhatWasThereOrNothing) {
  size_t given = 0, refused = 0, times = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(Cat("seed ", seed));
    RandomHistory random(seed);
    random.Write(60);
    const FakeHistory& history = random.history;
    const size_t percent = std::vector<size_t>{0, 20, 70, 100}[seed % 4];
    const auto rest = random.Remove(percent);
    const auto end = history.End(random.compacted);
    const bool clock_went_back =
        PointsOf(history.transactions, end, random.compacted).clock_went_back > 0;
    for (Revision at(1); at <= history.newest(); at = at.Next()) {
      const auto states = StatesOf(rest, end, random.compacted, {AtRevision(at)});
      if (!states.ok()) {
        ASSERT_TRUE(absl::IsFailedPrecondition(states.status())) << states.status();
        ASSERT_LT(at, random.compacted) << states.status();
        ASSERT_NE(percent, 0U) << states.status();
        ++refused;
        continue;
      }
      ++given;
      const State& state = states->front();
      ASSERT_EQ(state.revision, at);
      ASSERT_EQ(state.keys, history.at(at).keys) << "at " << at << " of " << random.compacted;
      if (state.all_leases) {
        ASSERT_EQ(state.leases, history.at(at).leases) << "at " << at;
      }
      ASSERT_TRUE(state.all_leases || at < random.compacted);
    }
    for (int i = 0; i < 40; ++i) {
      const auto at = static_cast<int64_t>(1'000 + random.Pick(1'500));
      const auto states = StatesOf(rest, end, random.compacted, {AtTime(at)});
      if (!states.ok()) {
        ASSERT_TRUE(percent != 0 || absl::IsOutOfRange(states.status())) << states.status();
        continue;
      }
      // Where the clock went back, the stamp of what is gone would have told more.
      if (percent != 0 && clock_went_back) continue;
      ++times;
      ASSERT_EQ(states->front().keys, history.AtTime(at).keys) << "at " << at;
    }
  }
  std::printf("%zu revisions given, %zu refused, %zu times given\n", given, refused, times);
  EXPECT_GT(given, 8'000U);
  EXPECT_GT(refused, 500U);
  EXPECT_GT(times, 4'000U);
}

// The same states from one pass.
TEST(StateFoldRandomTest, ManyPointsAtOnce) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    RandomHistory random(seed);
    random.Write(60);
    const FakeHistory& history = random.history;
    std::vector<Point> points;
    for (int i = 0; i < 15; ++i) {
      const auto newest = static_cast<size_t>(history.newest().value());
      points.push_back(AtRevision(Revision(static_cast<int64_t>(1 + random.Pick(newest)))));
    }
    points.emplace_back();
    const auto states = StatesOf(history.transactions, history.End({}), {}, points);
    ASSERT_TRUE(states.ok()) << states.status();
    for (size_t i = 0; i + 1 < points.size(); ++i) {
      EXPECT_EQ((*states)[i].keys, history.at(points[i].revision).keys);
      EXPECT_EQ((*states)[i].leases, history.at(points[i].revision).leases);
    }
    EXPECT_EQ(states->back().keys, history.at(history.newest()).keys);
  }
}

}  // namespace
}  // namespace jetd::replication
