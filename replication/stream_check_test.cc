// SPDX-License-Identifier: Apache-2.0
//
// Each kind of damage in a stream written by hand: found, named, and told once or twice, not for
// every record behind it.
#include "replication/stream_check.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "replication/check_harness.h"

namespace jetd::replication {
namespace {

using jetstream::RecordHeader;
using jetstream::SeqRange;

class StreamCheckTest : public ::testing::Test {
 protected:
  struct Numbers {
    int64_t revision = 0;
    int64_t create = 0;  // 0: as revision
    int64_t version = 1;
    int64_t lease = 0;
    uint32_t i = 1, n = 1;
    uint64_t term = 1;
  };
  static RecordHeader HeaderOf(const Numbers& of) {
    return {.revision = Revision(of.revision),
            .create_revision = Revision(of.create == 0 ? of.revision : of.create),
            .version = of.version,
            .lease = LeaseId(of.lease),
            .index = of.i,
            .count = of.n,
            .term = Term(of.term)};
  }
  StreamSeq Append(const std::string& subject, const std::string& header,
                   const std::string& payload, bool is_delete = false) {
    return stream_.AppendForeign(
        {.subject = subject, .header = header, .is_delete = is_delete, .payload = payload});
  }
  StreamSeq Put(const std::string& key, const Numbers& numbers) {
    return Append(codec_.EncodeKey(key), EncodeHeader(HeaderOf(numbers)), "value");
  }
  StreamSeq Delete(const std::string& key, Numbers numbers) {
    RecordHeader header = HeaderOf(numbers);
    header.create_revision = Revision{};
    header.version = 0;
    return Append(codec_.EncodeKey(key), EncodeHeader(header), "", /*is_delete=*/true);
  }
  StreamSeq Own(const std::string& subject, int64_t revision, const std::string& payload,
                uint64_t term = 1, bool is_delete = false) {
    const RecordHeader header{.revision = Revision(revision), .term = Term(term)};
    return Append(subject, EncodeHeader(header), payload, is_delete);
  }
  StreamSeq TermAt(uint64_t term, int64_t revision, std::vector<SeqRange> voids = {},
                   int format = jetstream::kFormatVersion) {
    jetstream::TermRecord record;
    record.format = format;
    record.term = Term(term);
    record.incarnation = Cat("incarnation-", stream_.last().value());
    record.voids = std::move(voids);
    return Own(codec_.TermSubject(), revision, EncodeTerm(record), term);
  }
  StreamSeq CompactAt(int64_t at, int64_t revision) {
    return Own(codec_.CompactSubject(), revision,
               jetstream::EncodeCompact({.revision = Revision(at), .bound = stream_.last()}));
  }
  StreamSeq Grant(int64_t id, int64_t revision) {
    return Own(codec_.LeaseSubject(LeaseId(id)), revision,
               jetstream::EncodeLease({.ttl_s = 60, .granted_ms = 1}));
  }
  StreamSeq Gone(int64_t id, int64_t revision) {
    return Own(codec_.LeaseSubject(LeaseId(id)), revision, "", 1, /*is_delete=*/true);
  }

  CheckReport Check(Server server = Server::kOutside) {
    auto report = CheckOf(&exec_, &stream_, server);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : CheckReport();
  }
  // Its damages, one a line.
  std::string Damages(Server server = Server::kOutside) {
    std::string text;
    for (const Problem& problem : Check(server).problems) CatTo(text, ToText(problem), "\n");
    return text;
  }

