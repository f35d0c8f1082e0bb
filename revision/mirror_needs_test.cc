// SPDX-License-Identifier: Apache-2.0
#include "revision/mirror_needs.h"

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "jetstream/record.h"

namespace jetd::revision {
namespace {

class MirrorNeedsTest : public ::testing::Test {
 protected:
  void Put(std::string_view key, uint64_t seq) {
    store_.Begin();
    store_.Put(key, "v", LeaseId(), StreamSeq(seq));
    store_.End();
    store_.CommitOldest();
  }
  void Delete(std::string_view key, uint64_t seq) {
    store_.Begin();
    store_.Delete({key, ""}, StreamSeq(seq));
    store_.End();
    store_.CommitOldest();
  }
  bool Needs(uint64_t seq, const std::string& subject, const std::string& payload = {}) {
    return MirrorNeeds({.seq = StreamSeq(seq), .subject = subject, .payload = payload}, Leader());
  }
  LeaderView Leader() {
    return {.codec = &codec_,
            .store = &store_,
            .system = &system_,
            .voids = &voids_,
            .led = StreamSeq(50)};
  }
  // Of 1 to `last`, those that are needed as records of a key.
  std::vector<uint64_t> Of(std::string_view key, uint64_t last) {
    std::vector<uint64_t> needed;
    for (uint64_t seq = 1; seq <= last; ++seq) {
      if (Needs(seq, codec_.EncodeKey(key))) needed.push_back(seq);
    }
    return needed;
  }

  const jetstream::SubjectCodec codec_{"B"};
  Store store_;
  SystemRecords system_;
  Voids voids_;
};

using Seqs = std::vector<uint64_t>;

// What the store is about to drop a mirror may have dropped before.
TEST_F(MirrorNeedsTest, VersionsThatMayBeAskedFor) {
  Put("a", 2);  // revision 2, and so on
  Put("a", 3);
  Put("b", 4);
  Delete("b", 5);
  Put("b", 6);
  EXPECT_EQ(Of("a", 10), (Seqs{2, 3}));
  EXPECT_EQ(Of("b", 10), (Seqs{4, 5, 6}));
  EXPECT_EQ(Of("c", 10), Seqs{});
  store_.StartCompact(Revision(4));
  EXPECT_EQ(Of("a", 10), (Seqs{3}));
  EXPECT_EQ(Of("b", 10), (Seqs{4, 5, 6}));
  (void)store_.Compact(Revision(5));
  EXPECT_EQ(Of("a", 10), (Seqs{3}));
  EXPECT_EQ(Of("b", 10), (Seqs{5, 6}));
  EXPECT_FALSE(Needs(3, "$KV.B.b..a"));
  EXPECT_FALSE(Needs(3, "$KV.other.a"));
}

TEST_F(MirrorNeedsTest, RecordsOfItsOwn) {
  system_.leases[LeaseId(7)] = StreamSeq(10);
  system_.compact = StreamSeq(11);
  system_.alarm = StreamSeq(12);
  system_.live = {StreamSeq(40), StreamSeq(60)};
  EXPECT_TRUE(Needs(10, codec_.LeaseSubject(LeaseId(7))));
  EXPECT_FALSE(Needs(9, codec_.LeaseSubject(LeaseId(7))));
  EXPECT_FALSE(Needs(10, codec_.LeaseSubject(LeaseId(8))));
  EXPECT_TRUE(Needs(11, codec_.CompactSubject()));
  EXPECT_FALSE(Needs(10, codec_.CompactSubject()));
  EXPECT_TRUE(Needs(12, codec_.AlarmSubject()));
  EXPECT_FALSE(Needs(11, codec_.AlarmSubject()));
  EXPECT_TRUE(Needs(60, codec_.LiveSubject()));
  EXPECT_FALSE(Needs(40, codec_.LiveSubject())) << "it may be replaced";
  EXPECT_FALSE(Needs(61, codec_.LiveSubject()));
  EXPECT_FALSE(Needs(60, codec_.BarrierSubject()));
}

TEST_F(MirrorNeedsTest, TermRecordsThatNameVoids) {
  system_.term = StreamSeq(9);
  const std::string plain = jetstream::EncodeTerm({.term = Term(3), .incarnation = "i"});
  const std::string naming = jetstream::EncodeTerm(
      {.term = Term(2), .incarnation = "i", .voids = {{StreamSeq(5), StreamSeq(6)}}});
  EXPECT_TRUE(Needs(9, codec_.TermSubject(), plain));
  EXPECT_FALSE(Needs(1, codec_.TermSubject(), plain));
  EXPECT_TRUE(Needs(7, codec_.TermSubject(), naming));
  voids_.Add({StreamSeq(7), StreamSeq(7)});
  EXPECT_FALSE(Needs(7, codec_.TermSubject(), naming)) << "it counts for nothing itself";
}

// The store has long forgotten the key; the mirror has it.
TEST_F(MirrorNeedsTest, MarkersWithoutWhichAKeyLivesOn) {
  const std::string subject = codec_.EncodeKey("gone");
  EXPECT_FALSE(Needs(5, subject));
  const jetstream::CompareAnswer::Found marker{
      .seq = StreamSeq(5), .subject = subject, .lives_on = true};
  EXPECT_TRUE(MirrorNeeds(marker, Leader()));
  voids_.Add({StreamSeq(5), StreamSeq(5)});
  EXPECT_FALSE(MirrorNeeds(marker, Leader()));
}

}  // namespace
}  // namespace jetd::revision
