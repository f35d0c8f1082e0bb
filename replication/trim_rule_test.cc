// SPDX-License-Identifier: Apache-2.0
#include "replication/trim_rule.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/record.h"
#include "replication/state_digest.h"

namespace jetd::replication {
namespace {

using Kind = StreamTransaction::Kind;
using Transactions = std::vector<StreamTransaction>;

// A stream written by hand: each call is one transaction behind the last one.
class Writer {
 public:
  Writer& Put(const std::string& key) {
    Begin(/*adds=*/true);
    Op(Kind::kPut, key, Cat("value ", revision_));
    return *this;
  }
  Writer& Delete(const std::string& key) {
    Begin(true);
    Op(Kind::kDelete, key, "");
    return *this;
  }
  Writer& PutBoth(const std::string& key, const std::string& other) {
    Begin(true);
    Op(Kind::kPut, key, Cat("value ", revision_));
    Op(Kind::kPut, other, Cat("value ", revision_));
    return *this;
  }
  Writer& Lease(int64_t id, Kind kind) {
    Begin(false);
    Op(kind, "", "{}");
    all_.back().ops.back().lease = LeaseId(id);
    return *this;
  }
  Writer& Own(Kind kind, const std::string& payload = "{}") {
    Begin(false);
    Op(kind, "", payload);
    return *this;
  }
  Writer& Term(uint64_t term, std::vector<jetstream::SeqRange> voids = {}) {
    jetstream::TermRecord record;
    record.term = jetd::Term(term);
    record.incarnation = "00112233445566778899aabbccddeeff";
    record.voids = std::move(voids);
    return Own(Kind::kTerm, jetstream::EncodeTerm(record));
  }
  Writer& Void(const std::string& key) {
    Begin(false);
    Op(Kind::kPut, key, "never");
    all_.back().counts = false;
    all_.back().revision = Revision(revision_ + 1);
    return *this;
  }
  [[nodiscard]] const Transactions& all() const { return all_; }
  [[nodiscard]] int64_t revision() const { return revision_; }

 private:
  void Begin(bool adds) {
    if (adds) ++revision_;
    StreamTransaction& transaction = all_.emplace_back();
    transaction.revision = Revision(revision_);
    transaction.time_ns = revision_ * 1'000;
  }
  void Op(Kind kind, const std::string& key, std::string payload) {
    all_.back().ops.push_back(
        {.seq = StreamSeq(++seq_), .kind = kind, .key = key, .payload = std::move(payload)});
  }