  FakeExecutor exec_;
  jetstream::MemoryStream stream_;
  jetstream::SubjectCodec codec_{"B"};
};

TEST_F(StreamCheckTest, ASoundStream) {
  TermAt(1, 1);
  Put("a", {.revision = 2});
  Grant(7, 2);
  Put("b", {.revision = 3, .lease = 7, .i = 1, .n = 2});
  Put("a", {.revision = 3, .create = 2, .version = 2, .i = 2, .n = 2});
  Delete("a", {.revision = 4});
  CompactAt(3, 4);
  TermAt(2, 4);
  Put("a", {.revision = 5, .term = 2});
  const CheckReport report = Check();
  EXPECT_EQ(report.damages(), 0U) << ToText(report);
  EXPECT_EQ(report.revision, Revision(5));
  EXPECT_EQ(report.compacted, Revision(3));
  EXPECT_EQ(report.term, Term(2));
  EXPECT_EQ(report.keys, 2U);
  EXPECT_EQ(report.leases, 1U);
  EXPECT_EQ(report.garbage.superseded, 1U);
  EXPECT_EQ(report.garbage.own_records, 1U) << "the first term";
  EXPECT_TRUE(report.replayed);
  EXPECT_TRUE(report.notices.empty());
  EXPECT_NE(ToText(report).find("\nno damage\n"), std::string::npos);
}

TEST_F(StreamCheckTest, AnEmptyStream) {
  const CheckReport report = Check();
  EXPECT_EQ(report.damages(), 0U);
  EXPECT_EQ(report.revision, Revision(1));
}

TEST_F(StreamCheckTest, ARecordThatIsMissing) {
  TermAt(1, 1);
  Put("a", {.revision = 2});
  const StreamSeq lost = Put("a", {.revision = 3, .create = 2, .version = 2});
  Put("b", {.revision = 4});
  Put("a", {.revision = 5, .create = 2, .version = 3});
  Put("b", {.revision = 6, .create = 4, .version = 2});
  stream_.Delete(lost);
  EXPECT_EQ(Damages(),
            "revision: sequence 4, subject $KV.B.b, key b, revision 4: revision 3 is missing "
            "before it\n"
            "key: sequence 5, subject $KV.B.a, key a, revision 5: version 3 follows version 1\n");
}

TEST_F(StreamCheckTest, ARevisionThatComesAgain) {
  TermAt(1, 1);
  Put("a", {.revision = 2});
  Put("b", {.revision = 3});
  Put("c", {.revision = 3});
  EXPECT_EQ(Damages(),
            "revision: sequence 4, subject $KV.B.c, key c, revision 3: it comes behind revision "
            "3\n");
}

TEST_F(StreamCheckTest, ATransactionThatLostAPart) {
  for (uint32_t lost = 1; lost <= 3; ++lost) {
    stream_.Recreate(lost);
    TermAt(1, 1);
    Put("a", {.revision = 2});
    for (uint32_t i = 1; i <= 3; ++i) {
      const StreamSeq seq = Put(Cat("g/", i), {.revision = 3, .i = i, .n = 3});
      if (i == lost) stream_.Delete(seq);
    }
    Put("b", {.revision = 4});
    const CheckReport report = Check();
    ASSERT_EQ(report.damages(), 1U) << lost << ": " << ToText(report);
    EXPECT_EQ(report.problems[0].damage, Damage::kGroup);
    EXPECT_EQ(report.problems[0].revision, Revision(3));
  }
}

TEST_F(StreamCheckTest, ATransactionThatNobodyEnded) {
  TermAt(1, 1);
  Put("g/1", {.revision = 2, .i = 1, .n = 2});
  TermAt(2, 1);
  Put("a", {.revision = 2, .term = 2});
  const CheckReport report = Check();
  EXPECT_EQ(report.problems.at(0).damage, Damage::kGroup) << ToText(report);
  // At the end it is undecided.
  stream_.Recreate(2);
  TermAt(1, 1);
  Put("g/1", {.revision = 2, .i = 1, .n = 2});
  const CheckReport undecided = Check();
  EXPECT_EQ(undecided.damages(), 0U) << ToText(undecided);
  EXPECT_EQ(undecided.notices.size(), 1U);
  EXPECT_EQ(undecided.revision, Revision(1));
}

TEST_F(StreamCheckTest, SomebodyElsesRecord) {
  TermAt(1, 1);
  Put("a", {.revision = 2});
  Append("$KV.B.a", "", "edited");
  // Somebody will void it.
  const CheckReport waits = Check();
  EXPECT_EQ(waits.damages(), 0U) << ToText(waits);
  ASSERT_EQ(waits.notices.size(), 1U);
  EXPECT_NE(waits.notices[0].find("sequence 3"), std::string::npos) << waits.notices[0];
  // Who came then did not.
  TermAt(2, 2);
  Put("b", {.revision = 3, .term = 2});
  EXPECT_EQ(Damages(),
            "foreign: sequence 3, subject $KV.B.a, key a: a record that jetd did not write; the "
            "term record at sequence 4 does not void it\n");
}

TEST_F(StreamCheckTest, AHeaderThatCannotBeRead) {
  TermAt(1, 1);
  Append("$KV.B.a", "2 2 1 0 1/1 01", "value");
  TermAt(2, 1);
  const CheckReport report = Check();
  ASSERT_EQ(report.damages(), 1U) << ToText(report);
  EXPECT_NE(report.problems[0].what.find("bad term"), std::string::npos);
}

TEST_F(StreamCheckTest, VoidsAreVoid) {
  TermAt(1, 1);
  Put("g/1", {.revision = 2, .i = 1, .n = 2});
  Append("$KV.B.a", "", "foreign");
  TermAt(2, 1, {{StreamSeq(2), StreamSeq(3)}});
  Put("a", {.revision = 2, .term = 2});
  const CheckReport report = Check();
  EXPECT_EQ(report.damages(), 0U) << ToText(report);
  EXPECT_EQ(report.garbage.voided, 2U);
}

TEST_F(StreamCheckTest, TermsThatCannotBe) {
  TermAt(2, 1);
  Put("a", {.revision = 2, .term = 2});
  TermAt(2, 2);
  EXPECT_NE(Damages().find("term: sequence 3, subject $KV.B._jetd.term, revision 2: term 2 begins "
                           "behind term 2 (incarnation incarnation-2, before it incarnation-0)"),
            std::string::npos)
      << Damages();
  stream_.Recreate(2);
  TermAt(1, 1);
  Put("a", {.revision = 2, .term = 3});
  EXPECT_EQ(Damages(),
            "term: sequence 2, subject $KV.B.a, key a, revision 2: no term record announces its "
            "term 3\n");
  stream_.Recreate(3);
  TermAt(1, 1, {{StreamSeq(1), StreamSeq(9)}});
  EXPECT_NE(Damages().find("it voids 1..9"), std::string::npos);
}

TEST_F(StreamCheckTest, TheRecordOfATermThatIsOverMayBeGone) {
  const StreamSeq first = TermAt(1, 1);
  Put("a", {.revision = 2});
  TermAt(2, 2);
  stream_.Delete(first);
  EXPECT_EQ(Damages(), "");
}

TEST_F(StreamCheckTest, NumbersThatDoNotFollow) {
  TermAt(1, 1);
  Put("a", {.revision = 2});
  Put("a", {.revision = 3, .create = 3, .version = 2});
  Delete("b", {.revision = 4});
  EXPECT_EQ(Damages(),
            "key: sequence 3, subject $KV.B.a, key a, revision 3: version 2, created at 3, changed "
            "at 3\n"
            "key: sequence 4, subject $KV.B.b, key b, revision 4: deleted, and it was not "
            "there\n");
}

TEST_F(StreamCheckTest, Leases) {
  TermAt(1, 1);
  Put("a", {.revision = 2, .lease = 7});
  Grant(7, 2);
  Grant(7, 2);
  Put("b", {.revision = 3, .lease = 7});
  Gone(7, 3);
  Gone(8, 3);
  EXPECT_EQ(
      Damages(),
      "lease: sequence 2, subject $KV.B.a, key a, revision 2: its lease 7 is not there\n"
      "lease: sequence 4, subject $KV.B._jetd.lease.7, revision 2: it was granted before, and is "
      "not gone\n"
      "lease: sequence 6, subject $KV.B._jetd.lease.7, revision 3: it is gone, with 1 keys on it\n"
      "lease: sequence 7, subject $KV.B._jetd.lease.8, revision 3: it is gone, and was not "
      "granted\n");
}

TEST_F(StreamCheckTest, AKeyWhoseLeaseIsGoneSinceLong) {
  TermAt(1, 1);
  const StreamSeq grant = Grant(7, 1);
  Put("a", {.revision = 2, .lease = 7});
  Put("b", {.revision = 3});
  CompactAt(3, 3);
  EXPECT_EQ(Damages(), "");
  stream_.Delete(grant);
  EXPECT_EQ(Damages(),
            "lease: sequence 3, subject $KV.B.a, key a, revision 2: it is alive, and its lease 7 "
            "is not there\n");
}

TEST_F(StreamCheckTest, CompactionsAndLists) {
  TermAt(1, 1);
  Put("a", {.revision = 2});
  Put("a", {.revision = 3, .create = 2, .version = 2});
  CompactAt(3, 3);
  CompactAt(2, 3);
  Own(codec_.CompactSubject(), 3, "{}");
  Own(codec_.LiveSubject(), 3,
      jetstream::EncodeLive({.range = {StreamSeq(1), StreamSeq(99)}, .live = {StreamSeq(3)}}));
  const std::string damages = Damages();
  EXPECT_NE(damages.find("compact: sequence 5, subject $KV.B._jetd.compact, revision 3: it "
                         "compacts at 2 behind a compaction at 3\n"),
            std::string::npos)
      << damages;
  EXPECT_NE(damages.find("compact: sequence 6"), std::string::npos) << damages;
  EXPECT_NE(damages.find("list: sequence 7, subject $KV.B._jetd.live, revision 3: it speaks of 99"),
            std::string::npos)
      << damages;
}

// Embedded: what a power cut leaves is no damage, what a disk has lost is.
TEST_F(StreamCheckTest, AHoleWithAServerOfOurOwn) {
  TermAt(1, 1);
  Put("a", {.revision = 2});
  Put("b", {.revision = 4});
  Put("c", {.revision = 5});
  EXPECT_NE(Damages(Server::kOutside), "");
  const CheckReport cut = Check(Server::kEmbedded);
  EXPECT_EQ(cut.damages(), 0U) << ToText(cut);
  ASSERT_EQ(cut.notices.size(), 1U);
  EXPECT_EQ(cut.notices[0],
            "from sequence 3 on 2 records were never answered (revision 3 is missing before it): "
            "they are void once another leader begins");
  EXPECT_EQ(cut.revision, Revision(2));
  EXPECT_EQ(cut.keys, 1U);
  CompactAt(2, 5);
  EXPECT_EQ(
      Damages(Server::kEmbedded),
      "revision: sequence 3, subject $KV.B.b, key b, revision 4: revision 3 is missing before "
      "it; the record at sequence 5 shows that it had been answered\n");
}

// As revision/committer_loss.cc leaves it: no damage, and worth a word.
TEST_F(StreamCheckTest, AStreamThatWentBackAndGoesOn) {
  TermAt(1, 1);
  Put("a", {.revision = 2});
  TermAt(2, 2);
  Own(codec_.AlarmSubject(), 2,
      jetstream::EncodeAlarms({.alarms = {{jetstream::AlarmType::kCorrupt, 0x8e}}}), 2);
  Own(codec_.CompactSubject(), 2,
      jetstream::EncodeCompact({.revision = Revision(1'002), .bound = StreamSeq(4)}), 2);
  Put("b", {.revision = 1'003, .term = 2});
  const CheckReport report = Check();
  EXPECT_EQ(report.damages(), 0U) << ToText(report);
  EXPECT_EQ(report.revision, Revision(1'003));
  ASSERT_EQ(report.notices.size(), 2U);
  EXPECT_EQ(report.notices[0],
            "at sequence 5 revisions up to 1002 were left out behind 2: the stream had gone back");
  EXPECT_EQ(report.notices[1], "the alarm CORRUPT 8e is raised");
  Own(codec_.AlarmSubject(), 1'003, "{}", 2);
  EXPECT_NE(Damages().find("alarm: sequence 7"), std::string::npos) << Damages();
}

TEST_F(StreamCheckTest, ANewerVersionIsNotJudged) {
  TermAt(1, 1);
  TermAt(2, 1, {}, jetstream::kFormatVersion + 1);
  const auto newer = CheckOf(&exec_, &stream_, Server::kOutside);
  EXPECT_TRUE(absl::IsFailedPrecondition(newer.status())) << newer.status();
  stream_.Recreate(2);
  TermAt(1, 1);
  Own("$KV.B._jetd.unknown", 1, "{}");
  const auto unknown = CheckOf(&exec_, &stream_, Server::kOutside);
  EXPECT_TRUE(absl::IsFailedPrecondition(unknown.status())) << unknown.status();
  EXPECT_NE(MessageOf(unknown.status()).find("_jetd.unknown"), std::string_view::npos);
}

// A leader compacts while it is read: at every moment of it.
TEST_F(StreamCheckTest, RemovalMeanwhileIsNoDamage) {
  for (int moment = 1; moment <= 40; ++moment) {
    SCOPED_TRACE(moment);
    stream_.Recreate(moment);
    TermAt(1, 1);
    const StreamSeq old = Put("a", {.revision = 2});
    Put("a", {.revision = 3, .create = 2, .version = 2});
    Put("b", {.revision = 4});
    Put("b", {.revision = 5, .create = 4, .version = 2});
    // The harness reads a record a microsecond.
    exec_.RunAfter(std::chrono::microseconds(moment), [&] {
      CompactAt(4, 5);
      stream_.Delete(old);
    });
    const CheckReport report = Check();
    EXPECT_EQ(report.damages(), 0U) << ToText(report);
  }
}

TEST_F(StreamCheckTest, ManyDamagesAreCountedAndNotKept) {
  TermAt(1, 1);
  for (int64_t revision = 2; revision < 1'500; ++revision) Delete("never", {.revision = revision});
  const CheckReport report = Check();
  EXPECT_EQ(report.damages(), 1'498U);
  EXPECT_EQ(report.problems.size(), CheckReport::kMaxProblems);
  EXPECT_NE(ToText(report).find("and 498 more\n1498 damages: key 1498\n"), std::string::npos);
  EXPECT_NE(ToJson(report).find("\"counts\":{\"key\":1498}"), std::string::npos);
}

}  // namespace
}  // namespace jetd::replication