  Transactions all_;
  int64_t revision_ = 1;
  uint64_t seq_ = 0;
};

TrimRule::Plan PlanOf(const Transactions& all, TrimRule::Horizon horizon, int64_t compacted) {
  TrimRule rule(horizon);
  for (const StreamTransaction& one : all) rule.Apply(one);
  return rule.Finish(Revision(compacted));
}
std::vector<uint64_t> Removed(const Transactions& all, int64_t horizon, int64_t compacted) {
  std::vector<uint64_t> removed;
  for (const StreamSeq seq : PlanOf(all, {.revision = Revision(horizon)}, compacted).removed) {
    removed.push_back(seq.value());
  }
  return removed;
}

using Seqs = std::vector<uint64_t>;

// The example in the header; sequence n-1 has revision n.
TEST(TrimRuleTest, TheNewestVersionAtTheHorizonStays) {
  Writer w;
  w.Put("a").Put("b").Put("a").Delete("b").Put("a");
  EXPECT_EQ(Removed(w.all(), 3, 6), Seqs{});
  EXPECT_EQ(Removed(w.all(), 4, 6), (Seqs{1}));
  EXPECT_EQ(Removed(w.all(), 5, 6), (Seqs{1, 2}));
  EXPECT_EQ(Removed(w.all(), 6, 6), (Seqs{1, 2, 3}));
  EXPECT_EQ(Removed(w.all(), 99, 6), (Seqs{1, 2, 3}));
}

TEST(TrimRuleTest, AboveTheCompactRevisionNothingGoes) {
  Writer w;
  w.Put("a").Put("b").Put("a").Delete("b").Put("a");
  EXPECT_EQ(Removed(w.all(), 6, 4), (Seqs{1}));
  EXPECT_EQ(Removed(w.all(), 6, 0), Seqs{});
  EXPECT_EQ(PlanOf(w.all(), {.revision = Revision(6)}, 4).horizon, Revision(4));
}

TEST(TrimRuleTest, ATimeIsTheMomentBeforeWhatIsStampedLater) {
  Writer w;
  w.Put("a").Put("a").Put("a");  // stamped 2,000, 3,000 and 4,000
  const auto plan = PlanOf(w.all(), {.time_ns = 3'500}, 4);
  EXPECT_EQ(plan.horizon, Revision(3));
  EXPECT_EQ(plan.removed, (std::vector<StreamSeq>{StreamSeq(1)}));
  EXPECT_EQ(PlanOf(w.all(), {.time_ns = 1'000}, 4).removed.size(), 0U);
}

TEST(TrimRuleTest, RecordsOfItsOwn) {
  Writer w;
  w.Term(1).Put("a");                                                // 1, 2
  w.Lease(7, Kind::kLeaseGrant).Lease(7, Kind::kLeaseGone);          // 3, 4
  w.Own(Kind::kCompact).Own(Kind::kAlarm).Own(Kind::kLive);          // 5, 6, 7
  w.Void("a");                                                       // 8
  w.Term(2, {{StreamSeq(8), StreamSeq(8)}});                         // 9
  w.Own(Kind::kBarrier).Own(Kind::kCompact).Own(Kind::kAlarm);       // 10, 11, 12
  w.Own(Kind::kLive).Term(3).Put("a").Put("a").Own(Kind::kCompact);  // 13 to 17
  // Of what lies before the horizon: the older term, the lease that is gone but for its marker,
  // what is void but not the record that says so, older compactions and alarms.
  EXPECT_EQ(Removed(w.all(), 3, 99), (Seqs{1, 2, 3, 5, 6, 8, 10}));
  EXPECT_EQ(Removed(w.all(), 4, 99), (Seqs{1, 2, 3, 5, 6, 8, 10, 11, 15}));
}

TEST(TrimRuleTest, AListGoesWhenLaterOnesSayAllOfIt) {
  const auto list = [](uint64_t first, uint64_t last) {
    return jetstream::EncodeLive(
        {.range = {StreamSeq(first), StreamSeq(last)}, .live = {StreamSeq(last)}});
  };
  Writer w;
  w.Put("a").Own(Kind::kLive, list(1, 100)).Own(Kind::kLive, list(101, 200));  // 1 to 3
  w.Put("a").Own(Kind::kLive, list(1, 80));                                    // 4, 5
  w.Put("a").Own(Kind::kLive, list(81, 150));                                  // 6, 7
  w.Put("a").Own(Kind::kLive, list(1, 300));                                   // 8, 9
  EXPECT_EQ(Removed(w.all(), 3, 99), (Seqs{1}));
  EXPECT_EQ(Removed(w.all(), 4, 99), (Seqs{1, 2, 4}));
  EXPECT_EQ(Removed(w.all(), 5, 99), (Seqs{1, 2, 3, 4, 5, 6, 7}));
}

// What can be read at or after the horizon is what it was, and of what is before it nothing is left
// that need not be.
TEST(TrimRuleTest, RandomHistoriesAgainstANaiveModel) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    Writer w;
    const auto key = [&] { return Cat("k", random() % 5); };
    for (int i = 0; i < 60; ++i) {
      switch (random() % 6) {
        case 0:
          w.Delete(key());
          break;
        case 1:
          w.PutBoth(Cat("x", random() % 2), Cat("y", random() % 2));
          break;
        case 2:
          w.Lease(static_cast<int64_t>(random() % 3 + 1),
                  random() % 2 == 0 ? Kind::kLeaseGrant : Kind::kLeaseGone);
          break;
        case 3:
          w.Void(key());
          break;
        default:
          w.Put(key());
      }
    }
    const int64_t horizon = static_cast<int64_t>(random() % 60) + 1;
    const int64_t compacted = static_cast<int64_t>(random() % 60) + 1;
    const auto plan = PlanOf(w.all(), {.revision = Revision(horizon)}, compacted);
    const std::set<StreamSeq> removed(plan.removed.begin(), plan.removed.end());
    Transactions left;
    std::map<std::string, int> versions;
    for (const StreamTransaction& one : w.all()) {
      StreamTransaction kept = one;
      std::erase_if(kept.ops,
                    [&](const StreamTransaction::Op& op) { return removed.contains(op.seq); });
      if (kept.ops.empty()) continue;
      if (kept.counts && kept.revision <= plan.horizon) {
        for (const auto& op : kept.ops) ++versions[op.key.empty() ? Cat(op.lease.value()) : op.key];
      }
      left.push_back(std::move(kept));
    }
    for (const auto& [name, count] : versions) EXPECT_EQ(count, 1) << name << ", seed " << seed;
    const auto state = [](const Transactions& all, int64_t at) {
      StateDigest digest(StreamSeq(UINT64_MAX));
      for (const StreamTransaction& one : all) {
        if (one.revision <= Revision(at)) digest.Apply(one);
      }
      return digest;
    };
    for (int64_t at = plan.horizon.value(); at <= w.revision(); ++at) {
      const auto difference = state(w.all(), at).Compare(state(left, at), "before", "after");
      ASSERT_EQ(difference.count, 0U)
          << "seed " << seed << ", revision " << at << ": " << difference.named.front();
    }
  }
}

TEST(StateDigestTest, NamesWhatIsDifferent) {
  Writer w;
  w.Put("a").Put("b").Lease(7, Kind::kLeaseGrant).Put("c");
  Transactions other = w.all();
  other[1].ops[0].payload = "another";
  other.pop_back();
  other.push_back(Writer().Lease(9, Kind::kLeaseGrant).all().front());
  StateDigest left(StreamSeq(100)), right(StreamSeq(100));
  for (const auto& one : w.all()) left.Apply(one);
  for (const auto& one : other) right.Apply(one);
  EXPECT_NE(left.Hash(), right.Hash());
  const auto difference = left.Compare(right, "here", "there");
  EXPECT_EQ(difference.count, 3U);
  ASSERT_EQ(difference.named.size(), 3U);
  EXPECT_EQ(difference.named[0].substr(0, 18), "key b: revision 3 ") << difference.named[0];
  EXPECT_NE(difference.named[1].find("key c: revision 4 "), std::string::npos);
  EXPECT_NE(difference.named[1].find("nothing there"), std::string::npos);
  EXPECT_EQ(difference.named[2], "lease 9: not there here, granted there");
  EXPECT_EQ(left.Compare(left, "here", "there").count, 0U);
}

// A value that is left although the marker that ended it is gone.
TEST(StateDigestTest, WhatAListLeavesOutIsNotThere) {
  Writer w;
  w.Put("a").Put("b").Lease(7, Kind::kLeaseGrant);
  Transactions all = w.all();
  all.back().ops.front().dropped = all.front().ops.front().dropped = true;
  StateDigest digest(StreamSeq(99)), other(StreamSeq(99));
  for (const auto& one : all) digest.Apply(one);
  other.Apply(all[1]);
  EXPECT_EQ(digest.Hash(), other.Hash());
  EXPECT_EQ(digest.keys(), 1U);
}

TEST(StateDigestTest, EndsAtASequence) {
  Writer w;
  w.Put("a").PutBoth("a", "b");
  StateDigest digest(StreamSeq(2));
  for (const auto& one : w.all()) digest.Apply(one);
  EXPECT_EQ(digest.revision(), Revision(2));
  EXPECT_EQ(digest.keys(), 1U);
}

}  // namespace
}  // namespace jetd::replication
